"""One change as a review shows it. Pure: from a `Change`, its model's shape and its neighbours to a `Card`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from data_sync.core.records import key_text
from data_sync.models import Change
from data_sync.services.content import concealed
from data_sync.services.moved import Moved

from .agreed import as_it_is_now, earlier_of, with_earlier
from .conflicts import conflict_of, moved_row_of
from .effects import effects_of, restored
from .kept import with_boxes
from .presentation import Card, ModelShape, Neighbour, Row
from .room import Room
from .rows import PlaceOfFile, RowsOfChange


def build_card(
    row_change: Change,
    shape: ModelShape,
    neighbours: Mapping[int, Neighbour],
    place_of: PlaceOfFile,
    room: Room,
    moved: Moved | None = None,
    redacted: Collection[str] = (),
) -> Card:
    """`neighbours` are the changes that it requires, by number; those that are unknown are left out.

    A row that has `moved` since the pull is shown as it is now, beside what it was then. The card has no value of the
    `redacted` fields anywhere, its `change` neither.
    """
    earlier = earlier_of(row_change, moved)
    compared = as_it_is_now(row_change, moved, redacted)
    row_change = concealed(compared, redacted)
    required = tuple(neighbours[number] for number in row_change.requires if number in neighbours)
    builder = RowsOfChange(row_change, shape, required, place_of, room, redacted)
    rows, unchanged = tuple(builder.rows()), tuple(builder.unchanged())
    shown: Iterable[Row] = [row for row in rows if not builder.says_nothing(row)]
    if earlier is not None:
        shown = with_earlier(shown, compared, earlier, builder.agreed)
    return Card(
        change=row_change,
        model_name=shape.name,
        rows=tuple(map(room.row, with_boxes(shown, row_change))),
        without_value=tuple(row for row in rows if builder.says_nothing(row)),
        unchanged=tuple(map(room.unchanged, unchanged)),
        requires=tuple(other for other in required if other.number not in builder.mentioned or other.is_rejected),
        effects=(*effects_of(row_change.cascades), *restored(row_change.restores)),
        conflict=conflict_of(row_change),
        moved=moved_row_of(row_change, moved, lambda name: shape.field(name).label),
        earlier=None if earlier is None else earlier.kind,
        previous_key=key_text(tuple(row_change.previous_key)) if row_change.previous_key is not None else "",
    )
