"""Trying to write, in batches, what a database may refuse: until it is known which rows those are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from django.db import DatabaseError, transaction

from data_sync.core.errors import ChangeFailed, RecordError
from data_sync.core.numbers import Numbers

from .refusals import is_about_rows, words_of
from .schema import ModelSchema
from .writes import Write

Act = Callable[[Sequence[Write]], None]
REFUSED = (DatabaseError, ValueError, TypeError, OverflowError, RecordError)


class Attempts:
    """Batches of writes under savepoints, and what has come of them.

    What is refused is told to `fail`, by change number and with the reason. `forget` is called where something was
    taken back: rows that have been looked up since may be others again.
    """

    def __init__(self, using: str, fail: Callable[[int, str], None], forget: Callable[[], None]) -> None:
        self._using = using
        self._fail = fail
        self._forget = forget
        self.waiting: dict[str, dict[int, frozenset[str]]] = {}
        """By model and number, the members that wait for rows which were not there yet."""
        self.written = Numbers()
        self.deleted = Numbers()
        """Deletes that were done before their turn, because a write wanted their rows' unique values."""
        self._deleted_since: list[int] = []

    def note_deleted(self, numbers: Iterable[int]) -> None:
        """Notes deletes that were done before their turn."""
        for number in numbers:
            self.deleted.add(number)
            self._deleted_since.append(number)

    def wait(self, label: str, write: Write, names: Sequence[str]) -> None:
        """Notes members of a write whose targets are not there yet."""
        if names:
            waiting = self.waiting.setdefault(label, {})
            waiting[write.number] = waiting.get(write.number, frozenset()) | frozenset(names)

    def in_any_order(self, schema: ModelSchema, writes: Sequence[Write], act: Act) -> None:
        """Does one batch. What is refused is tried again, the other way round, as long as that gets further.

        Rows can be in each other's way by more than unique values: spans that must not overlap, for one.
        """
        left = list(writes)
        refused: dict[int, str] = {}
        while left:
            refused = self._attempt(schema, left, act)
            if len(refused) in (0, len(left)):
                break
            left = [write for write in reversed(left) if write.number in refused]
        for number, reason in refused.items():
            self._fail(number, reason)

    def _attempt(self, schema: ModelSchema, writes: Sequence[Write], act: Act) -> dict[int, str]:
        """Does them under a savepoint; what the database refuses is halved until it is known which rows it is.

        Gives those, by number, with the reason.
        """
        failed: dict[int, str] = {}
        while writes:
            created = [write for write in writes if write.pk is None]
            self._deleted_since = []
            try:
                with transaction.atomic(using=self._using):
                    act(writes)
            except ChangeFailed as error:
                self._undo(schema.label, writes, created)
                rest = [write for write in writes if write.number not in error.reasons]
                if len(rest) == len(writes):
                    raise
                failed |= error.reasons
                writes = rest
            except REFUSED as error:
                if not is_about_rows(error, self._using):
                    raise
                self._undo(schema.label, writes, created)
                if len(writes) == 1:
                    return failed | {writes[0].number: f"{writes[0].name}: {_refusal(error, schema.redacted)}"}
                middle = len(writes) // 2
                first, second = writes[:middle], writes[middle:]
                return failed | self._attempt(schema, first, act) | self._attempt(schema, second, act)
            else:
                for write in writes:
                    self.written.add(write.number)
                break
        return failed

    def _undo(self, label: str, writes: Sequence[Write], created: Sequence[Write]) -> None:
        self._forget()
        waiting = self.waiting.get(label, {})
        for write in created:
            write.pk = None
        for number in self._deleted_since:
            self.deleted.discard(number)
        for write in writes:
            if write.number not in self.written:
                waiting.pop(write.number, None)


def _refusal(error: Exception, redacted: Collection[str]) -> str:
    if isinstance(error, RecordError):
        return str(error)
    return f"the database refused it: {words_of(error, redacted)}"
