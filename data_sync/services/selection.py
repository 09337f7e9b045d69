"""Which changes of a changeset are meant."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Case, Exists, IntegerField, OuterRef, Q, QuerySet, When

from data_sync.core import canonical
from data_sync.core.states import Operation, RenameChoice
from data_sync.models import Change, Changeset, Viewing
from data_sync.models.fields import as_stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which changes of a changeset are meant. `numbers` None means all that the other filters leave.

    `flag` is "conflicts", "cascades", "problems", "warnings", "renames", "left_scope", "unknown_base", "files", "kept"
    (updates that keep fields as they are here) or "edited" (accepted, with an edit since the pull seen); each word of
    `search` is in the natural key, or in the one before a rename; `unviewed_by` is the primary key of a user who has
    not ticked them off.
    """

    numbers: tuple[int, ...] | None = None
    model: str = ""
    operation: str = ""
    decision: str = ""
    search: str = ""
    flag: str = ""
    unviewed_by: Any = None

    def is_of(self, operation: Operation) -> bool:
        """Whether the filters say that changes of this operation are what is meant."""
        return self.operation == operation or (operation == Operation.RENAME and self.flag == "renames")

    def to_plain(self) -> dict[str, Any]:
        numbers = None if self.numbers is None else list(self.numbers)
        user = None if self.unviewed_by is None else str(self.unviewed_by)
        return asdict(self) | {"numbers": numbers, "unviewed_by": user}


KEPT_ROW = Q(operation=Operation.RENAME.value, rename_choice=RenameChoice.RENAME.value)
"""A rename that keeps its row takes nothing along, whatever its `cascades` say of replacing it."""


def viewed_by(user_pk: Any) -> Exists:
    """Whether somebody has ticked a change off."""
    return Exists(Viewing.objects.filter(change=OuterRef("pk"), user=user_pk))


def select(changeset: Changeset, selection: Selection) -> QuerySet[Change]:
    """The selected changes, ordered for review: conflicts, then deletes, updates, renames, creates, each by number."""
    changes = changeset.changes.all()
    if selection.numbers is not None:
        changes = changes.filter(number__in=selection.numbers)
    if selection.model:
        changes = changes.filter(model=selection.model)
    if selection.operation:
        changes = changes.filter(operation=selection.operation)
    if selection.decision:
        changes = changes.filter(decision=selection.decision)
    if selection.search:
        changes = changes.annotate(previous_text=as_stored("previous_key"))
        for word in selection.search.split():
            in_previous = Q(previous_text__icontains=canonical.quote(word)[1:-1])
            changes = changes.filter(Q(key_text__icontains=word) | in_previous)
    if selection.unviewed_by is not None:
        changes = changes.exclude(viewed_by(selection.unviewed_by))
    changes = _flagged(changes, selection.flag)
    order = Case(
        When(is_conflict=True, then=0),
        When(operation=Operation.DELETE.value, then=1),
        When(operation=Operation.UPDATE.value, then=2),
        When(operation=Operation.RENAME.value, then=3),
        default=4,
        output_field=IntegerField(),
    )
    return changes.annotate(review_order=order).order_by("review_order", "number")


def _flagged(changes: QuerySet[Change], flag: str) -> QuerySet[Change]:
    match flag:
        case "conflicts":
            return changes.filter(is_conflict=True)
        case "cascades":
            return changes.filter(has_cascades=True).exclude(KEPT_ROW)
        case "problems":
            return changes.filter(has_problems=True)
        case "warnings":
            return changes.annotate(warning_text=as_stored("warnings")).exclude(warning_text="[]")
        case "renames":
            return changes.filter(operation=Operation.RENAME.value)
        case "left_scope":
            return changes.filter(left_scope=True)
        case "unknown_base":
            return changes.filter(base_digest="").exclude(operation=Operation.CREATE.value)
        case "files":
            return changes.exclude(files={})
        case "kept":
            return changes.exclude(kept={})
        case "edited":
            return changes.exclude(seen={}).exclude(acknowledged_digest="")
        case _:
            return changes
