"""The two databases: texts of about 600 bytes with references, JSON and links, and how one side is edited."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from django.core.management import call_command
from django.db import transaction

from .app.models import Country, Language, Tag, Text

COUNTRIES, LANGUAGES, TAGS = 60, 4, 50
LINKS = 2
BATCH = 1000
#: One row is new, and one gone, for so many that are changed.
EXTRA = 10
WORDS = (
    "winter collection Größe 42 new café arrivals überall ships within two working days wool and linen "
    "prêt-à-porter for cold mornings señal 東京 returns are free until the end of the month Łódź size guide"
).split()
START = datetime(2024, 1, 1, tzinfo=UTC)
Links = Text.tags.through


def fill(rows: int) -> None:
    """Makes the default database: tables, and the rows that both sides begin with."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    chance = random.Random(20240101)
    with transaction.atomic():
        countries = Country.objects.bulk_create(
            Country(code=f"{chr(65 + n // 26)}{chr(65 + n % 26)}", name=f"Country {n}") for n in range(COUNTRIES)
        )
        languages = Language.objects.bulk_create(
            Language(country=country, code=f"l{n}") for country in countries for n in range(LANGUAGES)
        )
        tags = Tag.objects.bulk_create(Tag(slug=f"tag-{n}", title=f"Tag {n}") for n in range(TAGS))
        _add(chance, languages, [tag.pk for tag in tags], range(rows))


def _add(chance: random.Random, languages: list[Language], tags: list[int], numbers: Iterable[int]) -> None:
    texts = (text(chance, languages[n % len(languages)], n) for n in numbers)
    while batch := Text.objects.bulk_create(islice(texts, BATCH)):
        Links.objects.bulk_create(
            Links(text_id=row.pk, tag_id=pk) for row in batch for pk in chance.sample(tags, LINKS)
        )


def text(chance: random.Random, language: Language, number: int) -> Text:
    return Text(
        language=language,
        key=f"section{number % 37}.block.{number}",
        title=" ".join(chance.choices(WORDS, k=5)),
        value=" ".join(chance.choices(WORDS, k=36)),
        price=Decimal(chance.randrange(100, 100_000)) / 100,
        position=number,
        is_active=number % 7 > 0,
        published_at=START + timedelta(seconds=number, microseconds=number % 1000),
        settings={
            "layout": chance.choice(["wide", "narrow"]),
            "colours": {"text": f"#{chance.randrange(1 << 24):06x}", "border": None},
            "columns": [chance.randrange(12), chance.randrange(12)],
            "ratio": chance.randrange(100) / 8,
        },
    )


def bytes_per_row() -> int:
    """Mean size of a text as JSON."""
    rows = list(Text.objects.order_by("pk").values()[:BATCH])
    return sum(len(json.dumps(row, default=str, ensure_ascii=False).encode()) for row in rows) // len(rows)


def edit(updates: int) -> dict[str, int]:
    """Turns a copy of the filled database into the other side. Gives the number of rows by operation.

    Where there are not enough rows for as many updates, every row is updated or removed.
    """
    chance = random.Random(20240202)
    pks = list(Text.objects.order_by("pk").values_list("pk", flat=True))
    gone = min(updates, len(pks)) // EXTRA
    chosen = chance.sample(pks, min(updates + gone, len(pks)))
    tags = list(Tag.objects.order_by("pk").values_list("pk", flat=True))
    changed = chosen[gone:]
    with transaction.atomic():
        for batch in _batches(chosen[:gone]):
            Text.objects.filter(pk__in=batch).delete()
        for first, batch in zip(range(0, len(changed), BATCH), _batches(changed), strict=True):
            _change(chance, tags, first, batch)
        _add(chance, list(Language.objects.order_by("pk")), tags, range(len(pks), len(pks) + gone))
    return {"create": gone, "update": len(changed), "delete": gone}


def _change(chance: random.Random, tags: list[int], first: int, pks: list[int]) -> None:
    rows = Text.objects.in_bulk(pks)
    linked = []
    for number, pk in enumerate(pks, first):
        row = rows[pk]
        match number % 10:
            case 0 | 1 | 2 | 3 | 4:
                row.value = row.value.replace(" and ", " & ") + " Now in green."
            case 5 | 6:
                row.price += Decimal("0.05")
            case 7 | 8:
                row.settings["colours"]["border"] = "#000000"
                row.settings["columns"].append(3)
            case 9:
                linked.append(pk)
    Text.objects.bulk_create(
        rows.values(), update_conflicts=True, unique_fields=["id"], update_fields=["value", "price", "settings"]
    )
    Links.objects.filter(text_id__in=linked).delete()
    Links.objects.bulk_create(Links(text_id=pk, tag_id=tag) for pk in linked for tag in chance.sample(tags, LINKS + 1))


def _batches(values: list[int]) -> list[list[int]]:
    return [values[start : start + BATCH] for start in range(0, len(values), BATCH)]


@dataclass(frozen=True, slots=True)
class Row:
    """A text: `key` has its language's primary key, `values` its columns, `tags` the keys of what it links to."""

    pk: int
    key: tuple[int, str]
    values: dict[str, Any]
    tags: list[int]


def differences() -> tuple[list[Row], list[Row], list[Row]]:
    """What makes the default database like the source: rows to change, to add and to remove.

    Rows of both sides that belong together have the same primary keys, which only a benchmark can know;
    changed rows have the source's values and new ones its primary keys.
    """
    changed, new, gone = [], [], []
    ours, theirs = _rows("default"), _rows("source")
    here, there = next(ours, None), next(theirs, None)
    while here is not None or there is not None:
        if there is None or (here is not None and here.pk < there.pk):
            gone.append(here)
            here = next(ours, None)
        elif here is None or there.pk < here.pk:
            new.append(there)
            there = next(theirs, None)
        else:
            if here != there:
                changed.append(there)
            here, there = next(ours, None), next(theirs, None)
    return changed, new, gone


def are_equal(*, to_milliseconds: bool = False) -> bool:
    """Whether both databases hold the same texts, primary keys apart.

    Django's serializer cuts microseconds off, so whatever goes through it is equal `to_milliseconds` at best.
    """
    return _sum("default", to_milliseconds) == _sum("source", to_milliseconds)


def _sum(using: str, to_milliseconds: bool) -> tuple[int, int]:
    count = total = 0
    for row in _rows(using):
        if to_milliseconds and row.values["published_at"]:
            row.values["published_at"] = row.values["published_at"].isoformat(timespec="milliseconds")
        told = json.dumps([row.values, row.tags], sort_keys=True, default=repr).encode()
        total += int.from_bytes(hashlib.blake2b(told, digest_size=16).digest(), "big")
        count += 1
    return count, total


def _rows(using: str) -> Iterator[Row]:
    rows = Text.objects.using(using).order_by("pk").values().iterator(chunk_size=BATCH)
    while chunk := list(islice(rows, BATCH)):
        links: dict[int, list[int]] = {}
        through = Links.objects.using(using).filter(text_id__gte=chunk[0]["id"], text_id__lte=chunk[-1]["id"])
        for source, target in through.order_by("tag_id").values_list("text_id", "tag_id"):
            links.setdefault(source, []).append(target)
        for values in chunk:
            pk = values.pop("id")
            yield Row(pk, (values["language_id"], values["key"]), values, links.get(pk, []))
