"""Constraints that the database looks at when a transaction commits: asked about before it is rolled back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, transaction

from data_sync.core.states import Operation
from data_sync.orm.refusals import words_of
from data_sync.orm.schema import ModelSchema
from data_sync.orm.tables import table
from data_sync.orm.writes import columns_of

from .plan import Plan
from .redaction import every_redacted

MOST = 1000
"""So many rows are named that break one constraint."""

Broken = tuple[int | None, str]
"""The number of the change that breaks a constraint, None where that cannot be told, and how."""
Dangling = tuple[str, int, str, int]
"""A row of SQLite that refers to none: its table, its rowid, the other table, the number of the constraint."""


@dataclass(frozen=True, slots=True)
class _Constraint:
    """One that PostgreSQL looks at late. `name` and `relation` (and `target`, of a foreign key) are quoted."""

    name: str
    kind: str
    table: str
    relation: str
    columns: Sequence[str]
    target: str | None
    target_columns: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Place:
    """Values of some columns of a table, by which rows that break a constraint are found."""

    table: str
    columns: Sequence[str]
    values: Sequence[Any]


def dangling_before(plan: Plan) -> frozenset[Dangling]:
    """What dangles before anything is written. Only SQLite finds that again at the end, and commits all the same."""
    return frozenset(_dangling_rows(plan)) if connections[DEFAULT_DB_ALIAS].vendor == "sqlite" else frozenset()


def broken_at_the_end(plan: Plan, before: Collection[Dangling]) -> Iterator[Broken]:
    """Every constraint that what was written breaks, as far as the database tells; MariaDB looks at once.

    `before`: see `dangling_before`.
    """
    match connections[DEFAULT_DB_ALIAS].vendor:
        case "postgresql":
            yield from _of_postgresql(plan)
        case "sqlite":
            yield from _of_sqlite(plan, before)


def _of_postgresql(plan: Plan) -> Iterator[Broken]:
    if _error_of("ALL") is None:
        return
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(_DEFERRABLE)
        constraints = [_Constraint(*row) for row in cursor.fetchall()]
    for constraint in constraints:
        error = _error_of(constraint.name)
        if error is not None:
            found = list(_breaking(constraint, plan))
            for place, reason in found:
                yield _cause(plan, place), reason
            if not found:
                yield None, words_of(error, every_redacted(plan.changeset))


_COLUMNS = """ARRAY(SELECT a.attname::text FROM unnest(c.{key}) WITH ORDINALITY k(number, place)
    JOIN pg_attribute a ON a.attrelid = c.{relation} AND a.attnum = k.number ORDER BY place)"""
_DEFERRABLE = f"""
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.conname), c.contype::text, r.relname::text,
    c.conrelid::regclass::text, {_COLUMNS.format(key="conkey", relation="conrelid")},
    CASE WHEN c.confrelid <> 0 THEN c.confrelid::regclass::text END,
    {_COLUMNS.format(key="confkey", relation="confrelid")}
FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace JOIN pg_class r ON r.oid = c.conrelid
WHERE c.condeferrable ORDER BY 1
"""  # noqa: S608


def _breaking(constraint: _Constraint, plan: Plan) -> Iterator[tuple[_Place, str]]:
    """Every value that breaks a foreign key or a unique constraint: the database's own error has only the first."""
    quote = connections[DEFAULT_DB_ALIAS].ops.quote_name
    columns = ", ".join(f"one.{quote(column)}" for column in constraint.columns)
    present = " AND ".join(f"one.{quote(column)} IS NOT NULL" for column in constraint.columns)
    match constraint.kind:
        case "f":
            pairs = zip(constraint.columns, constraint.target_columns, strict=True)
            joined = " AND ".join(f"one.{quote(mine)} = other.{quote(theirs)}" for mine, theirs in pairs)
            sql = (
                f"SELECT DISTINCT {columns} FROM {constraint.relation} one WHERE {present} AND NOT EXISTS "  # noqa: S608
                f"(SELECT 1 FROM {constraint.target} other WHERE {joined}) ORDER BY {columns} LIMIT {MOST}"
            )
        case "u":
            sql = (
                f"SELECT {columns} FROM {constraint.relation} one WHERE {present} GROUP BY {columns} "  # noqa: S608
                f"HAVING COUNT(*) > 1 ORDER BY {columns} LIMIT {MOST}"
            )
        case _:
            return
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute(sql)
        rows = cursor.fetchall()
    for values in rows:
        place = _Place(constraint.table, constraint.columns, values)
        if constraint.kind == "f":
            yield place, _dangling(place, constraint.target or "", plan)
        else:
            yield place, f"more than one row would have {_words(place, plan)} in {constraint.table}."


def _dangling(place: _Place, target: str, plan: Plan) -> str:
    return f"{place.table} would refer by {_words(place, plan)} to a row of {target} that does not exist."


def _words(place: _Place, plan: Plan) -> str:
    """The columns with their values, unless these are redacted, or are of links that are."""
    hidden = {column for schema in plan.schemas.values() for column in _hidden_columns(schema, place.table)}
    return ", ".join(
        f"one {column}" if column in hidden else f"{column} {value!r}"
        for column, value in zip(place.columns, place.values, strict=True)
    )


def _hidden_columns(schema: ModelSchema, table_name: str) -> Iterator[str]:
    """The columns of a table that hold what a model redacts."""
    for model in schema.tables if schema.redacted else ():
        if model._meta.db_table == table_name:
            for field in model._meta.local_concrete_fields:
                if field.name in columns_of(schema, schema.redacted):
                    yield str(field.column)
    for link in schema.links:
        if link.name in schema.redacted and link.through._meta.db_table == table_name:
            yield from (str(field.column) for field in link.through._meta.concrete_fields)


def _error_of(constraint: str) -> DatabaseError | None:
    """What checking a deferred constraint now raises; it is deferred again afterwards."""
    try:
        with transaction.atomic(using=DEFAULT_DB_ALIAS), connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute(f"SET CONSTRAINTS {constraint} IMMEDIATE")
            cursor.execute(f"SET CONSTRAINTS {constraint} DEFERRED")
    except DatabaseError as error:
        return error
    return None


def _of_sqlite(plan: Plan, before: Collection[Dangling]) -> Iterator[Broken]:
    quote = connections[DEFAULT_DB_ALIAS].ops.quote_name
    columns: dict[tuple[str, int], str] = {}
    for dangling in _dangling_rows(plan):
        if dangling in before:
            continue
        name, row, target, constraint = dangling
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            if (name, constraint) not in columns:
                cursor.execute(f"PRAGMA foreign_key_list({quote(name)})")
                columns |= {(name, found[0]): found[3] for found in cursor.fetchall()}
            column = columns[name, constraint]
            cursor.execute(
                f"SELECT {quote(column)} FROM {quote(name)} WHERE rowid = %s",  # noqa: S608
                [row],
            )
            place = _Place(name, (column,), cursor.fetchone())
        yield _cause(plan, place), _dangling(place, target, plan)


def _dangling_rows(plan: Plan) -> Iterator[Dangling]:
    for name in sorted(_tables_concerned(plan)):
        with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
            cursor.execute(f"PRAGMA foreign_key_check({connections[DEFAULT_DB_ALIAS].ops.quote_name(name)})")
            yield from cursor.fetchall()


def _tables_concerned(plan: Plan) -> set[str]:
    """The tables that the plan writes to, and those that refer to rows which it deletes."""
    names: set[str] = set()
    for label, schema in plan.schemas.items():
        if not any(plan.entries(label)):
            continue
        names |= {model._meta.db_table for model in schema.tables}
        names |= {link.through._meta.db_table for link in schema.links}
        for model in schema.tables:
            relations: list[Any] = model._meta.get_fields(include_hidden=True)
            names |= {
                relation.related_model._meta.db_table
                for relation in relations
                if relation.auto_created and not relation.concrete and (relation.one_to_many or relation.one_to_one)
            }
    return names


def _cause(plan: Plan, place: _Place) -> int | None:
    """The change that wrote a row with these values in these columns, or that deleted the row it refers to."""
    for model in apps.get_models(include_auto_created=True):
        known: dict[Any, Any] = {field.column: field for field in model._meta.local_concrete_fields}
        if model._meta.db_table != place.table or model._meta.proxy or not known.keys() >= set(place.columns):
            continue
        fields = [known[column] for column in place.columns]
        values = {field.attname: value for field, value in zip(fields, place.values, strict=True)}
        number = _number(
            plan, model, table(model, DEFAULT_DB_ALIAS).filter(**values).values_list("pk", flat=True)[:MOST]
        )
        if number is None and len(fields) == 1 and fields[0].related_model is not None:
            number = _number(plan, fields[0].related_model, place.values, Operation.DELETE)
        return number
    return None


def _number(plan: Plan, model: Any, pks: Iterable[Any], *operations: Operation) -> int | None:
    wanted = {str(pk) for pk in pks}
    for label, schema in plan.schemas.items():
        if model._meta.concrete_model in schema.tables:
            for batch in plan.entries(label, *operations):
                for entry in batch:
                    if str(entry.pk) in wanted:
                        return entry.number
    return None
