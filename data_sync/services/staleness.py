"""Whether the rows are still what the reviewer saw: asked inside the transaction, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from data_sync.core.errors import StaleChangeset
from data_sync.core.records import Record, RecordText, differing
from data_sync.core.states import Operation
from data_sync.orm.references import RowsOfKeys
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema
from data_sync.orm.scopes import in_scope
from data_sync.orm.tables import lock
from data_sync.orm.uniqueness import is_enforced

from .entries import Entry
from .plan import Plan
from .progress import Advance, silent


def check_rows(plan: Plan, advance: Advance) -> None:
    """Raises `StaleChangeset`, with every change that no longer fits; see `stale_rows`."""
    stale = stale_rows(plan, advance)
    if stale:
        raise StaleChangeset(stale)


def stale_rows(plan: Plan, advance: Advance = silent, *, lock_rows: bool = True) -> dict[int, str]:
    """Locks the rows, compares each with what the reviewer saw, and says why changes no longer fit.

    Those whose work is done already are set aside in the plan. `advance` is told of each batch.
    """
    stale: dict[int, str] = {}
    for label, schema in plan.concerned.items():
        check = _Check(plan, schema, lock_rows)
        for batch in plan.entries(label):
            stale |= check.of(batch)
            advance(len(batch))
    return stale


class _Check:
    """The rows of one model."""

    def __init__(self, plan: Plan, schema: ModelSchema, lock_rows: bool) -> None:
        self._plan = plan
        self._locks = lock_rows and connections[DEFAULT_DB_ALIAS].features.has_select_for_update
        self._schema = schema
        self._reader = RowReader(schema, DEFAULT_DB_ALIAS)
        self._is_enforced = is_enforced(schema)

    def of(self, entries: Sequence[Entry]) -> dict[int, str]:
        known = [entry for entry in entries if entry.operation != Operation.CREATE]
        creates = [entry for entry in entries if entry.operation == Operation.CREATE]
        return self._of_known(known) | self._of_creates(creates)

    def _of_known(self, entries: Sequence[Entry]) -> dict[int, str]:
        """The row must be as it was at the pull, in scope, and the only one with its key."""
        pks = [entry.pk for entry in entries]
        if self._locks:
            lock(self._schema.model, pks, DEFAULT_DB_ALIAS)
        now = self._reader.by_pk(pks)
        digests = {entry.number: self._digests(entry, now.get(entry.pk)) for entry in entries}
        inside = in_scope(self._schema, pks, DEFAULT_DB_ALIAS)
        keys = self._rows_with_keys(entries, digests)
        stale: dict[int, str] = {}
        altered: list[Entry] = []
        for entry in entries:
            as_it_is, as_seen = digests[entry.number]
            reason = self._taken(entry, keys)
            if reason:
                stale[entry.number] = reason
            elif not as_it_is and entry.operation == Operation.DELETE:
                self._plan.set_aside(entry.number)
            elif not as_it_is:
                stale[entry.number] = f"{entry.name} is gone since the pull. Pull again."
            elif entry.pk not in inside:
                stale[entry.number] = f"{entry.name} has left the registration's queryset since the pull. Pull again."
            elif as_it_is == entry.after_digest and entry.operation != Operation.DELETE and not entry.is_replaced:
                self._plan.set_aside(entry.number)
            elif as_seen != entry.seen_digest:
                altered.append(entry)
        return stale | self._differences(altered, now)

    def _digests(self, entry: Entry, record: RecordText | None) -> tuple[str, str]:
        """Of the row as it is, and as the pull saw it. "" for no row."""
        if record is None:
            return "", ""
        redaction = self._plan.redaction
        digest = redaction.digest_of(self._schema.label, record)
        is_as_seen = not self._plan.renamed or entry.operation == Operation.DELETE
        return digest, digest if is_as_seen else redaction.digest(self._as_seen(entry, record.record()))

    def _as_seen(self, entry: Entry, record: Record) -> Record:
        """What is written and refers to renamed rows was compared under their new keys; see `comparison.Sides`."""
        rekeyed = self._plan.rekeying.record(record)
        return replace(rekeyed, key=record.key) if entry.operation == Operation.RENAME else rekeyed

    def _rows_with_keys(self, entries: Sequence[Entry], digests: Mapping[int, tuple[str, str]]) -> dict[str, list[Any]]:
        """By key. Looked up where there can be several rows with a key, and where the row is not what it was."""
        keys = RowsOfKeys(self._schema, "pk", DEFAULT_DB_ALIAS)
        texts = []
        for entry in entries:
            if not self._is_enforced or digests[entry.number][1] != entry.seen_digest:
                texts.append(entry.previous_key or entry.key_text)
            if entry.operation == Operation.RENAME:
                texts.append(entry.key_text)
        keys.load(texts)
        return {text: keys.all(text) for text in texts}

    def _taken(self, entry: Entry, keys: Mapping[str, list[Any]]) -> str:
        """Whether another row has the key of this one, or the key that it is to have."""
        for text in dict.fromkeys([entry.previous_key or entry.key_text, entry.key_text]):
            is_let_go = text == entry.key_text and (self._schema.label, text) in self._plan.renamed
            others = [pk for pk in keys.get(text, ()) if pk != entry.pk]
            if others and not is_let_go:
                name = f"{self._schema.label} {text}"
                return f"{name} is now the key of another row here too ({others[0]!r}). Pull again."
        return ""

    def _differences(self, entries: Sequence[Entry], now: Mapping[Any, RecordText]) -> dict[int, str]:
        seen = self._plan.before([entry.number for entry in entries]) if entries else {}
        stale = {}
        for entry in entries:
            record = now[entry.pk].record()
            if entry.operation != Operation.DELETE:
                record = self._as_seen(entry, record)
            names = ", ".join(differing(seen[entry.number], record))
            stale[entry.number] = f"{entry.name} was changed here since the pull: {names}. Pull again."
        return stale

    def _of_creates(self, entries: Sequence[Entry]) -> dict[int, str]:
        """No row may have the key, or get it by a rename, unless it will be just as the change would make it."""
        former = {entry.number: self._plan.rekeying.former(self._schema.label, entry.key_text) for entry in entries}
        texts = {number: key.text for number, key in former.items() if key is not None}
        keys = RowsOfKeys(self._schema, "pk", DEFAULT_DB_ALIAS)
        keys.load(texts.values())
        now = self._reader.by_pk([pk for text in texts.values() for pk in keys.all(text)])
        stale = {}
        for entry in entries:
            pks = keys.all(texts[entry.number]) if entry.number in texts else []
            found = [self._digests(entry, now[pk])[1] for pk in pks]
            if found == [entry.after_digest]:
                self._plan.set_aside(entry.number)
            elif found:
                stale[entry.number] = f"{entry.name} has been added here since the pull. Pull again."
        return stale
