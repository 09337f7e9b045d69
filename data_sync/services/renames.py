"""Renames: a row that only its key tells from a deleted one is offered as that row, under a new key.

What refers to a renamed row is compared anew, with its new key, so that rows below a renamed one are compared as they
will be. That may make more pairs alike, so it is gone over until no more are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.db import models

from data_sync.core import canonical
from data_sync.core.differences import Differences, Unnumbered
from data_sync.core.equality import same
from data_sync.core.listing import key_hash
from data_sync.core.records import Key, Record
from data_sync.core.source import Outside
from data_sync.core.spool import RecordSpool
from data_sync.core.states import Operation
from data_sync.orm.batches import batches
from data_sync.orm.limits import validate
from data_sync.orm.rekeying import Rekeying, Renamed, is_reached_by
from data_sync.orm.schema import ModelSchema, Value


def find_renames(
    differences: Differences,
    schemas: Mapping[str, ModelSchema],
    here: RecordSpool,
    there: RecordSpool,
    outside: Outside,
) -> dict[Renamed, Key]:
    """Turns pairs of a delete and a create into renames, and compares anew what refers to the renamed rows.

    A model is gone over once, and again whenever what its records refer to has been renamed: a tree of renames takes a
    round for each level, of its own model. In memory is what is given back, an entry for each rename.

    Raises `MalformedStream` for a record of the source that is not one of its model.
    """
    renamed: dict[Renamed, Key] = {}
    waiting = set(schemas)
    while waiting:
        for model, (label, schema) in enumerate(schemas.items()):
            if label not in waiting:
                continue
            waiting.remove(label)
            rekeying = Rekeying(schemas, renamed)
            if is_reached_by(schema, {label for label, _ in renamed}):
                explained = set(_compare_again(differences, model, schema, here, rekeying))
                _find_bases(differences, model, schema, rekeying)
                if explained:
                    renamed = {row: key for row, key in renamed.items() if row not in explained}
                    rekeying = Rekeying(schemas, renamed)
            if _can_be_renamed(schema):
                joined = dict(_Pairs(differences, model, schema, here, there, rekeying).joined(outside))
                renamed |= joined
                waiting |= {other for other, its in schemas.items() if joined and is_reached_by(its, [label])}
    return renamed


def join_renames(
    differences: Differences,
    schemas: Mapping[str, ModelSchema],
    here: RecordSpool,
    there: RecordSpool,
    *,
    pairs: Mapping[Renamed, Key],
) -> dict[Renamed, Key]:
    """The same, where it is known which rows are renamed: `pairs` has the new key of each. Those of which a side has no
    row are left as they are."""
    renamed: dict[Renamed, Key] = {}
    for (label, text), key in pairs.items():
        model = list(schemas).index(label)
        old = differences.with_key(model, text, Operation.DELETE)
        new = differences.with_key(model, canonical.dumps(list(key)), Operation.CREATE)
        if old is not None and new is not None:
            differences.rewrite(old.id, Operation.RENAME, new.key, old.key, new)
            renamed[label, text] = key
    for model, (label, schema) in enumerate(schemas.items()):
        if is_reached_by(schema, {label for label, _ in renamed}):
            explained = set(_compare_again(differences, model, schema, here, Rekeying(schemas, renamed)))
            renamed = {row: key for row, key in renamed.items() if row not in explained}
    return renamed


def _can_be_renamed(schema: ModelSchema) -> bool:
    """Whether a row is more than its key, and its primary key is no part of that."""
    in_key = {part.path[0] for part in schema.key}
    more = [name for name in schema.field_names if name not in in_key]
    return schema.pk.name not in in_key and bool(more or schema.files) and schema.registration.deletes != "never"


class _Pairs:
    """The deletes and creates of one model that are alike but for their keys."""

    def __init__(
        self,
        differences: Differences,
        model: int,
        schema: ModelSchema,
        here: RecordSpool,
        there: RecordSpool,
        rekeying: Rekeying,
    ) -> None:
        self._differences = differences
        self._model = model
        self._schema = schema
        self._here = here
        self._there = there
        self._rekeying = rekeying
        self._in_key = {part.path[0] for part in schema.key}

    def joined(self, outside: Outside) -> Iterator[tuple[Renamed, Key]]:
        """Makes a rename of each pair, but not where the source still has the row, out of scope."""
        counts = [self._differences.count(self._model, one) for one in (Operation.DELETE, Operation.CREATE)]
        if not all(counts):
            return
        for operation in (Operation.DELETE, Operation.CREATE):
            for batch in batches(self._differences.of_model(self._model, [operation])):
                self._differences.note_likeness((self._likeness(one), one.id) for one in batch)
        for pairs in batches(self._differences.alike(self._model)):
            rows = [(self._differences.get(gone), self._differences.get(new)) for gone, new in pairs]
            # The source knows rows below a renamed one by their new keys.
            asked = {old.id: self._rekeying.key(self._schema.label, old.key).text for old, _ in rows}
            left = outside(self._schema.label, list(asked.values()))
            for old, new in rows:
                if asked[old.id] not in left:
                    assert new.there_at is not None
                    self._differences.rewrite(old.id, Operation.RENAME, new.key, old.key, new)
                    yield (self._schema.label, old.key), self._there.record(new.there_at).key

    def _likeness(self, one: Unnumbered) -> bytes | None:
        """A digest of all of a record but its key; None for a row that is not to be paired.

        That is a row which is nothing but its key and defaults, and one that both sides had: it has been removed, or
        renamed, here, and to give another row its key would undo that unseen.
        """
        if one.there_at is not None and one.base is not None:
            return None
        record = self._record(one)
        fields = {name: value for name, value in record.fields.items() if name not in self._in_key}
        says_something = any(record.files.values()) or any(
            _is_more_than_default(value, fields[value.name]) for value in self._schema.values if value.name in fields
        )
        if not says_something:
            return None
        bare = Record(model=record.model, key=(), fields=fields, files=record.files)
        return _digest(bare)

    def _record(self, one: Unnumbered) -> Record:
        if one.here_at is not None:
            return self._rekeying.record(self._here.record(one.here_at))
        assert one.there_at is not None
        record = self._there.record(one.there_at)
        validate(self._schema, record)
        return record


def _is_more_than_default(value: Value, plain: Any) -> bool:
    if plain in (None, "", False, 0) or plain in ([], {}):
        return False
    default = value.field.default
    if callable(default) or not value.field.has_default():
        return True
    try:
        if isinstance(value.field, models.JSONField):
            return not same(default, plain)
        return value.codec.to_text(value.field.to_python(default)) != canonical.dumps(plain)
    except Exception:  # A default is the project's own, and may be nothing that the field knows.
        return True


def _digest(record: Record) -> bytes:
    return bytes.fromhex(record.digest().removeprefix("sha256:"))[:16]


def _compare_again(
    differences: Differences, model: int, schema: ModelSchema, here: RecordSpool, rekeying: Rekeying
) -> Iterator[Renamed]:
    """Compares what refers to renamed rows with its new key. What is equal then is no difference.

    Gives the renames that need not be: of rows that get their new keys by what they refer to.
    """
    for one in differences.of_model(model, [Operation.DELETE, Operation.UPDATE, Operation.RENAME]):
        assert one.here_at is not None
        old = here.record(one.here_at)
        record, causes = rekeying.with_causes(old)
        if not causes:
            continue
        text = record.key_text
        match = one
        if one.operation == Operation.DELETE:
            found = differences.with_key(model, text, Operation.CREATE)
            if found is None:
                continue
            match = found
        elif text != one.key:
            continue
        elif one.operation == Operation.RENAME:
            yield schema.label, old.key_text
        if _digest(record) == match.there_digest:
            differences.drop(*{one.id, match.id})
        elif one.operation != Operation.UPDATE:
            differences.rewrite(one.id, Operation.UPDATE, text, old.key_text, match)


def _find_bases(differences: Differences, model: int, schema: ModelSchema, rekeying: Rekeying) -> None:
    """A row that is new below a renamed one may be one that both sides had, and that has been deleted here."""
    if not differences.has_gone(model):
        return
    for one in differences.of_model(model, [Operation.CREATE]):
        former = rekeying.former_by_parents(schema.label, one.key)
        if one.base is None and former is not None and former.causes:
            base = differences.gone_base(model, key_hash(former.text.encode()))
            if base is not None:
                differences.note_base(one.id, base, former.text)
