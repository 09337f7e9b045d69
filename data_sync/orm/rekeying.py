"""What renamed rows do to the keys of others: a new key of a parent is a new key of its children."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

from data_sync.core import canonical
from data_sync.core.records import Key, Record

from .resolution import schemas, target_schema
from .schema import Link, ModelSchema, Path, Reference

Renamed = tuple[str, str]
"""A row that is renamed: label, and canonical text of the key that it has had."""

CACHED = 20_000
"""So many keys are remembered, each with what becomes of it: many rows refer to one."""


@dataclass(frozen=True, slots=True)
class Moved:
    """The key that a row has on the other side of some renames, and the renamed rows which that comes from."""

    text: str
    causes: frozenset[Renamed] = frozenset()

    @property
    def key(self) -> list[Any]:
        return _loads(self.text)


_Move = Callable[[str, str], Moved]


class Rekeying:
    """Rewrites keys and records as they will be once some rows are renamed, and finds the keys that they have now.

    `renamed` has the new key of each, and must not change meanwhile. It is the only thing here that grows: with the
    renames, not with what refers to them.
    """

    def __init__(self, compared: Mapping[str, ModelSchema], renamed: Mapping[Renamed, Key]) -> None:
        self._compared = compared
        self._renamed = renamed
        labels = {label for label, _ in renamed}
        self._reached = {label for label, schema in compared.items() if is_reached_by(schema, labels)}
        self._forward = lru_cache(CACHED)(self._new)
        self._backward = lru_cache(CACHED)(self._old)

    # Forward

    def record(self, record: Record) -> Record:
        """The record with the new keys of all that it refers to; its own renaming is not done."""
        return self.with_causes(record)[0]

    def with_causes(self, record: Record) -> tuple[Record, frozenset[Renamed]]:
        """The same, with the renamed rows that it comes from; without any, the record itself."""
        if record.model not in self._reached:
            return record, frozenset()
        schema = self._compared[record.model]
        causes: set[Renamed] = set()
        fields = dict(record.fields)
        for reference in schema.references:
            if fields.get(reference.name) is not None:
                fields[reference.name] = self._renew(target_schema(reference), fields[reference.name], causes)
        for link in schema.links:
            keys = [self._renew(target_schema(link), key, causes) for key in fields[link.name]]
            fields[link.name] = sorted(keys, key=canonical.dumps)
        for generic in schema.generics:
            value = fields[generic.name]
            if value is not None and value[0] in schemas():
                fields[generic.name] = [value[0], self._renew(schemas()[value[0]], value[1], causes)]
        key = _through(schema, list(record.key), causes, self._forward)
        return (replace(record, key=tuple(key), fields=fields) if causes else record), frozenset(causes)

    def key(self, label: str, text: str) -> Moved:
        """The key that the row of a model with this key (canonical text) will have."""
        return self._forward(label, text) if self._renamed else Moved(text)

    def key_by_parents(self, label: str, text: str) -> Moved:
        """The same, of a row that is not renamed itself."""
        return _by_parts(label, text, self._forward) if self._renamed else Moved(text)

    def _renew(self, schema: ModelSchema, key: list[Any], causes: set[Renamed]) -> list[Any]:
        """The new key of a row; `causes` gains the renamed rows that it comes from."""
        moved = self._forward(schema.label, canonical.dumps(key))
        causes |= moved.causes
        return moved.key if moved.causes else key

    def _new(self, label: str, text: str) -> Moved:
        row = (label, text)
        if row in self._renamed:
            return Moved(canonical.dumps(list(self._renamed[row])), frozenset([row]))
        return _by_parts(label, text, self._forward)

    # Backward

    def former(self, label: str, text: str) -> Moved | None:
        """The key that a row has now which will have this one. None where no row that there is now can have it."""
        return self._checked(self._backward(label, text), label, text) if self._renamed else Moved(text)

    def former_by_parents(self, label: str, text: str) -> Moved | None:
        """The same, of a row that is not renamed itself."""
        if not self._renamed:
            return Moved(text)
        return self._checked(_by_parts(label, text, self._backward), label, text)

    def _checked(self, former: Moved, label: str, text: str) -> Moved | None:
        """A row that has the former key now may get another: then what will have the key is new."""
        return former if self._forward(label, former.text).text == text else None

    @cached_property
    def _renamed_to(self) -> dict[Renamed, str]:
        """By label and new key, the old one."""
        return {(label, canonical.dumps(list(new))): old for (label, old), new in self._renamed.items()}

    def _old(self, label: str, text: str) -> Moved:
        old = self._renamed_to.get((label, text))
        if old is not None:
            return Moved(old, frozenset([(label, old)]))
        return _by_parts(label, text, self._backward)


def is_reached_by(schema: ModelSchema, labels: Collection[str]) -> bool:
    """Whether renames of rows of these models can alter what records of a model say."""
    if not labels:
        return False
    relations: list[Reference | Link] = [*schema.references, *schema.links]
    met = (in_key(schema) - {schema.label}).union(*(in_key(target_schema(relation)) for relation in relations))
    return bool(schema.generics) or not met.isdisjoint(labels)


def in_key(schema: ModelSchema) -> set[str]:
    """Labels of the models whose keys a model's key is made of, its own among them."""
    found: set[str] = set()
    _add_key_of(schema, found)
    return found


def _add_key_of(schema: ModelSchema, found: set[str]) -> None:
    if schema.label not in found:
        found.add(schema.label)
        _add_passed(schema, [part.path for part in schema.key], found)


def _add_passed(schema: ModelSchema, paths: Collection[Path], found: set[str]) -> None:
    for name in dict.fromkeys(path[0] for path in paths if len(path) > 1):
        reference = _reference(schema, name)
        if reference is not None:
            target = target_schema(reference)
            _add_key_of(target, found)
            _add_passed(target, [path[1:] for path in paths if path[0] == name], found)


def _by_parts(label: str, text: str, move: _Move) -> Moved:
    """The key of a row that is not renamed itself, moved."""
    causes: set[Renamed] = set()
    key = _through(schemas()[label], _loads(text), causes, move)
    return Moved(canonical.dumps(key) if causes else text, frozenset(causes))


def _through(schema: ModelSchema, key: list[Any], causes: set[Renamed], move: _Move) -> list[Any]:
    """The key with what it takes from the keys of referenced rows moved; `causes` gains the renamed rows behind it."""
    moved = list(key)
    _move_parts(schema, {part.path: place for place, part in enumerate(schema.key)}, moved, causes, move)
    return moved


def _move_parts(
    schema: ModelSchema, places: Mapping[Path, int], key: list[Any], causes: set[Renamed], move: _Move
) -> None:
    """Moves what lies behind references. `places` has, by path from a row of the model, where in `key` values are."""
    for name in dict.fromkeys(path[0] for path in places if len(path) > 1):
        reference = _reference(schema, name)
        if reference is None:
            continue
        target = target_schema(reference)
        behind = {path[1:]: place for path, place in places.items() if path[0] == name and len(path) > 1}
        if all(part.path in behind for part in target.key):
            moved = move(target.label, canonical.dumps([key[behind[part.path]] for part in target.key]))
            if moved.causes:
                causes |= moved.causes
                for part, value in zip(target.key, moved.key, strict=True):
                    key[behind[part.path]] = value
        else:
            # A part of the other key only does not say which row that is; a row further on may be named in full.
            _move_parts(target, behind, key, causes, move)


def _reference(schema: ModelSchema, name: str) -> Reference | None:
    return next((one for one in schema.references if one.name == name), None)


def _loads(text: str) -> list[Any]:
    key = canonical.loads(text)
    assert isinstance(key, list)
    return key
