"""How much of values one page holds, so that it stays quick whatever a source sends. What it leaves out, it says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from .cells import Cell, Patience
from .folding import CLAMP_CHARACTERS, CLAMP_LINES, Stretch, fitted
from .presentation import Row, Unchanged


@dataclass(slots=True)
class Share:
    """Of what a page holds, so much is left; one place gets `most` at most, and `least` even where nothing is left."""

    left: int
    most: int
    least: int

    def take(self, wanted: int) -> int:
        taken = min(wanted, self.most, max(self.left, self.least))
        self.left -= taken
        return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """`characters` of a cell, `places` that differ in a structured field, `links` of a cell; and time."""

    characters: Share
    places: Share
    links: Share
    patience: Patience = field(default_factory=Patience)

    @classmethod
    def of_many(cls) -> Room:
        """For a page of many changes."""
        return cls(
            characters=Share(400_000, 100_000, CLAMP_CHARACTERS),
            places=Share(600, 40, 8),
            links=Share(1_500, 300, CLAMP_LINES),
        )

    @classmethod
    def of_one(cls) -> Room:
        """For a page that shows one change alone."""
        return cls(
            characters=Share(4_000_000, 2_000_000, CLAMP_CHARACTERS),
            places=Share(1_500, 1_500, 8),
            links=Share(5_000, 5_000, CLAMP_LINES),
        )

    def row(self, row: Row) -> Row:
        agreed = self.cell(row.agreed) if row.agreed_rows else row.agreed
        return replace(row, here=self.cell(row.here), incoming=self.cell(row.incoming), agreed=agreed)

    def unchanged(self, field: Unchanged) -> Unchanged:
        return replace(field, value=self.cell(field.value))

    def cell(self, cell: Cell) -> Cell:
        """A cell with as much in it as there is room for."""
        if cell.items or cell.kept:
            own = self.links.take(len(cell.items))
            kept = self.links.take(len(cell.kept)) if cell.names_kept else len(cell.kept)
            left_out = len(cell.items) - own, len(cell.kept) - kept
            return replace(cell, items=cell.items[:own], kept=cell.kept[:kept], left_out=left_out)
        shown = _size(cell.stretches)
        if cell.rest is None:
            return replace(cell, stretches=fitted(cell.stretches, self.characters.take(shown)))
        taken = self.characters.take(shown + _size(cell.rest.stretches))
        rest = replace(cell.rest, stretches=fitted(cell.rest.stretches, max(0, taken - shown)))
        return replace(cell, stretches=fitted(cell.stretches, taken), rest=rest)


def _size(stretches: Iterable[Stretch]) -> int:
    return sum(len(stretch.text) for stretch in stretches)
