"""Constraints that the database looks at when a transaction commits: asked about before it is rolled back."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any

from django.apps import apps
from django.db import DatabaseError, connections, transaction

from data_sync.core.states import Operation
from data_sync.orm.tables import table

from .plan import USING, Plan

_KEY = re.compile(r"Key \((?P<column>.+?)\)=\((?P<value>.*)\)")

Broken = tuple[int | None, str]
"""The number of the change that breaks a constraint, None where that cannot be told, and how."""


def broken_at_the_end(plan: Plan) -> Iterator[Broken]:
    """Every constraint that what was written breaks, as far as the database tells; MariaDB looks at once."""
    match connections[USING].vendor:
        case "postgresql":
            yield from _of_postgresql(plan)
        case "sqlite":
            yield from _of_sqlite(plan)


def _of_postgresql(plan: Plan) -> Iterator[Broken]:
    if _error_of("ALL") is None:
        return
    with connections[USING].cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT quote_ident(n.nspname) || '.' || quote_ident(c.conname) FROM pg_constraint c "
            "JOIN pg_namespace n ON n.oid = c.connamespace WHERE c.condeferrable ORDER BY 1"
        )
        names = [name for (name,) in cursor.fetchall()]
    for name in names:
        error = _error_of(name)
        if error is not None:
            told = getattr(error.__cause__, "diag", None)
            key = _KEY.search(getattr(told, "message_detail", None) or str(error))
            place = (getattr(told, "table_name", None) or "", key["column"], key["value"]) if key else None
            yield _cause(plan, place), " ".join(str(error).split())


def _error_of(constraint: str) -> DatabaseError | None:
    """What checking a deferred constraint now raises; it is deferred again afterwards."""
    try:
        with transaction.atomic(using=USING), connections[USING].cursor() as cursor:
            cursor.execute(f"SET CONSTRAINTS {constraint} IMMEDIATE")
            cursor.execute(f"SET CONSTRAINTS {constraint} DEFERRED")
    except DatabaseError as error:
        return error
    return None


def _of_sqlite(plan: Plan) -> Iterator[Broken]:
    quote = connections[USING].ops.quote_name
    for name in sorted(_tables_concerned(plan)):
        with connections[USING].cursor() as cursor:
            cursor.execute(f"PRAGMA foreign_key_check({quote(name)})")
            broken = cursor.fetchall()
            columns = {}
            if broken:
                cursor.execute(f"PRAGMA foreign_key_list({quote(name)})")
                columns = {row[0]: row[3] for row in cursor.fetchall()}
            for _, row, target, constraint in broken:
                column = columns[constraint]
                cursor.execute(
                    f"SELECT {quote(column)} FROM {quote(name)} WHERE rowid = %s",  # noqa: S608
                    [row],
                )
                value = cursor.fetchone()[0]
                reason = f"{name}.{column} would refer to {value!r} of {target}, which does not exist."
                yield _cause(plan, (name, column, str(value))), reason


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


def _cause(plan: Plan, place: tuple[str, str, str] | None) -> int | None:
    """The change that wrote a row with this value in this column, or that deleted the row it refers to."""
    if place is None:
        return None
    name, column, value = place
    for model in apps.get_models(include_auto_created=True):
        field = next((known for known in model._meta.local_concrete_fields if known.column == column), None)
        if model._meta.db_table != name or field is None or model._meta.proxy:
            continue
        pks = set(table(model, USING).filter(**{field.attname: value}).values_list("pk", flat=True)[:1000])
        number = _number(plan, model, pks)
        if number is None and field.related_model is not None:
            number = _number(plan, field.related_model, {value}, Operation.DELETE)
        return number
    return None


def _number(plan: Plan, model: Any, pks: Collection[Any], *operations: Operation) -> int | None:
    wanted = {str(pk) for pk in pks}
    for label, schema in plan.schemas.items():
        if model._meta.concrete_model in schema.tables:
            for batch in plan.entries(label, *operations):
                for entry in batch:
                    if str(entry.pk) in wanted:
                        return entry.number
    return None
