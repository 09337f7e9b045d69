"""Many-to-many links of many rows at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from data_sync.core import canonical

from .among import among
from .batches import batches
from .collation import known_forms
from .insertion import insert_plain, prepared
from .resolution import target_schema
from .schema import Link, ModelSchema
from .tables import table
from .target_rows import TargetRows
from .writes import Write


def set_links(schema: ModelSchema, link: Link, writes: Sequence[Write], targets: TargetRows, using: str) -> list[Write]:
    """Makes each row linked with exactly what its record says; gives the writes some of whose targets are not there.

    Those are linked with the others already. Links that stay keep their rows.
    """
    target = target_schema(link)
    texts = {write.number: [canonical.dumps(key) for key in write.after.fields[link.name]] for write in writes}
    targets.load(target, "pk", (text for of_write in texts.values() for text in of_write))
    waiting: list[Write] = []
    wanted: dict[Any, dict[Any, None]] = {}
    for write in writes:
        found = [targets.get(target, "pk", text) for text in texts[write.number]]
        wanted[write.pk] = dict.fromkeys(pk for pk in found if pk is not None)
        if None in found:
            waiting.append(write)
    through = table(link.through, using)
    surplus: list[Any] = []
    for batch in batches(wanted):
        existing = through.filter(among(link.source_column, batch))
        rows = list(existing.values_list("pk", link.source_column, link.target_column))
        same = known_forms(schema.pk, (source for _, source, _ in rows), batch, using)
        for pk, source, linked in rows:
            of_row = wanted[same.get(source, source)]
            if linked in of_row:
                del of_row[linked]
            else:
                surplus.append(pk)
    for gone in batches(surplus):
        through.filter(among("pk", gone)).delete()
    columns: list[Any] = [link.through._meta.get_field(name) for name in (link.source_column, link.target_column)]
    missing = ((source, linked) for source, of_row in wanted.items() for linked in of_row)
    insert_plain(link.through, columns, (prepared(columns, pair, using) for pair in missing), using)
    return waiting
