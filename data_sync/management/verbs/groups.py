"""`groups` makes the ready-made groups of people, or says what it would do."""

from __future__ import annotations

from data_sync.services import groups
from data_sync.services.groups import Grouped

from ..text.table import wrapped
from ..text.words import count, line, listing
from .call import Answer, Call, Stream, Verbs


def add_verbs(verbs: Verbs) -> None:
    verb = verbs.add("groups", make_groups, "Make groups for viewers, pullers, reviewers, appliers and administrators")
    verb.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def make_groups(call: Call) -> Answer:
    is_dry = call.options["dry_run"]
    made = groups.make_groups(call.actor, dry_run=is_dry)
    return Answer(
        document={
            "dry_run": is_dry,
            "groups": [
                {"name": one.name, "created": one.is_new, "added": one.added, "extra": one.extra} for one in made
            ],
        },
        text=_text(made, is_dry=is_dry),
    )


def _text(made: list[Grouped], *, is_dry: bool) -> Stream:
    for one in made:
        if not one.added and not one.is_new:
            yield f"{one.name}: has all it needs."
        else:
            done = ("would be made, with", "would get") if is_dry else ("made, with", "got")
            yield f"{one.name}: {done[0 if one.is_new else 1]} {count(len(one.added), 'permission')}."
            yield from wrapped(listing(one.added), "    ")
        if one.extra:
            yield from wrapped(f"Besides, it has {line(listing(one.extra))}.", "    ")
