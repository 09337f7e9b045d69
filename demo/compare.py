"""Are both environments equal? Asked of the SQLite files and the media directories themselves.

Nothing of data_sync and nothing of Django is used here: own SQL, own natural keys, own checksums. If
the package were wrong about what is equal, this would say so.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .environments import Environment

Key = tuple[Any, ...]
Rows = dict[Key, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A query for synced rows: the first `key` columns identify one, whatever its primary key."""

    name: str
    key: int
    query: str
    json: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    hangs_from: str = ""


_LANGUAGE = "shop_language l JOIN shop_country c ON c.id = l.country_id"
# `updated_at` is not here: the moment of writing is each environment's own.
TABLES = (
    Table(name="country", key=1, query="SELECT code, name, own_name, currency, opened_at FROM shop_country"),
    Table(
        name="language",
        key=2,
        query=f"SELECT c.code, l.code, l.name, l.own_name, l.right_to_left FROM {_LANGUAGE}",
    ),
    Table(
        name="copy",
        key=3,
        query="SELECT c.code, l.code, t.key, t.value, t.hint, t.thumbnail "
        f"FROM {_LANGUAGE} JOIN shop_copy t ON t.language_id = l.id",
        files=("thumbnail",),
    ),
    Table(
        name="category",
        key=1,
        query="SELECT k.slug, k.name, k.position, p.slug AS parent "
        "FROM shop_category k LEFT JOIN shop_category p ON p.id = k.parent_id",
    ),
    Table(name="tag", key=1, query="SELECT slug, label FROM shop_tag"),
    Table(
        name="product",
        key=1,
        query="SELECT p.sku, p.name, p.description, k.slug AS category, p.weight, p.launched_at, "
        "p.lead_time, p.picture FROM shop_product p JOIN shop_category k ON k.id = p.category_id",
        files=("picture",),
    ),
    Table(
        name="product.tags",
        key=2,
        query="SELECT p.sku, t.slug FROM shop_product_tags m "
        "JOIN shop_product p ON p.id = m.product_id JOIN shop_tag t ON t.id = m.tag_id",
    ),
    Table(
        name="product.countries",
        key=2,
        query="SELECT p.sku, c.code FROM shop_product_countries m "
        "JOIN shop_product p ON p.id = m.product_id JOIN shop_country c ON c.id = m.country_id",
    ),
    Table(
        name="price",
        key=2,
        query="SELECT p.sku, c.code, m.amount, m.currency, m.valid_from FROM shop_price m "
        "JOIN shop_product p ON p.id = m.product_id JOIN shop_country c ON c.id = m.country_id",
    ),
    Table(name="setting", key=1, query="SELECT name, value, comment FROM shop_setting", json=("value",)),
)
# Rows that are not synced, with the natural key of the row that they hang from.
LOCAL = (
    Table(
        name="editornote",
        hangs_from="copy",
        key=3,
        query="SELECT c.code, l.code, t.key, n.id, n.author, n.text, n.written_at "
        f"FROM {_LANGUAGE} JOIN shop_copy t ON t.language_id = l.id "
        "JOIN shop_editornote n ON n.copy_id = t.id",
    ),
    Table(
        name="stocklevel",
        hangs_from="product",
        key=1,
        query="SELECT p.sku, s.id, s.warehouse, s.quantity, s.counted_at "
        "FROM shop_stocklevel s JOIN shop_product p ON p.id = s.product_id",
    ),
)


def read(environment: Environment, table: Table) -> Rows:
    """Rows by natural key; values as text that tells 1, 1.0 and '1' apart; files as their SHA-256."""
    rows: Rows = {}
    with closing(_connect(environment)) as connection:
        cursor = connection.execute(table.query)
        names = [column[0] for column in cursor.description]
        for row in cursor:
            if row[: table.key] in rows:
                raise LookupError(f"{environment.name}: two rows of {table.name} are {row[: table.key]}.")
            values = zip(names[table.key :], row[table.key :], strict=True)
            rows[row[: table.key]] = tuple(_text(environment.media, table, *value) for value in values)
    return rows


def differences(one: Environment, other: Environment) -> dict[str, dict[str, Any]]:
    """By table: rows on each side, how many differ or are missing, and the first few of their keys."""
    found = {}
    for table in TABLES:
        left, right = read(one, table), read(other, table)
        unequal = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
        found[table.name] = {
            "rows": [len(left), len(right)],
            "different": len(unequal),
            "examples": [list(key) for key in unequal[:5]],
        }
    return found


def pictures(environment: Environment) -> dict[str, str]:
    """SHA-256 by the natural key of the row and field that shows the file."""
    shown = {}
    for table in TABLES:
        for key, values in read(environment, table).items():
            for value in values if table.files else ():
                if value.startswith("sha256:") or value.startswith("missing:"):
                    shown["/".join((table.name, *map(str, key)))] = value
    return shown


def local_rows(environment: Environment, table: Table) -> dict[int, tuple[Key, Key]]:
    """Rows that are not synced, by primary key: the key that they hang from, and their own values."""
    with closing(_connect(environment)) as connection:
        return {row[table.key]: (row[: table.key], row[table.key :]) for row in connection.execute(table.query)}


def is_sound(environment: Environment) -> bool:
    """Whether SQLite finds no broken reference and no damage."""
    with closing(_connect(environment)) as connection:
        broken = connection.execute("PRAGMA foreign_key_check").fetchall()
        return not broken and connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def _connect(environment: Environment) -> sqlite3.Connection:
    if not environment.database.exists():
        raise FileNotFoundError(environment.database)
    return sqlite3.connect(environment.database)


def _text(media: Path, table: Table, name: str, value: Any) -> str:
    if name in table.json:
        return json.dumps(json.loads(value), sort_keys=True)
    if name in table.files and value:
        path = media / value
        if not path.exists():
            return f"missing: {path}"
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    return repr(value)
