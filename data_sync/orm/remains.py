"""What deletes are about to take away, read so that it can be brought back: every column of every row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models

from data_sync.core import canonical
from data_sync.registry.inheritance import is_own, tables_of

from .among import among
from .batches import batches
from .cascades import STAYING, Reaches, Row
from .going import own_links
from .inheritance import keys_in_table
from .sensitive import is_withheld
from .tables import table
from .values import Field, column_codec

ROOT = "root"
Model = type[models.Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """A row that goes with `root`, or is altered by its delete, as it is before.

    `effect` is `ROOT` for the deleted row itself, else that of a `Cascade`; `column` the reference by which it is
    reached. `values` has what the columns hold, JSON-plain, by field name: all of the row's own tables, or just
    `column` of a row that stays. None where they are withheld, being sensitive, or are nothing that the field knows.
    """

    root: Row
    model: Model
    pk: Any
    effect: str
    column: str
    values: dict[str, Any] | None


_Place = tuple[Row, Model, Any, str, str]


def remains_of(reaches: Reaches, using: str) -> Iterator[Remains]:
    """Each root with what it reaches, as the database has it; a few queries a table and batch."""
    places = list(dict.fromkeys(_places(reaches, using)))
    wanted: dict[tuple[Model, str], dict[Any, None]] = {}
    for _, model, pk, effect, column in places:
        wanted.setdefault((model, column if effect in STAYING else ""), {})[pk] = None
    found = {which: _read(*which, list(pks), using) for which, pks in wanted.items()}
    for root, model, pk, effect, column in places:
        values = found[model, column if effect in STAYING else ""]
        if pk in values:
            yield Remains(root=root, model=model, pk=pk, effect=effect, column=column, values=values[pk])


def _places(reaches: Reaches, using: str) -> Iterator[_Place]:
    for root, reach in reaches.items():
        yield (root, *root, ROOT, "")
        gone: dict[Model, dict[Any, None]] = {}
        seen: set[Row] = set()
        for cascade in reach.cascades:
            row = (cascade.model, cascade.pk)
            if cascade.effect not in STAYING:
                if row in seen:
                    continue
                seen.add(row)
                if cascade.effect == "delete":
                    gone.setdefault(cascade.model, {})[cascade.pk] = None
            yield root, cascade.model, cascade.pk, cascade.effect, cascade.column
        for model, pks in gone.items():
            for through, pk, column in _links_of(model, list(pks), using):
                if (through, pk) not in seen:
                    seen.add((through, pk))
                    yield root, through, pk, "unlink", column


def _links_of(model: Model, pks: Sequence[Any], using: str) -> Iterator[tuple[Model, Any, str]]:
    """Rows of plain many-to-many tables that are part of rows which go along."""
    for part in tables_of(model):
        for column in own_links(part):
            for batch in batches(keys_in_table(model, part, pks, using).values()):
                rows = table(column.model, using).filter(among(column.attname, batch)).order_by("pk")
                yield from ((column.model, pk, column.name) for pk in rows.values_list("pk", flat=True))


def own_columns(model: Model) -> list[Field]:
    """The columns that hold a row's own part, in all of its own tables."""
    return [field for field in model._meta.concrete_fields if is_own(model, field) and not field.generated]


def _read(model: Model, column: str, pks: Sequence[Any], using: str) -> dict[Any, dict[str, Any] | None]:
    """By primary key, the values of one column, or of all where none is named."""
    fields = own_columns(model)
    if column:
        fields = [field for field in fields if field.name == column]
    withheld = is_withheld(model, [field.name for field in fields])
    codecs = [column_codec(field) for field in fields]
    columns = [
        codec.expression(field.name) if codec.expression else field.attname
        for field, codec in zip(fields, codecs, strict=True)
    ]
    found: dict[Any, dict[str, Any] | None] = {}
    for batch in batches(pks):
        rows = table(model, using).filter(among("pk", batch))
        for pk, *values in rows.values_list("pk", *([] if withheld else columns)):
            found[pk] = None if withheld else _plain(zip(fields, codecs, values, strict=True))
    return found


def _plain(columns: Iterable[Any]) -> dict[str, Any] | None:
    try:
        return {
            field.name: None if value is None else canonical.loads(codec.to_text(value))
            for field, codec, value in columns
        }
    except (ValueError, TypeError):
        return None
