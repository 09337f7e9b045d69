"""`--once`: the whole round without a browser, over HTTP, and a check that does not trust data_sync."""

from __future__ import annotations

import time
from typing import Any

from . import compare
from .environments import Environment
from .preparation import Say, prepare, pull
from .processes import manage, server

REASON = "Demo: the notes and the stock counts below these rows are no longer needed."


def run(environments: tuple[Environment, Environment], say: Say) -> dict[str, Any]:
    """Prepares, pulls, reviews, applies, pulls again, compares. `ok` says whether all of it holds."""
    staging, production = environments
    began = time.monotonic()
    prepared = prepare(environments, say)
    before = compare.differences(staging, production)
    local = [_LocalRows(staging, production, table) for table in compare.LOCAL]
    with server(staging):
        done = _review_and_apply(production, say)
        say("Pulling again ...")
        done["second_pull"] = pull(production, codes=(0, 2))
    say("Comparing both databases and every picture, by own SQL and own checksums ...")
    after = compare.differences(staging, production)
    pictures = [compare.pictures(environment) for environment in environments]
    checks = {
        "edits were visible": any(table["different"] for table in before.values()),
        "the review named every local row that a delete took along": all(
            rows.were_announced(done["cascades"]) for rows in local
        ),
        "the second pull found nothing": done["second_pull"]["changeset"] is None,
        "tables are equal": not any(table["different"] for table in after.values()),
        "pictures are equal": pictures[0] == pictures[1] and len(pictures[0]) > 0,
        "all other local rows are untouched": all(rows.are_untouched() for rows in local),
        "both databases are sound": compare.is_sound(staging) and compare.is_sound(production),
    }
    for name, holds in checks.items():
        say(f"  {'✓' if holds else '✗'} {name}")
    return {
        "ok": all(checks.values()),
        "checks": checks,
        **prepared,
        **done,
        "tables": {name: {**table, "different_before": before[name]["different"]} for name, table in after.items()},
        "pictures": len(pictures[0]),
        "local_rows": {rows.table.name: rows.summary() for rows in local},
        "seconds": round(time.monotonic() - began, 1),
    }


def _review_and_apply(production: Environment, say: Say) -> dict[str, Any]:
    say("Pulling from staging into a changeset ...")
    found = pull(production, codes=(2,))
    number = str(found["changeset"])
    counts = ", ".join(f"{count} {operation}s" for operation, count in found["counts"].items())
    say(f"  Changeset {number}: {counts}.")
    review = _verb(production, "show", number)
    if review["changeset"]["state"] == "blocked":
        _verb(production, "override", number, "--reason", REASON)
    say("Accepting all of it, approving, applying ...")
    # One text was edited on both sides: a conflict, which takes a word more.
    accepted = _verb(production, "accept", number, "--all", "--acknowledge")
    approved = _verb(production, "approve", number)
    applied = _verb(production, "apply", number)
    return {
        "pull": found,
        "cascades": [row for change in review["changes"] for row in change["cascades"]],
        "accept": accepted,
        "approve": approved,
        "apply": applied,
    }


def _verb(production: Environment, *arguments: str) -> dict[str, Any]:
    return dict(manage(production, "data_sync", *arguments, "--as", "admin", "--json").document)


class _LocalRows:
    """Production's rows of one model that is not synced, as they were before anything was applied."""

    def __init__(self, staging: Environment, production: Environment, table: compare.Table) -> None:
        [synced] = [candidate for candidate in compare.TABLES if candidate.name == table.hangs_from]
        parents = compare.read(staging, synced)
        self.table = table
        self.production = production
        self.before = compare.local_rows(production, table)
        # Only those may go whose row is gone at staging.
        self.expected = {pk: row for pk, row in self.before.items() if row[0] in parents}

    def were_announced(self, cascades: list[dict[str, Any]]) -> bool:
        announced = {str(row["pk"]) for row in cascades if row["model"] == f"shop.{self.table.name}"}
        return announced == {str(pk) for pk in self.before.keys() - self.expected.keys()}

    def are_untouched(self) -> bool:
        return compare.local_rows(self.production, self.table) == self.expected

    def summary(self) -> dict[str, int]:
        return {
            "before": len(self.before),
            "taken_along": len(self.before) - len(self.expected),
            "after": len(compare.local_rows(self.production, self.table)),
        }
