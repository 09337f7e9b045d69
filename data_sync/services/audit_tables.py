"""The audit's tables as spreadsheets: changesets, changes and events, for whoever reads them elsewhere."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO, Any

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model, QuerySet

from data_sync import conf
from data_sync.orm.snapshot import snapshot
from data_sync.sources.table_files import write_table

from . import audit
from .actors import Actor

PERMISSION = "data_sync.export_changeset"
CHAIN = "tables"
"""Where the audit trail has that tables were exported."""
_AT_ONCE = 500


def audit_table(rows: QuerySet[Any], form: str, actor: Actor) -> IO[bytes]:
    """These changesets, changes or events in a temporary file without a name, at its start, in a format of
    `table_files`. One row is held at a time. That it was made is an event.

    Raises `NotPermitted`, and `InvalidInput` for more rows than the format holds.
    """
    actor.require(PERMISSION)
    from .audit_resources import RESOURCES

    resource = RESOURCES[rows.model]()
    # Found once: `Resource.export_resource` would look for all of them at each row.
    readers = [
        getattr(resource, field.get_dehydrate_method(name), field.export) for name, field in resource.fields.items()
    ]
    headers = [field.column_name for field in resource.fields.values()]
    count = 0

    def lines() -> Iterator[list[Any]]:
        nonlocal count
        # A list may have left out what it does not show, or joined what is not exported.
        for row in rows.defer(None).select_related(None).iterator(chunk_size=_AT_ONCE):
            count += 1
            resource.begin(row)
            yield [read(row) for read in readers]

    spool = tempfile.TemporaryFile(dir=conf.spool_dir(), prefix="data_sync_")
    try:
        with snapshot(DEFAULT_DB_ALIAS):
            write_table(form, headers, lines(), spool)
        audit.record_of(CHAIN, actor, "table_exported", _detail(rows.model, form, count))
        spool.seek(0)
    except BaseException:
        spool.close()
        raise
    return spool


def _detail(model: type[Model], form: str, count: int) -> dict[str, Any]:
    return {"table": model._meta.model_name, "format": form, "rows": count}
