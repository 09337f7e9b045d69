"""What deletes take along, in sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.utils.translation import ngettext

from data_sync.core.states import Operation
from data_sync.models import Change, Changeset

from .names import model_name, model_names

NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One kind of thing that happens to rows of one model; `names` are some of theirs."""

    words: str
    names: tuple[str, ...]
    unnamed: int


def effects_of(cascades: Iterable[Mapping[str, Any]]) -> list[Effect]:
    """Grouped by model and effect, in the order they were found."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for cascade in cascades:
        column = "" if cascade["effect"] in ("delete", "back") else cascade.get("column", "")
        groups.setdefault((cascade["model"], cascade["effect"], column), []).append(cascade)
    return [_effect(*group, rows) for group, rows in groups.items()]


BACK = {"create": "back", "set": "set_back"}


def restored(restores: Iterable[Mapping[str, Any]]) -> list[Effect]:
    """What comes back with a row that was deleted, besides the row itself."""
    return effects_of({**row, "effect": BACK[row["effect"]]} for row in restores if row["column"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Takers:
    """Deletes for whose sake guards hold a changeset, each with its model's name and what it takes along: the first
    ones, and whether there are more."""

    rows: list[tuple[Change, str, list[Effect]]]
    has_more: bool


def takers_of(changeset: Changeset) -> Takers:
    """The deletes that take rows along of which the source says nothing."""
    models = {guard["model"] for guard in changeset.guards if guard["code"] == "unregistered_cascade"}
    found = list(islice(_takers(changeset, models), NAMED + 1)) if models else []
    return Takers(rows=found[:NAMED], has_more=len(found) > NAMED)


def _takers(changeset: Changeset, models: Collection[str]) -> Iterator[tuple[Change, str, list[Effect]]]:
    # Those that cannot be applied take nothing along: no guard counts them.
    deletes = changeset.changes.filter(operation=Operation.DELETE.value, has_cascades=True, has_problems=False)
    columns = ("changeset", "number", "model", "key_text", "cascades")
    for change in deletes.only(*columns).order_by("number").iterator(chunk_size=50):
        along = [row for row in change.cascades if row["effect"] == "delete" and row["model"] in models]
        if along:
            yield change, model_name(change.model), effects_of(along)


def _effect(label: str, effect: str, column: str, rows: list[Mapping[str, Any]]) -> Effect:
    names = tuple(row["label"] for row in rows if row["label"])[:NAMED]
    if effect == "unlink":
        names = ()
    return Effect(
        words=_words(effect, len(rows), model_names(label, len(rows)), column),
        names=names,
        unnamed=len(rows) - len(names) if names else 0,
    )


def _words(effect: str, count: int, names: str, column: str) -> str:
    match effect:
        case "delete":
            text = ngettext("Also deletes %(n)s row of %(names)s", "Also deletes %(n)s rows of %(names)s", count)
        case "back":
            text = ngettext(
                "Also brings back %(n)s row of %(names)s", "Also brings back %(n)s rows of %(names)s", count
            )
        case "set_back":
            text = ngettext(
                "Puts %(column)s back in %(n)s row of %(names)s",
                "Puts %(column)s back in %(n)s rows of %(names)s",
                count,
            )
        case "null":
            text = ngettext(
                "Sets %(column)s to null in %(n)s row of %(names)s",
                "Sets %(column)s to null in %(n)s rows of %(names)s",
                count,
            )
        case "default":
            text = ngettext(
                "Sets %(column)s to its default in %(n)s row of %(names)s",
                "Sets %(column)s to its default in %(n)s rows of %(names)s",
                count,
            )
        case "set":
            text = ngettext(
                "Sets %(column)s to another value in %(n)s row of %(names)s",
                "Sets %(column)s to another value in %(n)s rows of %(names)s",
                count,
            )
        case _:
            text = ngettext("Removes %(n)s link (%(names)s)", "Removes %(n)s links (%(names)s)", count)
    return text % {"n": count, "names": names, "column": column}
