"""The one writer of host tables: creates, updates and deletes rows in batches, inside a transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from django.db import DatabaseError, models, transaction
from django.db.models.signals import ModelSignal, post_save, pre_save

from data_sync.core import canonical
from data_sync.core.errors import ChangeFailed

from .attempts import Attempts
from .batches import batches
from .cascades import Reaches
from .deletion import IsDoomed, delete_rows
from .inheritance import fill_inherited
from .insertion import insert_rows
from .instances import Instances
from .links import set_links
from .parking import DeleteNow, FindLeaving, Parking, Taker
from .references import RowsOfKeys
from .refusals import is_about_rows, words_of
from .saving import save_rows
from .schema import ModelSchema
from .stand_ins import fill_stand_ins
from .target_rows import Renamed, TargetRows
from .updates import update_rows
from .writes import Bare, Row, Write, columns_of

BATCH = 500
Keep = Callable[[Mapping[int, Reaches]], None]
"""Told, by change number, what is about to be deleted."""


class Writer:
    """Writes rows of several models, so that references between them can be resolved as they appear.

    Exact values, unless a model is registered with `save="model"`: no `auto_now`, no `Model.save()`; `pre_save` and
    `post_save` are sent with `raw=True` where somebody listens. `is_rehearsal`: neither of all that, only what the
    database does. What cannot be written is told to `fail`, by change number and with the reason; if that returns,
    the rest is written. `find_leaving` and `delete_now` are what `parking` asks of the plan, `is_doomed` what
    `deletion` does; `keep` is told of rows before they go. `redacted` has the fields of some models whose values no
    reason may quote.
    """

    def __init__(
        self,
        using: str,
        *,
        fail: Callable[[int, str], None],
        find_leaving: FindLeaving = lambda table, pks: (),
        delete_now: DeleteNow = lambda schema, numbers: (),
        is_doomed: IsDoomed = lambda row: False,
        keep: Keep = lambda reaches: None,
        renamed: Renamed | None = None,
        redacted: Mapping[type[models.Model], Collection[str]] | None = None,
        is_rehearsal: bool = False,
    ) -> None:
        self._using = using
        self._fail = fail
        self._redacted = redacted or {}
        self._is_rehearsal = is_rehearsal
        self._targets = TargetRows(using, renamed)
        self._instances = Instances(using, self._targets)
        self._delete_now = delete_now
        self._is_doomed = is_doomed
        self._keep = keep
        self._parking = Parking(using, find_leaving, self.delete_early, fail)
        self._attempts = Attempts(using, fail, self._targets.forget)
        self.waiting = self._attempts.waiting
        self.written, self.deleted = self._attempts.written, self._attempts.deleted

    def write(self, schema: ModelSchema, writes: Sequence[Write]) -> None:
        """Creates, updates and renames some rows. References and links that lead nowhere yet wait, if they may."""
        creates = [write for write in writes if write.before is None]
        updates = [write for write in writes if write.before is not None]
        self._attempts.in_any_order(schema, updates, partial(self._update, schema))
        self._attempts.in_any_order(schema, creates, partial(self._insert, schema))

    def finish(self, schema: ModelSchema, writes: Sequence[Write]) -> None:
        """The second phase: the members of some written rows that had to wait."""
        self._attempts.in_any_order(schema, writes, partial(self._close, schema))

    def delete(self, reaches: Mapping[int, Reaches]) -> None:
        """Deletes rows with what they reach, see `deletion`: by number, those that go by a change or along with it."""
        for numbers in batches(reaches, BATCH):
            self._delete({number: reaches[number] for number in numbers})

    def look_again(self) -> None:
        """Rows have been added by others: what had to wait may be there."""
        self._targets.forget()

    # Rows

    def _update(self, schema: ModelSchema, writes: Sequence[Write]) -> None:
        self._instances.load(schema, writes)
        takers = [
            self._taker(schema, write, row) for write, row in zip(writes, self._stored(schema, writes), strict=True)
        ]
        self._parking.make_room(schema, takers)
        groups: dict[tuple[str, ...], list[Taker]] = {}
        for taker in takers:
            forced = self._parking.columns.get(taker.write.number, set()) - set(taker.given)
            if forced:
                taker = self._taker(schema, taker.write, taker.row, forced)
            groups.setdefault(tuple(taker.given), []).append(taker)
        for given, group in groups.items():
            rows = [taker.row for taker in group]
            if self._saves(schema):
                save_rows(schema, [(taker.write, taker.row) for taker in group], self._using, are_new=False)
            elif given:
                self._send(pre_save, schema, rows)
                update_rows(schema, rows, given, self._using)
                self._send(post_save, schema, rows, created=False)
        if any(write.before is not None and write.before.key != write.after.key for write in writes):
            self._targets.forget()
        self._link(schema, writes)

    def _taker(self, schema: ModelSchema, write: Write, row: Row, more: set[str] | None = None) -> Taker:
        """Sets on a row what its write changes, and `more` columns."""
        carried = [value.name for value in schema.carried if write.after.carried.get(value.name) is not None]
        names = [*columns_of(schema, write.changed), *sorted(more or ()), *write.files, *carried]
        self._attempts.wait(schema.label, write, self._instances.fill(schema, row, write, names))
        return Taker(write=write, row=row, given=tuple(names))

    def _stored(self, schema: ModelSchema, writes: Sequence[Write]) -> Sequence[Row]:
        """Instances of these rows; where nobody gets to see them, what stands in for them."""
        pks = [write.pk for write in writes]
        listened_to = any(signal.has_listeners(schema.model) for signal in (pre_save, post_save))
        if self._is_rehearsal or not (listened_to or self._saves(schema)):
            return [Bare(pk) for pk in pks]
        stored = {row.pk: row for row in schema.every_row(self._using).filter(pk__in=pks)}
        return [stored[pk] for pk in pks]

    def _insert(self, schema: ModelSchema, writes: Sequence[Write]) -> None:
        self._instances.load(schema, writes)
        rows, takers = [], []
        for write in writes:
            row = schema.model()
            for name, value in write.beside.items():
                column: Any = schema.model._meta.get_field(name)
                setattr(row, column.attname, value)
            given = self._instances.given(schema, write)
            self._attempts.wait(schema.label, write, self._instances.fill(schema, row, write, given))
            rows.append(row)
            takers.append(Taker(write=write, row=row, given=(*given, *write.beside)))
        self._parking.make_room(schema, takers)
        if schema.parent_link is not None and not self._is_rehearsal:
            fill_inherited(schema, rows, self._using)
        if self._saves(schema):
            save_rows(schema, list(zip(writes, rows, strict=True)), self._using, are_new=True)
        else:
            self._send(pre_save, schema, rows)
            for given, group in _by_given(takers).items():
                if self._is_rehearsal:
                    fill_stand_ins(schema, group, given, self._using)
                insert_rows(schema, group, given, self._using, moves_sequences=not self._is_rehearsal)
        if any(row.pk is None for row in rows):
            self._find_keys(schema, rows, writes)
        for write, row in zip(writes, rows, strict=True):
            write.pk = row.pk
            self._targets.add(schema, write.key_text, row)
        if not self._saves(schema):
            self._send(post_save, schema, rows, created=True)
        self._link(schema, writes)

    def _find_keys(self, schema: ModelSchema, rows: Sequence[models.Model], writes: Sequence[Write]) -> None:
        """For databases that do not return the primary keys of a bulk insert."""
        found = RowsOfKeys(schema, "pk", self._using)
        texts = [write.key_text for write in writes]
        found.load(texts)
        for row, text in zip(rows, texts, strict=True):
            row.pk = found.get(text)

    def _saves(self, schema: ModelSchema) -> bool:
        """Whether rows go through the model's own `save()`."""
        return schema.registration.save == "model" and not self._is_rehearsal

    def _send(self, signal: ModelSignal, schema: ModelSchema, rows: Sequence[Row], **more: Any) -> None:
        if signal.has_listeners(schema.model) and not self._is_rehearsal:
            for row in rows:
                signal.send(sender=schema.model, instance=row, raw=True, using=self._using, update_fields=None, **more)

    # Links, and what has to wait

    def _link(self, schema: ModelSchema, writes: Sequence[Write]) -> None:
        for link in schema.links:
            changed = [write for write in writes if link.name in write.changed]
            for write in set_links(schema, link, changed, self._targets, self._using) if changed else ():
                self._attempts.wait(schema.label, write, [link.name])

    def _close(self, schema: ModelSchema, writes: Sequence[Write]) -> None:
        waiting = self.waiting[schema.label]
        groups: dict[frozenset[str], list[Write]] = {}
        for write in writes:
            groups.setdefault(waiting[write.number], []).append(write)
        self._instances.load(schema, writes)
        for names, group in groups.items():
            columns = columns_of(schema, names)
            takers = []
            missing: dict[int, str] = {}
            for write in group:
                row = Bare(write.pk)
                missing |= _missing(schema, write, self._instances.fill(schema, row, write, columns))
                takers.append(Taker(write=write, row=row, given=columns))
            if missing:
                raise ChangeFailed(missing)
            if columns:
                self._parking.make_room(schema, takers)
                update_rows(schema, [taker.row for taker in takers], columns, self._using)
            for link in schema.links:
                if link.name in names:
                    for write in set_links(schema, link, group, self._targets, self._using):
                        missing |= _missing(schema, write, [link.name])
            if missing:
                raise ChangeFailed(missing)

    # Deletes

    def delete_early(self, schema: ModelSchema, numbers: Mapping[Any, int]) -> Collection[int]:
        """Deletes those of some rows that can go before their turn; says which deletes are done, see `DeleteNow`."""
        gone = self._delete_now(schema, numbers)
        self._attempts.note_deleted(gone)
        return gone

    def _delete(self, reaches: Mapping[int, Reaches]) -> None:
        together = {row: reach for by_row in reaches.values() for row, reach in by_row.items()}
        try:
            with transaction.atomic(using=self._using):
                self._keep(reaches)
                delete_rows(together, self._using, self._is_doomed, silently=self._is_rehearsal)
        except DatabaseError as error:
            if not is_about_rows(error, self._using):
                raise
            numbers = list(reaches)
            if len(numbers) == 1:
                going = {model for model, _ in together}
                going |= {cascade.model for reach in together.values() for cascade in reach.cascades}
                redacted = [name for model in going for name in self._redacted.get(model, ())]
                why = words_of(error, redacted)
                self._fail(numbers[0], f"the delete was refused: {why}. Remove what refers to it first.")
                return
            half = len(numbers) // 2
            for some in (numbers[:half], numbers[half:]):
                self._delete({number: reaches[number] for number in some})


def _by_given(takers: Sequence[Taker]) -> dict[tuple[str, ...], list[models.Model]]:
    groups: dict[tuple[str, ...], list[models.Model]] = {}
    for taker in takers:
        groups.setdefault(tuple(taker.given), []).append(taker.row)
    return groups


def _missing(schema: ModelSchema, write: Write, names: Sequence[str]) -> dict[int, str]:
    """By number why a row cannot be written that refers by these fields to what is not here; nothing without any."""
    if not names:
        return {}
    values = ", ".join(
        name if name in schema.redacted else f"{name} {canonical.dumps(write.after.fields[name])}" for name in names
    )
    return {write.number: f"{write.name} refers by {values} to what does not exist here. Pull again."}
