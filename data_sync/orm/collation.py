"""Texts that a column's collation takes for one and that are not: MariaDB's default folds case, accents and spaces."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from typing import Any

from django.db import connections, models

from .values import Field


def folds(field: Field, using: str) -> bool:
    """Whether a column may take different texts for equal."""
    connection = connections[using]
    if (field.db_type(connection) or "").startswith("citext") or getattr(field, "db_collation", None):
        return True
    return connection.vendor == "mysql" and isinstance(field, models.CharField | models.TextField)


def equal_texts(field: Field, texts: Collection[str], using: str) -> dict[str, int]:
    """A number for each text, the same for those that the column takes for equal; one query at most.

    The database is asked: what a collation folds is known to nobody else.
    """
    numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    if len(numbers) < 2 or not folds(field, using):
        return numbers
    connection = connections[using]
    quote = connection.ops.quote_name
    # In a union the collation of a column outweighs that of literals; of the column, no row is taken.
    column = f"SELECT {quote(str(field.column))} AS v, 0 AS i FROM {quote(field.model._meta.db_table)} WHERE 1 = 0"  # noqa: S608
    # SQLite limits the parts of a union, but not the rows of VALUES; MySQL has other words for the latter.
    literals = (
        " UNION ALL ".join(["SELECT %s, %s"] * len(numbers))
        if connection.vendor == "mysql"
        else f"VALUES {', '.join(['(%s, %s)'] * len(numbers))}"
    )
    sql = f"SELECT i, MIN(i) OVER (PARTITION BY v) FROM ({column} UNION ALL {literals}) texts"  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [part for pair in numbers.items() for part in pair])
        classes = dict(cursor.fetchall())
    return {text: classes[number] for text, number in numbers.items()}


def known_forms(field: Field, values: Iterable[Any], known: Collection[Any], using: str) -> dict[Any, Any]:
    """For values of a column that are not among the known ones: the known one that the column takes for equal, if any.

    Where a column folds, the database lets `fr` refer to the row `FR`. `field` may be a reference itself.
    """
    column: Any = field
    while column.remote_field is not None:
        column = column.target_field
    if not folds(column, using):
        return {}
    known = dict.fromkeys(known)
    others = [value for value in dict.fromkeys(values) if value not in known]
    if not known or not others:
        return {}
    classes = equal_texts(column, [*known, *others], using)
    by_class = {classes[value]: value for value in known}
    return {value: by_class[classes[value]] for value in others if classes[value] in by_class}


def weights_of(field: Field, texts: Collection[str], using: str) -> dict[str, str]:
    """A form for each text, the same for all that the column takes for equal, and rarely for others; one query at most.

    Unlike a number of `equal_texts` it is the same in every query. MariaDB and MySQL say by which weights they compare;
    elsewhere it is a guess that takes more for alike than any collation.
    """
    connection = connections[using]
    if connection.vendor != "mysql" or not texts:
        return {text: _folded(text) for text in texts}
    quote = connection.ops.quote_name
    column = f"SELECT {quote(str(field.column))} AS v, 0 AS i FROM {quote(field.model._meta.db_table)} WHERE 1 = 0"  # noqa: S608
    numbered = list(texts)
    literals = " UNION ALL ".join(["SELECT %s, %s"] * len(numbered))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT i, HEX(WEIGHT_STRING(RTRIM(v))) FROM ({column} UNION ALL {literals}) texts",  # noqa: S608
            [part for number, text in enumerate(numbered) for part in (text, number)],
        )
        return {numbered[number]: weights for number, weights in cursor.fetchall()}


def _folded(value: str) -> str:
    if value.isascii():
        return value.casefold().rstrip(" ")
    # Older collations of MariaDB and MySQL weigh everything outside of the first plane alike.
    plane = "".join(character if ord(character) < 0x10000 else "\ufffd" for character in value)
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", plane).casefold())
    return "".join(c for c in letters if unicodedata.category(c) not in ("Mn", "Me", "Cf", "Cc")).rstrip(" ")
