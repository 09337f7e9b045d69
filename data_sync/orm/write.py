"""The one writer of host tables: creates, updates and deletes rows in batches, inside a transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import DatabaseError, models, transaction
from django.db.models.deletion import Collector
from django.db.models.signals import ModelSignal, post_save, pre_save

from data_sync.core import canonical
from data_sync.core.errors import ChangeFailed

from .batches import batches
from .references import RowsOfKeys
from .resolution import target_schema
from .schema import Link, ModelSchema, Reference
from .tables import table
from .updates import update_rows
from .writes import Write, levels

BATCH = 200


class Writer:
    """Writes rows of several models, so that references between them can be resolved as they appear.

    Exact values: no `auto_now`, no `Model.save()`; `pre_save` and `post_save` are sent with
    `raw=True` where somebody listens. Failures are `ChangeFailed`, by change number.
    """

    def __init__(self, using: str) -> None:
        self._using = using
        self._rows: dict[tuple[str, str], RowsOfKeys] = {}
        self._later: dict[tuple[str, str], dict[int, tuple[Reference, Write]]] = {}

    def create(self, schema: ModelSchema, writes: Sequence[Write]) -> None:
        """Inserts rows, those that others refer to first; nullable references that cannot be resolved yet wait."""
        for level in levels(schema, writes):
            for batch in batches(level, BATCH):
                self._load(schema, batch, schema.column_names)
                self._attempt(batch, partial(self._insert, schema))

    def update(self, schema: ModelSchema, writes: Sequence[Write]) -> None:
        """Updates the columns that differ; rows that differ in the same columns go together."""
        by_columns: dict[tuple[str, ...], list[Write]] = {}
        for write in writes:
            columns = [name for name in schema.column_names if name in write.changed]
            carried = [value.name for value in schema.carried if value.name in write.after.carried]
            by_columns.setdefault((*columns, *write.files, *carried), []).append(write)
        for names, group in by_columns.items():
            for batch in batches(group if names else [], BATCH):
                self._load(schema, batch, names)
                self._attempt(batch, partial(self._update, schema, names))

    def finish(self, writes: Mapping[str, Sequence[Write]], by_label: Mapping[str, ModelSchema]) -> None:
        """The second phase: references that waited, and many-to-many links."""
        for (label, _), waiting in self._later.items():
            for batch in batches(waiting.values(), BATCH):
                self._close_references(by_label[label], batch)
        self._later.clear()
        for label, group in writes.items():
            for link in by_label[label].links:
                self._link(by_label[label], link, [write for write in group if link.name in write.changed])

    def delete(self, schema: ModelSchema, numbers: Mapping[Any, int]) -> None:
        """Deletes rows (numbers by primary key) with what Django's collector takes along, signals included."""
        for batch in batches(numbers, BATCH):
            collector = Collector(using=self._using)
            try:
                collector.collect(schema.every_row(self._using).filter(pk__in=batch))
                collector.delete()
            except DatabaseError as error:
                reason = f"the delete was refused: {error}. Remove what refers to it first."
                raise ChangeFailed({numbers[pk]: reason for pk in batch}) from error

    def _attempt(self, writes: list[Write], act: Callable[[list[Write]], None]) -> None:
        """Does one batch under a savepoint; if the database refuses it, finds out which row it is."""
        try:
            with transaction.atomic(using=self._using):
                act(writes)
        except (DatabaseError, ValueError, TypeError, OverflowError) as error:
            if len(writes) == 1:
                reason = f"{writes[0].name}: the database refused it: {error}"
                raise ChangeFailed({writes[0].number: reason}) from error
            # Together they may meet on a unique value that they do not meet on one after the other.
            for write in writes:
                self._attempt([write], act)

    # Rows

    def _instance(self, schema: ModelSchema, write: Write) -> models.Model:
        row = schema.model()
        self._set(schema, row, write, {*schema.column_names, *(value.name for value in schema.carried)})
        return row

    def _set(self, schema: ModelSchema, row: models.Model, write: Write, names: set[str]) -> None:
        for value in schema.values:
            if value.name in names:
                plain = write.after.fields[value.name]
                setattr(row, value.field.attname, None if plain is None else value.codec.from_plain(plain))
        for value in schema.carried:
            plain = write.after.carried.get(value.name)
            if value.name in names and plain is not None:
                setattr(row, value.field.attname, value.codec.from_plain(plain))
        for reference in schema.references:
            if reference.name in names:
                setattr(row, reference.field.attname, self._target(schema, reference, write))
        for name, stored in write.files.items():
            setattr(row, name, stored)

    def _update(self, schema: ModelSchema, names: tuple[str, ...], writes: list[Write]) -> None:
        rows = self._stored(schema, [write.pk for write in writes])
        for row, write in zip(rows, writes, strict=True):
            self._set(schema, row, write, set(names))
        self._send(pre_save, schema, rows)
        update_rows(schema.every_row(self._using), rows, names)
        self._send(post_save, schema, rows, created=False)

    def _stored(self, schema: ModelSchema, pks: Sequence[Any]) -> list[models.Model]:
        """Instances of these rows. Where nobody listens to signals nobody sees them: only the primary key is set."""
        if not any(signal.has_listeners(schema.model) for signal in (pre_save, post_save)):
            return [schema.model.from_db(self._using, [schema.pk.attname], [pk]) for pk in pks]
        stored = {row.pk: row for row in schema.every_row(self._using).filter(pk__in=pks)}
        return [stored[pk] for pk in pks]

    def _insert(self, schema: ModelSchema, writes: list[Write]) -> None:
        rows = [self._instance(schema, write) for write in writes]
        carried = {value.name: [getattr(row, value.field.attname) for row in rows] for value in schema.carried}
        self._send(pre_save, schema, rows)
        schema.every_row(self._using).bulk_create(rows)
        if any(row.pk is None for row in rows):
            self._find_keys(schema, rows, writes)
        for write, row in zip(writes, rows, strict=True):
            write.pk = row.pk
        self._restore_carried(schema, rows, carried)
        for column in {column for (label, column) in self._rows if label == schema.label} | {"pk"}:
            known = self._known(schema, column)
            for write, row in zip(writes, rows, strict=True):
                known.add(write.key_text, getattr(row, column))
        self._send(post_save, schema, rows, created=True)

    def _restore_carried(self, schema: ModelSchema, rows: list[models.Model], carried: dict[str, list[Any]]) -> None:
        """`bulk_create` overwrites `auto_now` columns; puts the source's values back."""
        names = []
        for value in schema.carried:
            if any(wanted is not None for wanted in carried[value.name]):
                names.append(value.name)
                for row, wanted in zip(rows, carried[value.name], strict=True):
                    if wanted is not None:
                        setattr(row, value.field.attname, wanted)
        if names:
            update_rows(schema.every_row(self._using), rows, names)

    def _find_keys(self, schema: ModelSchema, rows: list[models.Model], writes: list[Write]) -> None:
        """For databases that do not return the primary keys of a bulk insert."""
        found = RowsOfKeys(schema, "pk", self._using)
        texts = [write.key_text for write in writes]
        found.load(texts)
        for row, text in zip(rows, texts, strict=True):
            row.pk = found.get(text)

    def _send(self, signal: ModelSignal, schema: ModelSchema, rows: Iterable[models.Model], **more: Any) -> None:
        if signal.has_listeners(schema.model):
            for row in rows:
                signal.send(sender=schema.model, instance=row, raw=True, using=self._using, update_fields=None, **more)

    # References

    def _known(self, schema: ModelSchema, column: str) -> RowsOfKeys:
        key = (schema.label, column)
        if key not in self._rows:
            self._rows[key] = RowsOfKeys(schema, column, self._using)
        return self._rows[key]

    def _found(self, schema: ModelSchema, reference: Reference) -> RowsOfKeys:
        target = target_schema(reference)
        return self._known(target, reference.field.target_field.attname)

    def _load(self, schema: ModelSchema, writes: Sequence[Write], names: Collection[str]) -> None:
        """Finds, in a batch, the rows that these references of some writes refer to."""
        for reference in schema.references:
            if reference.name in names:
                values = [write.after.fields[reference.name] for write in writes]
                self._found(schema, reference).load(canonical.dumps(value) for value in values if value is not None)

    def _target(self, schema: ModelSchema, reference: Reference, write: Write) -> Any:
        value = write.after.fields[reference.name]
        if value is None:
            return None
        rows, text = self._found(schema, reference), canonical.dumps(value)
        if rows.get(text) is None and reference.field.null:
            self._later.setdefault((schema.label, reference.name), {})[write.number] = (reference, write)
            return None
        return self._resolve(rows, text, reference.name, write)

    def _resolve(self, rows: RowsOfKeys, text: str, name: str, write: Write) -> Any:
        target = rows.get(text)
        if target is None:
            raise ChangeFailed({write.number: f"{name} refers to {text}, which does not exist here."})
        return target

    def _close_references(self, schema: ModelSchema, waiting: list[tuple[Reference, Write]]) -> None:
        """Fills in one nullable reference of rows that were written before their target was."""
        reference = waiting[0][0]
        rows = self._found(schema, reference)
        texts = [canonical.dumps(write.after.fields[reference.name]) for _, write in waiting]
        rows.load(texts)
        instances = [
            schema.model(pk=write.pk, **{reference.field.attname: self._resolve(rows, text, reference.name, write)})
            for (_, write), text in zip(waiting, texts, strict=True)
        ]
        update_rows(schema.every_row(self._using), instances, [reference.name])

    def _link(self, schema: ModelSchema, link: Link, writes: Sequence[Write]) -> None:
        target = target_schema(link)
        rows = self._known(target, "pk")
        through = table(link.through, self._using)
        for batch in batches(writes, BATCH):
            wanted: dict[Any, set[Any]] = {}
            texts = {write.number: [canonical.dumps(key) for key in write.after.fields[link.name]] for write in batch}
            rows.load(text for of_write in texts.values() for text in of_write)
            for write in batch:
                wanted[write.pk] = {self._resolve(rows, text, link.name, write) for text in texts[write.number]}
            existing = through.filter(**{f"{link.source_column}__in": list(wanted)})
            surplus = []
            for pk, source, linked in existing.values_list("pk", link.source_column, link.target_column):
                if linked in wanted[source]:
                    wanted[source].discard(linked)
                else:
                    surplus.append(pk)
            for gone in batches(surplus):
                through.filter(pk__in=gone).delete()
            through.bulk_create(
                link.through(**{link.source_column: source, link.target_column: linked})
                for source, targets in wanted.items()
                for linked in sorted(targets, key=str)
            )
