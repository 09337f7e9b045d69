"""What a review shows of a change, as values: made by `cards`, laid out by templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from data_sync.core.states import Decision, Operation
from data_sync.models import Change, Comment

from .cells import ABSENT, UNKNOWN, Cell
from .conflicts import Conflict, MovedRow
from .effects import Effect

Note = Literal[
    "too_costly", "whitespace_only", "unicode_only", "changed_here", "changed_there", "changed_both", "changed_since"
]


MOST_REQUIRED = 100
"""So many of the changes that one requires are listed with it."""
MOST_COMMENTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldShape:
    label: str
    kind: Literal["value", "json", "reference", "generic", "links", "file"] = "value"
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """A model in words; `fields` may lack what is no longer registered."""

    label: str
    name: str
    fields: Mapping[str, FieldShape] = field(default_factory=dict)

    def field(self, name: str) -> FieldShape:
        return self.fields.get(name) or FieldShape(label=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A change that another one requires."""

    number: int
    model: str
    model_name: str
    key: Any
    key_text: str
    operation: str
    decision: str

    @property
    def is_rejected(self) -> bool:
        return self.decision == Decision.REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a card's table. `path` says where inside the field; "" is the field itself.

    `agreed` is the value on which both sides last agreed, in a conflict; it stands for `agreed_rows` rows from
    here on, and for none where it stands in a row above. `can_keep` offers to keep the field as it is here. `further`
    places of the field differ, too, for which the page has no room.
    """

    label: str
    name: str
    path: str = ""
    here: Cell = ABSENT
    incoming: Cell = ABSENT
    notes: tuple[Note, ...] = ()
    agreed: Cell = UNKNOWN
    agreed_rows: int = 0
    can_keep: bool = False
    is_kept: bool = False
    further: int = 0

    @property
    def is_cut(self) -> bool:
        return bool(self.further) or any(cell.is_cut for cell in (self.here, self.incoming, self.agreed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """A field that both sides have alike, or that only travels along."""

    label: str
    value: Cell
    travels: bool = False


def comments_words(count: int) -> str:
    """What opens the comments on a change."""
    return ngettext("%(n)s comment", "%(n)s comments", count) % {"n": count} if count else _("Comment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """`without_value` and `unchanged` are folded away. `requires` leaves out what a cell says is created by another.

    `effects` are what a delete takes along; of a rename, what deleting its row and adding a new one would.
    """

    change: Change
    model_name: str
    rows: tuple[Row, ...]
    without_value: tuple[Row, ...]
    unchanged: tuple[Unchanged, ...]
    requires: tuple[Neighbour, ...]
    effects: tuple[Effect, ...]
    conflict: Conflict | None = None
    previous_key: str = ""
    moved: MovedRow | None = None
    earlier: Literal["agreed", "pull"] | None = None
    """What stands in the third column, if there is one."""
    comments: Sequence[Comment] = ()
    is_viewed: bool = False

    @property
    def acknowledgement(self) -> str:
        """What a reviewer says to accept it; "" where nothing has to be said."""
        if self.moved is not None:
            return self.moved.seen
        return self.conflict.seen if self.conflict is not None else ""

    @property
    def is_acknowledged(self) -> bool:
        if self.moved is not None:
            return self.moved.is_acknowledged
        return self.conflict is not None and self.conflict.is_acknowledged

    @property
    def has_notes(self) -> bool:
        """Whether there is anything to say above the table."""
        row = self.change
        told = row.problems or row.warnings or row.left_scope or row.outcome_reason or row.carried_from
        return bool(told or self.conflict or self.moved or self.requires or (self.effects and not self.is_rename))

    @property
    def can_keep(self) -> bool:
        return any(row.can_keep for row in self.rows)

    @property
    def is_cut(self) -> bool:
        """Whether the page has no room for all of it."""
        return any(row.is_cut for row in self.rows) or any(field.value.is_cut for field in self.unchanged)

    @property
    def is_rename(self) -> bool:
        return self.change.operation == Operation.RENAME

    @property
    def has_unknown_base(self) -> bool:
        """Whether nobody can tell if the local row was edited since both sides last agreed."""
        return self.change.operation != Operation.CREATE and not self.change.base_digest

    @property
    def travelling(self) -> int:
        """How many fields are written along without being compared."""
        return sum(field.travels for field in self.unchanged)

    @property
    def same(self) -> int:
        """How many fields both sides have alike."""
        return len(self.unchanged) - self.travelling

    @property
    def more_required(self) -> int:
        """How many requirements there are beyond the three that show."""
        return len(self.requires) - 3 + self.unlisted

    @property
    def unlisted(self) -> int:
        """How many requirements were not looked up: there are too many to be listed."""
        return max(0, len(self.change.requires) - MOST_REQUIRED)

    @property
    def comments_words(self) -> str:
        return comments_words(len(self.comments))

    @property
    def earlier_comments(self) -> int:
        """How many comments there are before the latest, which show."""
        return max(0, len(self.comments) - MOST_COMMENTS)

    @property
    def latest_comments(self) -> Sequence[Comment]:
        return self.comments[-MOST_COMMENTS:]

    @property
    def is_one_sided(self) -> bool:
        return self.change.operation in (Operation.CREATE, Operation.DELETE)
