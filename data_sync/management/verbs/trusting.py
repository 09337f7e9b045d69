"""`source trust`, `source untrust`: whose changes are applied without review; and what came of that for a changeset."""

from __future__ import annotations

import argparse
from typing import Any

from data_sync.core.states import AutoApply, ChangesetState, Operation
from data_sync.models import Changeset, DataSource, Trust
from data_sync.services import trust
from data_sync.services.auto_facts import standing_facts
from data_sync.services.auto_rules import reasons

from ..text.table import wrapped
from ..text.words import count, line, listing
from .call import Answer, Call, Stream, Verbs, labels, number, source_of


def add_verbs(sources: Verbs) -> None:
    """Among those of `source`."""
    on = sources.add("trust", trust_source, "Have what is pulled from a source applied without review, within limits")
    on.add_argument("name", metavar="NAME")
    on.add_argument("--models", type=labels, metavar="A.B,C.D", help="these only; default those of before")
    on.add_argument(
        "--operations",
        type=_operations,
        metavar="O,O",
        help="of create, update, delete, rename; default those of before, or create,update",
    )
    on.add_argument("--max-changes", type=number, metavar="N", help=f"most changes; default {trust.USUAL_CHANGES}")
    on.add_argument(
        "--max-deletes", type=number, metavar="N", help=f"most deletes, if any; default {trust.USUAL_DELETES}"
    )
    on.add_argument(
        "--unattended",
        action=argparse.BooleanOptionalAction,
        help="apply each complete pull; without it only pull --apply and Pull and apply do",
    )
    off = sources.add("untrust", untrust_source, "End that: what is pulled waits for review again")
    off.add_argument("name", metavar="NAME")
    off.add_argument("--reason", default="", metavar="TEXT", help="why; kept with the source")


def _operations(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(word.strip().lower() for word in text.split(",") if word.strip()))
    if not found or not set(found) <= set(Operation):
        raise argparse.ArgumentTypeError(f"name operations as in create,update; there are {', '.join(Operation)}")
    return found


def trust_source(call: Call) -> Answer:
    source = source_of(call.options["name"])
    former = trust.standing(source)
    given = {name: call.options[name] for name in ("models", "operations", "max_changes", "max_deletes", "unattended")}
    made = trust.switch_on(source, call.actor, **(_usual(former) | {k: v for k, v in given.items() if v is not None}))
    return Answer(
        document={"name": source.name, "trust": trust_document(made)},
        text=[
            f"The source {line(source.name)} is trusted: its changes will apply without review.",
            *(f"    {words}" for words in trust_text(made)),
            "The first pull of each model waits for review all the same.",
        ],
    )


def _usual(former: Trust | None) -> dict[str, Any]:
    """What is not said: as it was, else the usual."""
    if former is None:
        return {"models": ()}
    return {
        "models": former.model_labels,
        "operations": former.operations,
        "max_changes": former.max_changes,
        "max_deletes": former.max_deletes or trust.USUAL_DELETES,
        "unattended": former.unattended,
    }


def untrust_source(call: Call) -> Answer:
    source = source_of(call.options["name"])
    trust.switch_off(source, call.actor, call.options["reason"])
    return Answer(
        document={"name": source.name, "trust": None},
        text=[f"The source {line(source.name)} is not trusted any more; what is pulled from it waits for review."],
    )


def standing_document(source: DataSource) -> dict[str, Any]:
    """What a source's document says of trust: nothing where there is none."""
    standing = trust.standing(source)
    return {} if standing is None else {"trust": trust_document(standing)}


def trust_document(standing: Trust) -> dict[str, Any]:
    limits = trust.limits_of(standing)
    assert limits is not None
    return limits.to_plain() | {"by": standing.actor, "since": standing.since.isoformat()}


def trust_text(standing: Trust) -> Stream:
    how = "each complete pull" if standing.unattended else "with pull --apply, or one click"
    yield f"applied {how}; {count(standing.max_changes, 'change')} at most"
    deletes = f", {count(standing.max_deletes, 'delete')} at most" if standing.max_deletes else ""
    yield f"{listing(standing.operations)}{deletes}"
    yield f"models: {listing(standing.model_labels, 8)}"
    yield f"on the authority of {line(standing.actor)}"
    for reason in reasons(trust.limits_of(standing), standing_facts(standing)):
        yield from wrapped(f"nothing is applied now: {line(reason['message'])}", "", "    ")


def verdict_document(changeset: Changeset | None) -> dict[str, Any]:
    return {
        "applied": changeset is not None and changeset.state == ChangesetState.APPLIED,
        "reasons": [] if changeset is None else changeset.auto_reasons,
    }


def verdict_text(changeset: Changeset) -> Stream:
    """What came of applying without review; nothing where that was not asked for."""
    if changeset.auto_state == AutoApply.LEFT:
        yield "Not applied by itself:"
        for reason in changeset.auto_reasons:
            yield from wrapped(line(reason["message"]), "    ", "  · ")
    elif changeset.auto_state == AutoApply.APPROVED:
        done = "Applied" if changeset.state == ChangesetState.APPLIED else "Approved"
        yield f"{done} without review, as its source is trusted."
    elif changeset.auto_state == AutoApply.DUE and changeset.state in (ChangesetState.PENDING, ChangesetState.BLOCKED):
        yield "Still to be looked at for applying without review: data_sync sweep"
