"""Which column of a sheet gives which member of a model's records: by name, references by the paths of their keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from data_sync.core import canonical
from data_sync.core.cells import EMPTY_TEXT, meant
from data_sync.core.errors import MalformedSheet
from data_sync.orm.cells import checked, plain_of
from data_sync.orm.resolution import schemas, target_schema
from data_sync.orm.schema import Generic, KeyPart, Link, ModelSchema, Path, Reference, Value

from .sheet_rows import MAX_COLUMNS, Unusable

_FILL = f"Fill it in; {EMPTY_TEXT} stands for an empty text."
Clean = Callable[[Mapping[str, Any]], Any]
"""What a project's own resource makes of a row's cell, given by header: the Python value. Raises what it likes."""


class CellRefused(ValueError):
    """A cell cannot be used. `index` is its column's, counted from 0; the message follows its name."""

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


@dataclass(frozen=True, slots=True)
class Target:
    """What a column gives: a member of the record as a whole, or the part of a key at a path."""

    member: str
    path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of one sheet: by target, where in its rows each stands.

    `members` are the members of a record's `fields` that the sheet has, `carried` those that travel beside them.
    """

    schema: ModelSchema
    has_types: bool
    headers: Sequence[str]
    places: Mapping[Target, int]
    cleans: Mapping[str, Clean] = field(default_factory=dict)

    @property
    def members(self) -> tuple[str, ...]:
        given = {target.member for target in self.places}
        return tuple(name for name in self.schema.field_names if name in given)

    def value(self, value: Value, cells: Sequence[Any]) -> Any:
        index = self.places[Target(value.name)]
        clean = self.cleans.get(value.name)
        if clean is None:
            return self._plain(value, cells, index)
        self._cell(cells, index)  # Refused, if it has no value.
        try:
            cleaned = clean({name: self._given(cell) for name, cell in zip(self.headers, cells, strict=False)})
        except Exception as error:
            raise CellRefused(index, f"is refused by the resource: {str(error)[:200]}") from error
        try:
            if cleaned is None:
                return plain_of(value.field, value.codec, None, has_types=True)
            return canonical.loads(value.codec.to_text(_as_selected(value, cleaned)))
        except Exception as error:
            raise CellRefused(
                index, f"became {type(cleaned).__name__} by the resource, which the column does not take. Correct it."
            ) from error

    def reference(self, reference: Reference, cells: Sequence[Any]) -> list[Any] | None:
        """The natural key that a row refers to; None where all its cells are empty."""
        parts = target_schema(reference).key
        whole = self.places.get(Target(reference.name))
        if whole is not None:
            cell = self._cell(cells, whole)
            if cell is None:
                self._require_null(reference, whole)
                return None
            return self._key(parts, cell, whole)
        at = [self.places[Target(reference.name, part.path)] for part in parts]
        given = [self._cell(cells, index) for index in at]
        if all(cell is None for cell in given):
            self._require_null(reference, at[0])
            return None
        if None in given:
            raise CellRefused(
                at[given.index(None)], f"is empty, and other columns of {reference.name} are not. {_FILL}"
            )
        return [self._plain(part, cells, index) for part, index in zip(parts, at, strict=True)]

    def link(self, link: Link, cells: Sequence[Any]) -> list[Any]:
        """The natural keys of the rows that are linked, in canonical order."""
        index = self.places[Target(link.name)]
        cell, parts = self._cell(cells, index), target_schema(link).key
        if cell is None:
            return []
        if isinstance(cell, str) and not (cell.lstrip().startswith("[") or len(parts) > 1):
            items: list[Any] = [meant(name.strip()) for name in cell.split(",") if name.strip()]
        else:
            items = self._list(cell, index, f"a JSON list of keys, such as {_example(parts)}")
        keys = {canonical.dumps(key): key for key in (self._key(parts, item, index, is_item=True) for item in items)}
        return [keys[text] for text in sorted(keys)]

    def generic(self, generic: Generic, cells: Sequence[Any]) -> Any:
        index = self.places[Target(generic.name)]
        cell = self._cell(cells, index)
        if cell is None:
            if not generic.null:
                raise CellRefused(index, "is empty, and every row refers to one. Fill it in.")
            return None
        match self._list(cell, index, 'a JSON list such as ["shop.product", ["SKU-1"]]'):
            case [str(label), list(key)]:
                schema = schemas().get(label)
                return [label, key if schema is None else self._key(schema.key, key, index, is_item=True)]
        raise CellRefused(index, 'is no label with a key. Write a JSON list such as ["shop.product", ["SKU-1"]].')

    def key(self, fields: Mapping[str, Any], cells: Sequence[Any]) -> tuple[Any, ...]:
        """The natural key of the row, of which `fields` has what the record will have."""
        return tuple(self._key_part(part, fields, cells) for part in self.schema.key)

    def name(self, index: int) -> str:
        return self.headers[index] if index < len(self.headers) else ""

    def _key_part(self, part: KeyPart, fields: Mapping[str, Any], cells: Sequence[Any]) -> Any:
        member, *rest = part.path
        own = self.places.get(Target(member, part.path)) if rest else None
        if own is not None:
            value, index = self._plain(part, cells, own), own
        elif rest:
            reference = next(one for one in self.schema.references if one.name == member)
            paths = [one.path for one in target_schema(reference).key]
            referred = fields[member]
            value = None if referred is None else referred[paths.index(tuple(rest))]
            index = next(at for target, at in self.places.items() if target.member == member)
        else:
            value, index = fields[member], self.places[Target(member)]
        if value is None or (own is None and not rest and self._cell(cells, index) is None):
            raise CellRefused(index, f"is empty, and is part of the natural key. {_FILL}")
        return value

    def _require_null(self, reference: Reference, index: int) -> None:
        if not reference.field.null:
            raise CellRefused(index, "is empty, and every row refers to one. Fill it in.")

    def _key(self, parts: Sequence[KeyPart], cell: Any, index: int, *, is_item: bool = False) -> list[Any]:
        """A natural key from one cell, or from an item of a list: of one part as it is, of several a list."""
        if len(parts) == 1 and not isinstance(cell, list):
            given: list[Any] = [cell]
        else:
            given = (
                cell if is_item and isinstance(cell, list) else self._list(cell, index, f"a JSON list {_key_of(parts)}")
            )
        if len(given) != len(parts) or any(isinstance(item, list | dict) or item is None for item in given):
            raise CellRefused(index, f"is no key of {len(parts)} parts without null. Write {_key_of(parts)}.")
        return [self._item(part, item, index) for part, item in zip(parts, given, strict=True)]

    def _item(self, part: KeyPart, item: Any, index: int) -> Any:
        try:
            return plain_of(part.leaf, part.codec, item, has_types=self.has_types)
        except ValueError as error:
            raise CellRefused(index, str(error)) from None

    def _list(self, cell: Any, index: int, wanted: str) -> list[Any]:
        if isinstance(cell, str):
            try:
                cell = json.loads(canonical.dumps(canonical.loads_bounded(cell)), parse_float=Decimal)
            except Exception:
                raise CellRefused(index, f"is no JSON. Write {wanted}.") from None
        if not isinstance(cell, list):
            raise CellRefused(index, f"is no list. Write {wanted}.")
        try:
            checked(cell)
        except ValueError as error:
            raise CellRefused(index, str(error)) from None
        return cell

    def _plain(self, column: Value | KeyPart, cells: Sequence[Any], index: int) -> Any:
        of = column.field if isinstance(column, Value) else column.leaf
        try:
            return plain_of(of, column.codec, self._cell(cells, index), has_types=self.has_types)
        except CellRefused:
            raise
        except ValueError as error:
            raise CellRefused(index, str(error)) from None

    def _cell(self, cells: Sequence[Any], index: int) -> Any:
        cell = cells[index] if index < len(cells) else None
        if isinstance(cell, Unusable):
            raise CellRefused(index, cell.reason)
        return self._given(cell)

    def _given(self, cell: Any) -> Any:
        """A cell without its mark; None where it has no value."""
        if isinstance(cell, Unusable):
            return None
        return meant(cell) if isinstance(cell, str) and not self.has_types else cell


def _as_selected(value: Value, cleaned: Any) -> Any:
    """What the codec's `to_text` takes: of JSON columns, their text."""
    return canonical.dumps(canonical.normalise(cleaned)) if value.codec.expression is not None else cleaned


def headers_of(schema: ModelSchema) -> dict[str, Target]:
    """Every header that a sheet of the model may have, the usual ones first in the order of the record's members.

    A reference has a column for each part of its key, by the path to it; `alternatives_of` has the other form.
    """
    found: dict[str, Target] = {}
    references = {reference.name: reference for reference in schema.references}
    for name in schema.field_names:
        if name in references:
            for part in target_schema(references[name]).key:
                found[".".join((name, *part.path))] = Target(name, part.path)
        else:
            found[name] = Target(name)
    for part in schema.key:
        if len(part.path) > 1:
            # A reference's key may not have it: then it needs a column of its own.
            found.setdefault(".".join(part.path), Target(part.path[0], part.path))
    return found


def alternatives_of(schema: ModelSchema) -> dict[str, Target]:
    """Headers that may stand instead: a reference's own name, for all of its key; what travels along (`auto_now`)."""
    carried = {value.name: Target(value.name) for value in schema.carried}
    return carried | {reference.name: Target(reference.name) for reference in schema.references}


def columns_of(
    schema: ModelSchema,
    headers: Sequence[Any],
    *,
    has_types: bool,
    aliases: Mapping[str, str] | None = None,
    ignored: Iterable[str] = (),
    cleans: Mapping[str, Clean] | None = None,
) -> Columns:
    """Raises `MalformedSheet` for a header that is unknown, empty or there twice, and for a key that is not whole.

    `aliases` are the names that a project's own resource gives columns, with what they stand for.
    """
    names = ["" if name is None else str(name).strip() for name in headers]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise MalformedSheet(f"It has no header row. {_known(schema)}")
    if len(names) > MAX_COLUMNS:
        raise MalformedSheet(f"It has more than {MAX_COLUMNS:,} columns. Remove some.")
    targets = headers_of(schema) | alternatives_of(schema)
    places: dict[Target, int] = {}
    for index, name in enumerate(names):
        if name in ignored:
            continue
        target = targets.get((aliases or {}).get(name, name)) or targets.get(name.replace("__", "."))
        if target is None:
            raise MalformedSheet(_unknown(schema, name, index))
        if target in places:
            raise MalformedSheet(
                f"The columns {places[target] + 1} (“{names[places[target]]}”) and {index + 1} (“{name}”) give the "
                "same. Remove one."
            )
        places[target] = index
    columns = Columns(schema=schema, has_types=has_types, headers=names, places=places, cleans=cleans or {})
    _refuse_parts(columns)
    return columns


def _unknown(schema: ModelSchema, name: str, index: int) -> str:
    if not name:
        return f"Column {index + 1} has no header. Name it, or remove it. {_known(schema)}"
    if any(name == file.name for file in schema.files):
        return f"The column “{name}” is a file, and files do not travel in sheets. Remove it; a bundle brings files."
    if name in ("id", "pk", schema.pk.name):
        return (
            f"The column “{name}” is the primary key, which is another one in every environment. Remove it: rows are "
            f"known by {', '.join('.'.join(part.path) for part in schema.key)}."
        )
    return f"{schema.label} has no column “{name[:100]}”. Rename it, or remove it. {_known(schema)}"


def _known(schema: ModelSchema) -> str:
    return f"Known are: {', '.join(headers_of(schema))}."


def _refuse_parts(columns: Columns) -> None:
    """A reference has all parts of its key, and the natural key is whole."""
    schema, places = columns.schema, columns.places
    for reference in schema.references:
        parts = {part.path: Target(reference.name, part.path) for part in target_schema(reference).key}
        given = [path for path, target in parts.items() if target in places]
        if Target(reference.name) in places:
            if given:
                raise MalformedSheet(
                    f"{reference.name} has a column of its own and others for its parts. Keep one form."
                )
        elif given and len(given) < len(parts):
            lacking = [".".join((reference.name, *path)) for path in parts if path not in given]
            raise MalformedSheet(f"{reference.name} needs all parts of its key. Add the column {', '.join(lacking)}.")
    lacking = [".".join(part.path) for part in schema.key if not _has_key_part(columns, part)]
    if lacking:
        raise MalformedSheet(
            f"It lacks {', '.join(lacking)}: no row of {schema.label} is known without all columns of its natural key. "
            "Add what is lacking."
        )


def _has_key_part(columns: Columns, part: KeyPart) -> bool:
    member, *rest = part.path
    if not rest:
        return Target(member) in columns.places
    reference = next((one for one in columns.schema.references if one.name == member), None)
    if reference is None or member not in columns.members:
        return False
    told = {one.path for one in target_schema(reference).key}
    return tuple(rest) in told or Target(member, part.path) in columns.places


def _key_of(parts: Sequence[KeyPart]) -> str:
    return f"[{', '.join('.'.join(part.path) for part in parts)}]"


def _example(parts: Sequence[KeyPart]) -> str:
    return f"[{_key_of(parts)}, …]"
