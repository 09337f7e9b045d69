"""A spreadsheet as a `RecordSource`: the rows of one model, with the columns that the sheet has."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import IO, Any

from data_sync import conf
from data_sync.core.errors import MalformedSheet, WrongFile
from data_sync.core.manifest import Manifest
from data_sync.core.records import Record
from data_sync.core.source import Handle, Request
from data_sync.core.wire import write_stream
from data_sync.orm.schema import ModelSchema

from .sheet_columns import CellRefused, Columns, Target, columns_of, headers_of
from .sheet_resources import Resource, resource_of
from .sheet_rows import Format, Row, read_rows

MOST_ERRORS = 20
_UNSAID = "cannot be used; why is not said, because it may quote a redacted value."


class SheetSource:
    """The records of a sheet, read once and then kept in a file without a name until `close`.

    `key_rows` has the natural keys (canonical texts) of its rows, with the number of each row. `absent` are the
    members of the model's records that the sheet has no column for; files always are.
    """

    def __init__(self, file: IO[bytes], form: Format, schema: ModelSchema, *, has_all: bool = False) -> None:
        """Reads all of it. `has_all`: rows that it lacks are to be deleted. Raises `MalformedSheet`, which names up to
        twenty cells; then nothing is kept."""
        self.schema = schema
        self._has_all = has_all
        self.key_rows: dict[str, int] = {}
        self._spool: IO[bytes] = tempfile.TemporaryFile(dir=conf.spool_dir(), prefix="data_sync_")
        self._errors: list[str] = []
        self._word = form.word
        try:
            with closing(read_rows(file, form)) as rows:
                self._columns = self._read(rows, form, resource_of(schema))
            if self._errors:
                raise MalformedSheet(_listed(self._errors))
        except BaseException:
            self._spool.close()
            raise
        given = set(self._columns.members)
        self.absent = tuple(name for name in schema.field_names if name not in given)

    def close(self) -> None:
        self._spool.close()

    # What `RecordSource` asks for

    def manifest(self) -> Manifest:
        whole, label = self.schema.manifest(len(self.key_rows)), self.schema.label
        fields = {name: shape for name, shape in whole.fields.items() if name not in self.absent}
        model = type(whole)(
            key=whole.key, fields=fields, count=whole.count, scoped=False, redacted=tuple(self.schema.redacted)
        )
        return Manifest(models={label: model})

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        self._spool.seek(0)
        lines = (line.decode().rstrip("\n") for line in self._spool)
        yield write_stream(request.models, [(self.schema.label, lines)])

    def digests(self, request: Request) -> AbstractContextManager[Iterator[bytes]]:
        raise NotImplementedError("a sheet lists no digests, and its manifest says so")

    def records(self, request: Request, handles: Sequence[Handle]) -> AbstractContextManager[Iterator[bytes]]:
        raise NotImplementedError("a sheet lists no handles, and its manifest says so")

    def outside(self, label: str, key_texts: Collection[str]) -> set[str]:
        return set()

    def open_file(self, checksum: str) -> AbstractContextManager[Iterator[bytes]]:
        raise WrongFile("A sheet holds no files.")

    # Reading

    def _read(self, rows: Iterator[Row], form: Format, resource: Resource) -> Columns:
        columns = _columns(rows, form, self.schema, resource, self._has_all)
        width = len(columns.headers)
        for row in rows:
            cells = row.cells
            if any(cell is not None for cell in cells[width:]):
                self._refuse(row.number, "", f"has a value right of the last header (column {width}). Remove it.")
                continue
            if form.name in ("csv", "tsv") and len(cells) < width:
                self._refuse(row.number, "", f"has {len(cells)} cells, and the header {width}. Is a separator missing?")
                continue
            try:
                cells = resource.prepared(columns.headers, cells, row.number)
            except ValueError as error:
                self._refuse(row.number, "", _UNSAID if self.schema.redacted else str(error))
                continue
            self._keep(columns, cells, row.number)
        return columns

    def _keep(self, columns: Columns, cells: Sequence[Any], number: int) -> None:
        record = self._record(columns, cells, number)
        if record is None:
            return
        first = self.key_rows.setdefault(record.key_text, number)
        if first != number:
            self._refuse(
                number, "", f"has the natural key {record.key_text} of {self._word.lower()} {first}. Remove one."
            )
            return
        line = record.line().encode()
        if len(line) > conf.max_line_bytes():
            self._refuse(number, "", f"is longer than {conf.max_line_bytes():,} bytes (DATA_SYNC_MAX_LINE_BYTES).")
            return
        self._spool.write(line + b"\n")

    def _record(self, columns: Columns, cells: Sequence[Any], number: int) -> Record | None:
        """None where a cell is refused; the errors then say which."""
        schema, given, known = self.schema, set(columns.members), len(self._errors)
        fields: dict[str, Any] = {}
        readers: list[tuple[Any, Any]] = [
            *((value, columns.value) for value in schema.values),
            *((reference, columns.reference) for reference in schema.references),
            *((link, columns.link) for link in schema.links),
            *((generic, columns.generic) for generic in schema.generics),
        ]
        for member, read in readers:
            if member.name in given:
                self._take(columns, number, fields, member, read, cells)
        carried: dict[str, Any] = {}
        for value in schema.carried:
            if Target(value.name) in columns.places:
                self._take(columns, number, carried, value, columns.value, cells)
        if len(self._errors) > known:
            return None
        try:
            key = columns.key(fields, cells)
        except CellRefused as refused:
            self._refuse(number, columns.name(refused.index), str(refused))
            return None
        return Record(model=schema.label, key=key, fields=fields, carried=carried)

    def _take(
        self, columns: Columns, number: int, into: dict[str, Any], member: Any, read: Any, cells: Sequence[Any]
    ) -> None:
        try:
            into[member.name] = read(member, cells)
        except CellRefused as refused:
            # What a resource of the project's own says may quote any cell of the row.
            may_quote = member.name in self.schema.redacted or (self.schema.redacted and member.name in columns.cleans)
            self._refuse(number, columns.name(refused.index), _UNSAID if may_quote else str(refused))

    def _refuse(self, number: int, header: str, reason: str) -> None:
        where = f"{self._word} {number}, column “{header}”" if header else f"{self._word} {number}"
        self._errors.append(f"{where} {reason}")
        if len(self._errors) == MOST_ERRORS:
            raise MalformedSheet(_listed(self._errors, "; there may be more"))


def check_headers(file: IO[bytes], form: Format, schema: ModelSchema, *, has_all: bool) -> None:
    """Raises `MalformedSheet` for what can be seen without reading every row: another format, columns of another
    model, too few to delete rows by."""
    with closing(read_rows(file, form)) as rows:
        _columns(rows, form, schema, resource_of(schema), has_all)


def _columns(rows: Iterator[Row], form: Format, schema: ModelSchema, resource: Resource, has_all: bool) -> Columns:
    header = next(rows, None)
    if header is None:
        raise MalformedSheet("It is empty. Give it a header row, and a row for each record.")
    columns = columns_of(
        schema,
        header.cells,
        has_types=form.has_types,
        aliases=resource.aliases,
        ignored=resource.ignored,
        cleans=resource.cleans,
    )
    if has_all:
        _refuse_absent(columns)
    return columns


def _refuse_absent(columns: Columns) -> None:
    """A column that is not compared is not shown of a row that is to go, and an edit of it would go unseen."""
    lacking = [name for name, of in headers_of(columns.schema).items() if of.member not in columns.members]
    if lacking:
        raise MalformedSheet(
            f"It is to delete the rows that it lacks, and lacks the column {', '.join(lacking)}, so that those rows "
            "could not be reviewed. Add it, or do not ask for deletes."
        )


def _listed(errors: Sequence[str], more: str = "") -> str:
    """All errors in one message, a line for each."""
    if len(errors) == 1:
        return f"Nothing was read: one error. {errors[0]}"
    return "\n".join([f"Nothing was read: {len(errors)} errors{more}.", *errors])
