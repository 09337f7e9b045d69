"""What is selected of a model's rows, and how a chunk of them becomes the texts of keys and records.

Column by column: a member gives, for all rows of a chunk, the JSON of one member of their records.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, repeat
from typing import Any

from django.db.models import Q

from data_sync.core import canonical
from data_sync.core.errors import MalformedStream, RecordError

from .among import among
from .batches import batches
from .collation import known_forms
from .columns import Column, column_of
from .files import Checksums
from .generic_targets import GenericKeys, NoTarget
from .references import KeyParts, KeysOfRows, null_in_key
from .resolution import target_schema
from .schema import Generic, KeyPart, Link, ModelSchema, Value
from .tables import table

PK = "pk"
"""Name, among a local record's carried values, of the row's primary key."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows, as columns. `spans`: they are all rows between the first and the last primary key.

    `texts` keeps what became of a column, by its place, for members that want it too.
    """

    columns: Sequence[tuple[Any, ...]]
    spans: bool
    texts: dict[int, list[str]] = field(default_factory=dict)

    @property
    def pks(self) -> tuple[Any, ...]:
        return self.columns[0]


Member = Callable[[Chunk], list[str]]
"""Gives, for each row of a chunk, the JSON of one member of its record."""

UNREADABLE = (ValueError, TypeError, ArithmeticError, MalformedStream)


class Members:
    """The members of one model's records. With a constant number of queries a chunk.

    `columns` are to be selected; `checksums` are those of each field of files. With `handles`, records carry primary
    keys; with `bare`, nothing stands beside them.
    """

    def __init__(self, schema: ModelSchema, using: str, *, handles: bool = False, bare: bool = False) -> None:
        self._schema = schema
        self._using = using
        self.checksums = {file.name: Checksums(schema, file, using) for file in schema.files}
        self._keys = {
            reference.name: KeysOfRows(reference.target, reference.field.target_field.name, using)
            for reference in schema.references
        } | {link.name: KeysOfRows(link.target, "pk", using) for link in schema.links}
        self._generic_keys = {generic.name: GenericKeys(generic, using) for generic in schema.generics}
        self.columns: list[Any] = ["pk"]
        self._key = [self._key_member(part) for part in schema.key]
        fields = self._field_members()
        files: dict[str, Member] = {
            file.name: partial(self._files, file.name, self._select(file.name)) for file in schema.files
        }
        self._members = [*fields.values(), *files.values()]
        self._form = f"[{_quote(schema.label)},%s,{_object_form(fields)},{_object_form(files)}]"
        self._carried = {} if bare else {value.name: self._value_member(value) for value in schema.carried}
        if handles:
            self._carried[PK] = self._handles

    def keys_of(self, chunk: Chunk) -> list[str]:
        """The canonical text of each row's key."""
        return list(map(canonical.array, zip(*(member(chunk) for member in self._key), strict=True)))

    def texts(self, chunk: Chunk, keys: Sequence[str]) -> Iterator[str]:
        """The canonical text of each row's record."""
        return map(self._form.__mod__, zip(keys, *(member(chunk) for member in self._members), strict=True))

    def besides(self, chunk: Chunk) -> Iterable[str]:
        """What travels beside each record: carried values, and names of files."""
        parts: list[Iterable[str]] = []
        if self._carried:
            members = dict(sorted(self._carried.items()))
            form = f'"carried":{_object_form(members)}'
            parts.append(map(form.__mod__, zip(*(member(chunk) for member in members.values()), strict=True)))
        if self._schema.files:
            parts.append(self._names(chunk))
        if not parts:
            return repeat("{}", len(chunk.pks))
        return (f"{{{','.join(filter(None, of_row))}}}" for of_row in zip(*parts, strict=True))

    # What to select, and what becomes of it

    def _select(self, column: Any) -> int:
        """The place of a column in what is selected."""
        if isinstance(column, str) and column in self.columns:
            return self.columns.index(column)
        self.columns.append(column)
        return len(self.columns) - 1

    def _field_members(self) -> dict[str, Member]:
        members = {value.name: self._value_member(value) for value in self._schema.values}
        for reference in self._schema.references:
            place = self._select(reference.field.attname)
            members[reference.name] = partial(self._references, reference.name, place)
        for link in self._schema.links:
            members[link.name] = partial(self._links, link)
        for generic in self._schema.generics:
            type_place, object_place = map(self._select, (generic.type_field.attname, generic.object_field.attname))
            members[generic.name] = partial(self._generics, generic, type_place, object_place)
        return dict(sorted(members.items()))

    def _value_member(self, value: Value) -> Member:
        column = column_of(value.name, value.field, value.codec, self._using)
        return partial(self._values, value.name, column, self._select(column.selected))

    def _key_member(self, part: KeyPart) -> Member:
        """A part of the row's key: taken from the key of what the row refers to where it can be, else selected."""
        name, *rest = part.path
        if rest:
            reference = next(ref for ref in self._schema.references if ref.name == name)
            theirs = [list(other.path) for other in target_schema(reference).key]
            if rest in theirs:
                return partial(self._key_references, part, theirs.index(rest), self._select(reference.field.attname))
        column = column_of(part.lookup, part.leaf, part.codec, self._using)
        return partial(self._key_values, part, column, self._select(column.selected))

    # Members

    def _handles(self, chunk: Chunk) -> list[str]:
        return [str(pk) if isinstance(pk, int) else canonical.quote(str(pk)) for pk in chunk.pks]

    def _values(self, name: str, column: Column, place: int, chunk: Chunk) -> list[str]:
        values = chunk.columns[place]
        if place in chunk.texts:
            return chunk.texts[place]
        try:
            texts = chunk.texts[place] = column.to_texts(values)
            return texts
        except UNREADABLE:
            for pk, value in zip(chunk.pks, values, strict=True):
                try:
                    column.to_texts([value])
                except UNREADABLE as error:
                    why = "it holds no value of its type" if name in self._schema.redacted else error
                    raise RecordError(f"{self._row(pk)} cannot be read: {name}: {why}.") from None
            raise

    def _key_values(self, part: KeyPart, column: Column, place: int, chunk: Chunk) -> list[str]:
        self._refuse_null(part, place, chunk)
        return self._values(".".join(part.path), column, place, chunk)

    def _refuse_null(self, part: KeyPart, place: int, chunk: Chunk) -> None:
        if None in chunk.columns[place]:
            pk = chunk.pks[chunk.columns[place].index(None)]
            raise null_in_key(self._schema, part, f"primary key {pk!r}")

    def _references(self, name: str, place: int, chunk: Chunk) -> list[str]:
        texts = {target: canonical.array(key) for target, key in self._targets(name, place, chunk).items()}
        return [texts.get(target, "null") for target in chunk.columns[place]]

    def _key_references(self, part: KeyPart, index: int, place: int, chunk: Chunk) -> list[str]:
        self._refuse_null(part, place, chunk)
        targets = self._targets(part.path[0], place, chunk)
        return [targets[target][index] for target in chunk.columns[place]]

    def _targets(self, name: str, place: int, chunk: Chunk) -> dict[Any, KeyParts]:
        """The keys of the rows that a chunk refers to. Raises `RecordError` where there is no such row."""
        column = chunk.columns[place]
        wanted = set(column) - {None}
        known = self._keys[name].load(wanted)
        for target in wanted:
            if target not in known:
                raise RecordError(
                    f"{self._row(chunk.pks[column.index(target)])} refers by {name} to a row that does not exist"
                    f"{self._which(name, target)}. Mend the reference."
                )
        return {target: known[target] for target in wanted}

    def _links(self, link: Link, chunk: Chunk) -> list[str]:
        """The keys that each row is linked with, in canonical order."""
        if not chunk.pks:
            return []
        rows = table(link.through, self._using)
        column, pks = link.source_column, chunk.pks
        # A range is quicker to select than lists.
        span = {f"{column}__gte": pks[0], f"{column}__lte": pks[-1]}
        selections = [Q(**span)] if chunk.spans else [among(column, batch) for batch in batches(pks)]
        of_rows = (rows.filter(selection).values_list(column, link.target_column) for selection in selections)
        pairs = list(chain.from_iterable(of_rows))
        targets = {target for _, target in pairs}
        known = self._keys[link.name].load(targets)
        texts = {target: canonical.array(known[target]) for target in targets if target in known}
        if len(texts) < len(targets):
            source, target = next(pair for pair in pairs if pair[1] not in texts)
            raise RecordError(
                f"{self._row(source)} is linked by {link.name} to a row that does not exist"
                f"{self._which(link.name, target)}. Mend the link."
            )
        same = known_forms(self._schema.pk, (source for source, _ in pairs), pks, self._using)
        linked: defaultdict[Any, list[str]] = defaultdict(list)
        for source, target in pairs:
            linked[same.get(source, source)].append(texts[target])
        return [f"[{','.join(sorted(linked[pk]))}]" if pk in linked else "[]" for pk in pks]

    def _generics(self, generic: Generic, type_place: int, object_place: int, chunk: Chunk) -> list[str]:
        """What each row refers to by a generic foreign key. Raises `RecordError` where a record cannot say it."""
        pairs = list(zip(chunk.columns[type_place], chunk.columns[object_place], strict=True))
        try:
            texts = self._generic_keys[generic.name].texts(pairs)
        except NoTarget as missing:
            to = "what is not there" if generic.name in self._schema.redacted else missing.why
            raise RecordError(
                f"{self._row(chunk.pks[pairs.index(missing.pair)])} refers by {generic.name} to {to}. "
                "Mend the reference, register the model, or exclude the field."
            ) from None
        return [texts[pair] for pair in pairs]

    def _files(self, name: str, place: int, chunk: Chunk) -> list[str]:
        names = chunk.columns[place]
        stored = self.checksums[name].read([name for name in names if name])
        return [
            canonical.dumps({"checksum": stored[name].checksum, "size": stored[name].size}) if name else "null"
            for name in names
        ]

    def _names(self, chunk: Chunk) -> Iterator[str]:
        fields = [file.name for file in self._schema.files]
        for names in zip(*(chunk.columns[self._select(name)] for name in fields), strict=True):
            by_field = {name: file for name, file in zip(fields, names, strict=True) if file}
            yield f'"names":{canonical.dumps(by_field)}' if by_field else ""

    def _which(self, name: str, target: Any) -> str:
        return "" if name in self._schema.redacted else f" ({target!r})"

    def _row(self, pk: Any) -> str:
        return f"The row of {self._schema.model._meta.label} with primary key {pk!r}"


def _quote(text: str) -> str:
    """For use in a form."""
    return canonical.quote(text).replace("%", "%%")


def _object_form(names: Mapping[str, Any]) -> str:
    return "{" + ",".join(f"{_quote(name)}:%s" for name in names) + "}"
