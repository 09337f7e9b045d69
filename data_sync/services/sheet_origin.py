"""What a pull of a spreadsheet reads, and with which rows here that is compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from data_sync.core.errors import InvalidTransition, MalformedSheet
from data_sync.core.manifest import Manifest
from data_sync.core.source import Request
from data_sync.models import DataPull
from data_sync.orm.resolution import schemas
from data_sync.sources.sheet import SheetSource
from data_sync.sources.sheet_rows import format_of

from . import stored_uploads
from .agreement import Agreement
from .origins import Origin


class SheetOrigin(Origin):
    """The rows of one model that a sheet has, with the columns that it has; what else is here stays as it is.

    With the option `deletes`, rows in scope that the sheet lacks are deletes, and a row that only its key tells from
    one of them may be that row, renamed. Without, absence says nothing.
    """

    source: SheetSource
    keeps_answers = False

    def __init__(self, pull: DataPull) -> None:
        """Reads the file. Raises `MalformedSheet`, `InvalidTransition` for a model that is not registered any more, and
        `WrongFile` where the upload is gone or altered."""
        label = str(pull.options.get("model", ""))
        schema = schemas().get(label)
        if schema is None:
            raise InvalidTransition(f"{label or 'No model'} is not registered here. Known: {', '.join(schemas())}.")
        form = format_of(str(pull.options.get("format") or ""), pull.upload_name)
        with stored_uploads.opened(pull) as file:
            has_all = bool(pull.options.get("deletes"))
            super().__init__(pull, SheetSource(file, form, schema, has_all=has_all))
        self.finds_renames = has_all
        if not (has_all or self.source.key_rows):
            self.close()
            raise MalformedSheet(f"{pull.upload_name} has headers, but no rows below them. Add the rows to bring in.")

    def agree(self, here: Manifest, there: Manifest) -> Agreement:
        """What the sheet has. Its other columns are left out, which is no difference of schemas: it holds nothing."""
        schema = self.source.schema
        label, absent = schema.label, [*self.source.absent, *(file.name for file in schema.files)]
        return Agreement(
            schemas={label: schema.without(absent)},
            here=Request(models=(label,), omitted={label: tuple(absent)} if absent else {}),
            there=Request(models=(label,)),
            scoped=frozenset(),
            differences=[],
        )

    def rows_here(self, agreement: Agreement) -> Mapping[str, Collection[str]] | None:
        return None if self.pull.options.get("deletes") else {self.source.schema.label: self.source.key_rows.keys()}

    def close(self) -> None:
        self.source.close()
