"""What a revert reads: the inverse of an applied changeset, with what is here now in place of what it left alone."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import IO, Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from data_sync import conf
from data_sync.core import canonical
from data_sync.core.errors import InvalidTransition, WrongFile
from data_sync.core.listing import key_hash
from data_sync.core.manifest import Manifest
from data_sync.core.records import FileValue, Key, Record, differing
from data_sync.core.source import Handle, Outside, Request
from data_sync.core.states import ChangesetState, Operation, Outcome, RenameChoice
from data_sync.core.wire import write_stream
from data_sync.models import Change, Changeset, DataPull
from data_sync.orm.batches import batches
from data_sync.orm.files import read_blocks
from data_sync.orm.limits import problem
from data_sync.orm.references import RowsOfKeys
from data_sync.orm.rekeying import Rekeying, Renamed
from data_sync.orm.resolution import schemas
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema

from .agreement import Agreement
from .baselines import Baselines
from .both_sides import Pairing
from .conflicts import GONE
from .content import after_record, before_record, compared_schemas
from .origins import Origin
from .renames import join_renames
from .restores import Restores


def undoable(changeset: Changeset, numbers: Collection[int] | None = None) -> QuerySet[Change]:
    """The changes of an applied changeset that it has written and no revert has undone; of these numbers, if given."""
    changes = changeset.changes.filter(outcome=Outcome.APPLIED.value, reverted_by=None).order_by("number")
    return changes if numbers is None else changes.filter(number__in=numbers)


def undoable_parts(changeset: Changeset, numbers: Collection[int] | None) -> list[QuerySet[Change]]:
    """The same in number order, in parts: a statement takes so many numbers only."""
    return (
        [undoable(changeset)] if numbers is None else [undoable(changeset, some) for some in batches(sorted(numbers))]
    )


def open_revert(pull: DataPull) -> RevertOrigin:
    """Raises `InvalidTransition` where there is nothing left to undo."""
    changeset = pull.reverts
    if changeset is None or changeset.state != ChangesetState.APPLIED or changeset.purged_at is not None:
        raise InvalidTransition(f"Pull {pull.pk} is of a changeset that cannot be reverted any more.")
    return RevertOrigin(pull, changeset)


def is_replaced(change: Change) -> bool:
    """Whether a rename has deleted its row and added a new one. It is undone in the same way: what no record tells of
    went with the old row."""
    return change.operation == Operation.RENAME and change.rename_choice == RenameChoice.REPLACE


class RevertOrigin(Origin):
    """The rows as they were before a changeset was applied, compared with those that it wrote.

    Of an update, only what it altered is put back, so that later edits of other fields stay. The base of each row is
    what the changeset left: whatever has become of it since is a conflict. It costs what the changes do, not the rows.
    """

    keeps_answers = False

    def __init__(self, pull: DataPull, changeset: Changeset) -> None:
        self._changeset = changeset
        self._parts = undoable_parts(changeset, pull.options.get("numbers"))
        self._inverse = Inverse(self._labels())
        super().__init__(pull, self._inverse)
        self._left = Left()
        self._pairs: dict[Renamed, Key] = {}
        self._here: dict[tuple[str, str], int] = {}
        self._there: dict[tuple[str, str], int] = {}
        self._missing: set[str] = set()
        self._undone: set[int] = set()
        self._staying: list[dict[str, str]] = []
        self._restores = Restores(changeset)

    def _labels(self) -> set[str]:
        return {label for part in self._parts for label in part.order_by().values_list("model", flat=True).distinct()}

    def agree(self, here: Manifest, there: Manifest) -> Agreement:
        """The models of the changes, as they were compared then. Raises `InvalidTransition` for one that is another by
        now."""
        labels = self._labels()
        known = compared_schemas(self._changeset)
        for label in sorted(labels):
            self._refuse_outdated(label, known)
        chosen = {label: schema for label, schema in known.items() if label in labels}
        if not chosen:
            raise InvalidTransition(f"Nothing of changeset {self._changeset.pk} is left to be reverted.")
        omitted = {label: schema.omitted for label, schema in chosen.items() if schema.omitted}
        request = Request(models=tuple(chosen), omitted=omitted)
        return Agreement(schemas=chosen, here=request, there=request, scoped=frozenset(), differences=[])

    def _refuse_outdated(self, label: str, known: Mapping[str, ModelSchema]) -> None:
        if label not in known:
            raise InvalidTransition(
                f"{label} is no longer registered here: its changes cannot be reverted. Register it, or choose others."
            )
        change = next(change for part in self._parts for change in part.filter(model=label)[:1])
        record: Mapping[str, Any] = change.before if change.after is None else change.after
        unlike = sorted(
            (record.keys() ^ set(known[label].field_names))
            | (change.files.keys() ^ {file.name for file in known[label].files})
        )
        if unlike:
            raise InvalidTransition(
                f"{label} has got other fields since changeset {self._changeset.pk} was applied ({', '.join(unlike)}): "
                "its changes cannot be reverted. Choose others."
            )

    def rows_here(self, agreement: Agreement) -> Mapping[str, Collection[str]]:
        self._prepare(agreement)
        rows: dict[str, set[str]] = {label: set() for label in agreement.schemas}
        for label, text in [*self._here, *self._there]:
            rows[label].add(text)
        return rows

    def baselines(self, agreement: Agreement) -> Baselines:
        return self._left  # type: ignore[return-value]

    def pairing(self, outside: Outside) -> Pairing:
        def pairing(*sides: Any) -> dict[Renamed, Key]:
            return join_renames(*sides, pairs=self._pairs)

        return pairing

    # The inverse

    def _prepare(self, agreement: Agreement) -> None:
        """Makes the inverse records. Before the source is read, which is done by a thread without database."""
        names = _Names(self._changeset, self._parts)
        self._pairs = {row: key for row, key in names.pairs.items() if row not in names.replaced}
        self._later = _renamed_later(self._changeset)
        for label, schema in agreement.schemas.items():
            reader = RowReader(schema, DEFAULT_DB_ALIAS)
            found = (part.filter(model=label).iterator(chunk_size=400) for part in self._parts)
            for batch in batches(chain.from_iterable(found)):
                self._add(schema, batch, names, _now(schema, reader, [names.here(change) for change in batch]))

    def _add(self, schema: ModelSchema, batch: Sequence[Change], names: _Names, now: Mapping[str, Record]) -> None:
        label, never = schema.label, schema.registration.deletes == "never"
        taken = _taken(schema, [names.former(change) for change in batch if change.operation == Operation.RENAME])
        for change in batch:
            text = names.here(change)
            if change.operation == Operation.CREATE and never:
                words = f"#{change.number} was added by the changeset, and is registered to stay; it was left alone"
                self._staying.append({"model": label, "field": "", "difference": words})
                continue
            moved = self._later.key(label, text)
            if text not in now and moved.causes and change.operation != Operation.DELETE:
                # Its row is not gone: to add it anew, or to say that nothing is left of it, would be wrong.
                words = f"#{change.number} is about a row that was renamed since, to {moved.text}; undo that first"
                self._staying.append({"model": label, "field": "", "difference": words})
                continue
            is_renamed = change.operation == Operation.RENAME and text in now
            if is_renamed and (former := names.former(change)) in taken:
                # To delete the one row and write its values into the other would be no way back.
                words = f"#{change.number} has renamed a row whose former key {former} is another row's by now"
                self._staying.append(
                    {"model": label, "field": "", "difference": f"{words}; rename or delete that first"}
                )
                continue
            record = _inverse(change, names, now.get(text))
            self._here[label, text] = change.number
            is_delete = change.operation == Operation.DELETE
            left = GONE if is_delete else _digest(names.in_force(after_record(change)))
            is_delete_of_part = record is None and schema.omitted and text in now and _digest(now[text]) == left
            if not is_delete_of_part:  # What was never compared of such a row may have been edited since.
                self._left.add(label, text, left)
            if record is not None:
                self._inverse.add(record)
                self._there[label, record.key_text] = change.number
                if record.key_text != text:
                    self._left.add(label, record.key_text, GONE if is_replaced(change) else left)
                self._inverse.add_files(schema, record)

    # Afterwards

    def does_without(self, file: FileValue) -> bool:
        self._missing.add(file.checksum)
        return True

    def complete(self, changes: Sequence[Change]) -> None:
        for change in changes:
            side = self._here if change.operation == Operation.DELETE else self._there
            change.undoes = side[change.model, canonical.dumps(change.key)]
            self._undone.add(change.undoes)
        self._restores.add(changes)
        for change in changes:
            for name, sides in change.files.items():
                if (file := sides["after"]) and file["checksum"] in self._missing and file != sides["before"]:
                    words = f"The file {file['name']!r} of {name} is not in its storage any more, or is another by now."
                    change.problems = [*change.problems, problem("missing_file", name, words)]
            change.has_problems = bool(change.problems)

    def report(self) -> dict[str, Any]:
        """`nothing`: the changes whose rows are as they were already, with nothing that went along with them."""
        nothing = set(self._here.values()) - self._undone
        for number, label in self._restores.along(nothing):
            if number in nothing:
                nothing.remove(number)
                words = (
                    f"#{number} deleted a row that is here again by now; what went along with it is not brought back"
                )
                self._staying.append({"model": label, "field": "", "difference": words})
        return {"nothing": sorted(nothing), "staying": self._staying}

    def close(self) -> None:
        self._inverse.close()


class _Names:
    """Which keys rows have by now, and are to have: what the changeset renamed, what has been undone of that, and what
    is to be. Rows that were renamed otherwise since are not found."""

    def __init__(self, changeset: Changeset, chosen: Sequence[QuerySet[Change]]) -> None:
        everything = changeset.changes.filter(operation=Operation.RENAME.value, outcome=Outcome.APPLIED.value)
        order = {label: place for place, label in enumerate(schemas())}
        replaced = set(everything.filter(rename_choice=RenameChoice.REPLACE.value).values_list("number", flat=True))
        rows = list(everything.values_list("number", "model", "previous_key", "key", "reverted_by"))
        rows.sort(key=lambda row: (order.get(row[1], 0), row[0]))
        renames = (part.filter(operation=Operation.RENAME.value) for part in chosen)
        numbers = {number for part in renames for number in part.values_list("number", flat=True)}
        self._forward = Rekeying(schemas(), {(row[1], canonical.dumps(row[2])): tuple(row[3]) for row in rows})
        undone: dict[Renamed, Key] = {}
        for _, label, previous, key, by in rows:
            if by is not None:
                old = self._forward.key_by_parents(label, canonical.dumps(previous)).text
                undone[label, canonical.dumps(key)] = tuple(Rekeying(schemas(), undone).key(label, old).key)
        self._back = Rekeying(schemas(), undone)
        self.pairs: dict[Renamed, Key] = {}
        self.replaced: set[Renamed] = set()
        for number, label, previous, key, _ in rows:
            if number in numbers:
                now = self._back.key(label, canonical.dumps(key)).text
                old = self._former(label, previous)
                self.pairs[label, now] = tuple(Rekeying(schemas(), self.pairs).key(label, old).key)
                if number in replaced:
                    self.replaced.add((label, now))
        self._further = Rekeying(schemas(), self.pairs)

    def _former(self, label: str, previous: Any) -> str:
        """The key that a renamed row would have by now, had it not been renamed itself."""
        return self._back.key(label, self._forward.key_by_parents(label, canonical.dumps(previous)).text).text

    def here(self, change: Change) -> str:
        """The key that the row has if nobody else has touched it, or would have if it were still here."""
        text = canonical.dumps(change.key)
        if change.operation == Operation.DELETE:
            text = self._forward.key(change.model, text).text
        return self._back.key(change.model, text).text

    def former(self, change: Change) -> str:
        """The key that the row of a chosen rename gets back."""
        return canonical.dumps(list(self.pairs[change.model, self.here(change)]))

    def in_force(self, record: Record) -> Record:
        """A record of the changeset, as it reads by now."""
        record = self._back.record(record)
        own = self._back.key(record.model, record.key_text)
        return replace(record, key=tuple(own.key)) if own.causes else record

    def of_deleted(self, record: Record) -> Record:
        return self.in_force(self._forward.record(record))

    def as_before(self, change: Change, record: Record) -> Record:
        """A record that reads as of now, as it will once the chosen renames are undone."""
        moved = self._further.record(record)
        if change.operation != Operation.RENAME:
            return moved
        key = self.pairs[change.model, self.here(change)]
        return replace(moved, key=key)


def _renamed_later(changeset: Changeset) -> Rekeying:
    """The renames that changesets have written after this one."""
    later = Change.objects.filter(operation=Operation.RENAME.value, outcome=Outcome.APPLIED.value)
    later = later.filter(changeset__applied_at__gt=changeset.applied_at).exclude(changeset=changeset)
    rows = later.order_by("changeset__applied_at", "number").values_list("model", "previous_key", "key")
    known = schemas()
    renamed: dict[Renamed, Key] = {}
    first: dict[Renamed, Renamed] = {}
    for label, previous, key in rows:
        if label in known:
            # A row that was renamed several times is known by its first key; one that has that again never was.
            old, new = (label, canonical.dumps(previous)), (label, canonical.dumps(key))
            origin = first.pop(old, old)
            renamed.pop(origin, None)
            if origin != new:
                first[new], renamed[origin] = origin, tuple(key)
    return Rekeying(known, renamed)


def _inverse(change: Change, names: _Names, now: Record | None) -> Record | None:
    """The record that undoes a change; None where that is no row."""
    match Operation(change.operation):
        case Operation.CREATE:
            return None
        case Operation.DELETE:
            return names.as_before(change, names.of_deleted(before_record(change)))
        case Operation.UPDATE | Operation.RENAME:
            before, after = names.in_force(before_record(change)), names.in_force(after_record(change))
            if now is None:
                return names.as_before(change, before)
            altered = set(differing(before, after))
            record = replace(
                now,
                fields={name: (before if name in altered else now).fields[name] for name in now.fields},
                files={name: (before if name in altered else now).files[name] for name in now.files},
                carried={
                    # Whoever has saved the row since has left another moment there.
                    name: before.carried.get(name) if value == after.carried.get(name) else value
                    for name, value in now.carried.items()
                },
            )
            return names.as_before(change, record)


def _now(schema: ModelSchema, reader: RowReader, texts: Sequence[str]) -> dict[str, Record]:
    """The rows in scope with these keys, as they are."""
    keys = RowsOfKeys(schema, "pk", DEFAULT_DB_ALIAS)
    keys.load(texts)
    pks = [pk for text in texts for pk in keys.all(text)]
    reader.refresh_checksums(pks)
    return {record.key_text: record for text in reader.by_pk(pks).values() for record in [text.record()]}


def _taken(schema: ModelSchema, texts: Sequence[str]) -> set[str]:
    """Those of these keys that rows have, in scope or not."""
    keys = RowsOfKeys(schema, "pk", DEFAULT_DB_ALIAS)
    keys.load(texts)
    return {text for text in texts if keys.count(text)}


def _digest(record: Record) -> bytes:
    return bytes.fromhex(record.digest().removeprefix("sha256:"))[: len(GONE)]


class Inverse:
    """The inverse records as a source: streamed whole, from a file. Its files lie where rows had them."""

    def __init__(self, labels: Collection[str]) -> None:
        self._labels = labels
        self._lines: dict[str, IO[bytes]] = {}
        self._files: dict[str, list[tuple[Any, str]]] = {}

    def add(self, record: Record) -> None:
        if record.model not in self._lines:
            self._lines[record.model] = tempfile.TemporaryFile(dir=conf.spool_dir())
        self._lines[record.model].write(record.line().encode() + b"\n")

    def add_files(self, schema: ModelSchema, record: Record) -> None:
        for file in schema.files:
            value = record.files.get(file.name)
            if value is not None:
                self._files.setdefault(value.checksum, []).append((file.field.storage, value.name))

    def close(self) -> None:
        for file in self._lines.values():
            file.close()

    def manifest(self) -> Manifest:
        """Of the models of the changes; how they are compared, the changeset says."""
        known = {label: schema for label, schema in schemas().items() if label in self._labels}
        return Manifest(models={label: schema.manifest(0) for label, schema in known.items()})

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        yield write_stream(request.models, ((label, self._of(label)) for label in request.models))

    def _of(self, label: str) -> Iterator[str]:
        if (file := self._lines.get(label)) is not None:
            file.seek(0)
            yield from (line[:-1].decode() for line in file)

    @contextmanager
    def digests(self, request: Request) -> Iterator[Iterator[bytes]]:
        raise NotImplementedError
        yield

    @contextmanager
    def records(self, request: Request, handles: Sequence[Handle]) -> Iterator[Iterator[bytes]]:
        raise NotImplementedError
        yield

    def outside(self, label: str, key_texts: Collection[str]) -> set[str]:
        return set()

    @contextmanager
    def open_file(self, checksum: str) -> Iterator[Iterator[bytes]]:
        for storage, name in self._files.get(checksum, ()):
            try:
                stored = storage.open(name)
            except FileNotFoundError:
                continue
            with stored:
                yield read_blocks(stored)
            return
        raise WrongFile(f"No storage has the file with the checksum {checksum} any more.")


class Left:
    """What a changeset has left behind, in place of baselines: rows are no conflict as long as they are that."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, int], dict[bytes, bytes]] = {}

    def add(self, label: str, key_text: str, digest: bytes) -> None:
        key = key_hash(key_text.encode())
        self._entries.setdefault((label, key[0]), {})[key] = digest

    def has(self, label: str) -> bool:
        return True

    def knows(self, label: str) -> bool:
        return True

    def bucket(self, label: str, index: int) -> Mapping[bytes, bytes]:
        return self._entries.get((label, index), {})

    def agree(self, label: str, index: int, entries: Mapping[bytes, bytes]) -> None:
        """Nothing is agreed on with anybody."""

    def store(self) -> None:
        """A revert stores no baselines."""
