"""What comes back with a deleted row, and whether it can: known at the pull of a revert, and shown in its review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.apps import apps
from django.db.models import Q

from data_sync.core.states import Operation, RenameChoice
from data_sync.models import Change, Changeset, KeptRow
from data_sync.orm.cascades import STAYING
from data_sync.orm.limits import Problem, problem
from data_sync.orm.remains import ROOT
from data_sync.registry.inheritance import tables_of

Place = tuple[str, str, str, str]
"""A restored row: model, primary key as a text, "create" or "set", and the reference by which it went."""


def place_of(row: KeptRow) -> Place:
    """Where `Change.restores` tells of a kept row. The deleted row itself goes by no column."""
    return row.model, str(row.row_pk), "set" if row.effect in STAYING else "create", row.column


def is_installed(label: str) -> bool:
    """Whether there is still such a model."""
    try:
        apps.get_model(label)
    except LookupError:
        return False
    return True


def gone(label: str) -> str:
    return (
        f"There is no model {label} here any more, so that rows of it cannot be brought back. Reject this, and take "
        "what is needed of them from a backup."
    )


class Restores:
    """Looks up what was kept of the deletes of a changeset."""

    def __init__(self, original: Changeset) -> None:
        self._original = original

    def add(self, changes: Sequence[Change]) -> None:
        """Says of changes that undo a delete, or a rename that replaced its row, what comes back besides, and what
        forbids it."""
        undone = self._original.changes.filter(
            Q(operation=Operation.DELETE.value)
            | Q(operation=Operation.RENAME.value, rename_choice=RenameChoice.REPLACE.value),
            number__in=[change.undoes for change in changes],
        )
        deletes = dict(undone.values_list("number", "cascades"))
        kept: dict[int, list[KeptRow]] = {}
        for row in self._original.kept_rows.filter(change_number__in=list(deletes)).order_by("number"):
            kept.setdefault(row.change_number, []).append(row)
        for change in changes:
            if change.undoes in deletes:
                self._add(change, kept.get(change.undoes, []), deletes[change.undoes])

    def _add(self, change: Change, rows: Sequence[KeptRow], cascades: Sequence[Mapping[str, Any]]) -> None:
        labels = {(one["model"], one["pk"]): one["label"] for one in cascades}
        is_new = change.operation == Operation.CREATE
        back = [row for row in rows if row.effect != ROOT or is_new]
        change.restores = [
            {
                "model": model,
                "pk": pk,
                "label": labels.get((model, pk), ""),
                "effect": effect,
                "column": column,
                "digest": row.digest,
            }
            for row in back
            for model, pk, effect, column in [place_of(row)]
        ]
        root = next((row for row in rows if row.effect == ROOT), None)
        known = {} if root is None or root.values is None else root.values
        problems = [one for one in change.problems if not _is_settled(one, change.model, known, back)]
        change.problems = [*problems, *_problems(back, root is None and bool(cascades))]


def _is_settled(found: Problem, label: str, known: Mapping[str, Any], back: Sequence[KeptRow]) -> bool:
    """Whether a problem of a new row is none: its column was kept, or what it refers to comes back with it, and can be
    waited for."""
    if found["code"] == "required_column":
        return found["field"] in known
    if found["code"] != "missing_reference" or known.get(found["field"]) is None:
        return False
    column: Any = apps.get_model(label)._meta.get_field(found["field"])
    if not column.null or not column.target_field.primary_key:
        return False
    table = column.remote_field.model._meta.concrete_model
    referred = str(known[found["field"]])
    return any(
        str(row.row_pk) == referred
        and row.effect == "delete"
        and is_installed(row.model)
        and table in tables_of(apps.get_model(row.model))
        for row in back
    )


def _problems(rows: Sequence[KeptRow], is_lost: bool) -> list[Problem]:
    found = []
    if is_lost:
        words = "What its delete took along was not kept, so that it cannot be brought back. Add it by hand."
        found.append(problem("not_kept", "", words))
    for label in dict.fromkeys(row.model for row in rows if row.values is None and not row.digest):
        words = (
            f"{label} is sensitive, or has columns that are, so nothing of its rows was kept when they were deleted: "
            "they cannot be brought back. Add them by hand, or register the model with allow_sensitive beforehand."
        )
        found.append(problem("sensitive", "", words))
    for label in dict.fromkeys(row.model for row in rows if not is_installed(row.model)):
        found.append(problem("no_model", "", gone(label)))
    for label in dict.fromkeys(row.model for row in rows if row.values is None and row.digest):
        words = f"What was kept of rows of {label} has been purged since, so that they cannot be brought back."
        found.append(problem("purged", "", words))
    return found
