"""From nothing to two environments that were equal, and where staging has been edited since."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .environments import MARKER, Environment
from .processes import manage, server

Say = Callable[[str], None]
SOURCE = "staging"


def is_prepared(state: Any) -> bool:
    """Whether an earlier start went all the way; an interrupted one has to begin again."""
    marker = state / MARKER
    return marker.exists() and json.loads(marker.read_text())["prepared"] is True


def ports_of(state: Any) -> dict[str, int]:
    """The ports of the last start, so that addresses and log-ins stay what they were."""
    marker = state / MARKER
    return dict(json.loads(marker.read_text())["ports"]) if marker.exists() else {}


def mark(environments: tuple[Environment, Environment], *, prepared: bool) -> None:
    state = environments[0].state
    state.mkdir(parents=True, exist_ok=True)
    ports = {environment.name: environment.port for environment in environments}
    (state / MARKER).write_text(json.dumps({"prepared": prepared, "ports": ports}))


def prepare(environments: tuple[Environment, Environment], say: Say) -> dict[str, Any]:
    """Makes both environments and returns what was done, JSON-plain.

    The first pull runs while both are equal. It finds nothing, and it is what makes later conflicts
    visible: from then on production knows what both sides had agreed on.
    """
    staging, production = environments
    mark(environments, prepared=False)
    say("Making two databases, with the same shop in both: names from CLDR, pictures drawn from them ...")
    for environment in environments:
        environment.make()
    with ThreadPoolExecutor() as pool:
        rows, rows_there = pool.map(lambda each: manage(each, "shop", "prepare").document, environments)
    counts = [f"{sum(made.values()):,} rows" for made in (rows, rows_there)]
    say(f"  {counts[0]} at staging; {counts[1]} at production, local ones among them.")
    say("Making an export key at staging, and a data source at production that uses it ...")
    key = manage(staging, "data_sync", "key", "create", "production", "--json").document["key"]
    manage(
        production,
        "data_sync",
        "source",
        "add",
        SOURCE,
        staging.url,
        "--key",
        "-",
        "--json",
        given=key + "\n",
    )
    say("Pulling once while both are equal ...")
    with server(staging):
        first = pull(production, codes=(0,))
    say(f"  Nothing differs in {first['compared']:,} rows.")
    say("Editing staging, as a week of work would ...")
    edits = manage(staging, "shop", "edit").document + manage(production, "shop", "edit").document
    for words in edits:
        say(f"  · {words}")
    mark(environments, prepared=True)
    return {"rows": {"staging": rows, "production": rows_there}, "first_pull": first, "edits": edits}


def reuse(environments: tuple[Environment, Environment]) -> None:
    """Brings an earlier state up to date: new migrations, and the port that staging has today."""
    for environment in environments:
        manage(environment, "shop", "refresh")
    mark(environments, prepared=True)


def pull(production: Environment, *, codes: tuple[int, ...]) -> dict[str, Any]:
    """Production pulls from staging; the command's JSON."""
    answer = manage(production, "data_sync", "pull", SOURCE, "--as", "admin", "--json", codes=codes)
    return dict(answer.document)
