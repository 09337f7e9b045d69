"""Inserts of many rows: as they are, a table after the other, each in few statements."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any

from django.db import connections, models
from django.db.models.sql import InsertQuery

from data_sync.registry.inheritance import tables_of

from .batches import batches
from .inheritance import Model, link_to_parents
from .schema import ModelSchema
from .sequences import GivenKeys
from .values import Field


def insert_rows(
    schema: ModelSchema,
    rows: Sequence[models.Model],
    given: Collection[str],
    using: str,
    *,
    moves_sequences: bool,
) -> None:
    """Inserts rows into every table that is theirs, parents first, and sets what the database made of them.

    `given` names the fields that have been set: they are stored as they are. The others are asked for what they
    store in a new row (`auto_now`, for one). No signals. On a database that cannot give back primary keys of a bulk
    insert, rows of one table are left without. The database counts on behind keys that rows had before, unless not
    `moves_sequences`: that outlasts a transaction that is rolled back.
    """
    tables = tables_of(schema.model)
    keys = GivenKeys(schema.model, rows)
    for model in tables:
        _fill_in(model, rows, given)
        fields = [field for field in model._meta.local_concrete_fields if not field.generated]
        keyed = [row for row in rows if _has_pk(model, row)]
        unkeyed = [row for row in rows if not _has_pk(model, row)]
        if keyed:
            insert_into(model, keyed, fields, using, wants_pk=False)
        if unkeyed:
            columns = [field for field in fields if not isinstance(field, models.AutoField)]
            insert_into(model, unkeyed, columns, using, wants_pk=model is not tables[-1])
    if moves_sequences:
        keys.count_past(using)
    for row in rows:
        row._state.adding = False
        row._state.db = using


def _has_pk(model: Model, row: models.Model) -> bool:
    return getattr(row, model._meta.pk.attname) is not None


def _fill_in(model: Model, rows: Sequence[models.Model], given: Collection[str]) -> None:
    """What Django's fields do before a new row is saved, for those that nobody has set."""
    asked = [
        field
        for field in model._meta.local_concrete_fields
        if field.name not in given and type(field).pre_save is not models.Field.pre_save
    ]
    pk = model._meta.pk
    for row in rows:
        link_to_parents(model, row)
        if not _has_pk(model, row):
            setattr(row, pk.attname, pk.get_pk_value_on_save(row))
        for field in asked:
            setattr(row, field.attname, field.pre_save(row, add=True))


def insert_into(model: Model, rows: Sequence[Any], fields: Sequence[Field], using: str, *, wants_pk: bool) -> None:
    """Inserts rows, or what stands in for them, into one table; with `wants_pk` they get the keys that it gives."""
    connection = connections[using]
    returned: Sequence[Any] = model._meta.db_returning_fields
    gives_back = connection.features.can_return_rows_from_bulk_insert
    size = max(connection.ops.bulk_batch_size(list(fields), rows), 1)
    if wants_pk and not gives_back:
        size, returned, gives_back = 1, [model._meta.pk], True
    for batch in batches(rows, size):
        query = InsertQuery(model)
        query.insert_values(list(fields), batch, raw=True)
        found = query.get_compiler(using=using).execute_sql(returned if gives_back else None)
        for row, values in zip(batch, found, strict=False):
            for field, value in zip(returned, values, strict=True):
                if field not in fields or getattr(row, field.attname) is None or _is_left_to_database(row, field):
                    setattr(row, field.attname, value)


def prepared(fields: Sequence[Field], values: Sequence[Any], using: str) -> list[Any]:
    """Values of some fields as the database's driver takes them."""
    connection = connections[using]
    return [field.get_db_prep_save(value, connection) for field, value in zip(fields, values, strict=True)]


def insert_plain(model: Model, fields: Sequence[Field], rows: Iterable[Sequence[Any]], using: str) -> None:
    """Inserts rows given as `prepared` values of some fields (texts, numbers and booleans are as they are).

    Nobody gets to see them; the database fills in what is left out.
    """
    connection = connections[using]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column or "") for field in fields)
    marks = f"({', '.join(['%s'] * len(fields))})"
    into = f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES "  # noqa: S608
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.executemany(into + marks, list(rows))
            return
        if hasattr(cursor.cursor, "copy") and _takes_copies(using, model._meta.db_table):
            statement = f"COPY {quote(model._meta.db_table)} ({columns}) FROM STDIN"
            with connection.wrap_database_errors, cursor.cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
            return
        for batch in batches(rows, 1000):
            cursor.execute(into + ", ".join([marks] * len(batch)), [value for row in batch for value in row])


@cache
def _takes_copies(using: str, name: str) -> bool:
    """Whether PostgreSQL's COPY can be used (by psycopg 3): a table under row-level security refuses it."""
    connection = connections[using]
    with connection.cursor() as cursor:
        quoted = connection.ops.quote_name(name)
        cursor.execute("SELECT relrowsecurity FROM pg_class WHERE oid = %s::regclass", [quoted])
        (is_secured,) = cursor.fetchone()
    return not is_secured


def _is_left_to_database(row: models.Model, field: Any) -> bool:
    return hasattr(getattr(row, field.attname), "resolve_expression")
