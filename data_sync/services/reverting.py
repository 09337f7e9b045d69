"""What a revert reads: the inverse of an applied changeset, with what is here now in place of what it left alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet

from data_sync.core import canonical
from data_sync.core.errors import InvalidTransition
from data_sync.core.manifest import Manifest
from data_sync.core.records import FileValue, Key, Record
from data_sync.core.source import Outside, Request
from data_sync.core.states import ChangesetState, Operation, Outcome
from data_sync.models import Change, Changeset, DataPull
from data_sync.orm.batches import batches
from data_sync.orm.limits import problem
from data_sync.orm.references import RowsOfKeys
from data_sync.orm.rekeying import Renamed
from data_sync.orm.rows import RowReader
from data_sync.orm.schema import ModelSchema

from .agreement import Agreement
from .baselines import Baselines
from .both_sides import Pairing
from .conflicts import GONE
from .content import after_record, compared_schemas
from .inverse import Inverse, Left
from .names_by_now import Names, inverse_of, is_replaced, renamed_later
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
        names = Names(self._changeset, self._parts)
        self._pairs = {row: key for row, key in names.pairs.items() if row not in names.replaced}
        self._later = renamed_later(self._changeset)
        for label, schema in agreement.schemas.items():
            reader = RowReader(schema, DEFAULT_DB_ALIAS)
            found = (part.filter(model=label).iterator(chunk_size=400) for part in self._parts)
            for batch in batches(chain.from_iterable(found)):
                self._add(schema, batch, names, _now(schema, reader, [names.here(change) for change in batch]))

    def _add(self, schema: ModelSchema, batch: Sequence[Change], names: Names, now: Mapping[str, Record]) -> None:
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
            record = inverse_of(change, names, now.get(text))
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
