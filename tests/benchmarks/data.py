"""The two databases: `rows` texts of about 600 bytes, of which one in a hundred differs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from django.core.management import call_command
from django.db import transaction

from .app.models import Country, Language, Tag, Text

COUNTRIES, LANGUAGES, TAGS = 60, 4, 50
LINKS = 2
CHANGED, EXTRA = 100, 1000
"""One row in so many is changed; one in so many is new, and another gone."""
WORDS = (
    "winter collection Größe 42 new café arrivals überall ships within two working days wool and linen "
    "prêt-à-porter for cold mornings señal 東京 returns are free until the end of the month Łódź size guide"
).split()
START = datetime(2024, 1, 1, tzinfo=UTC)


def fill(rows: int) -> None:
    """Makes the default database: tables, and the rows that both sides begin with."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    chance = random.Random(20240101)
    with transaction.atomic():
        countries = Country.objects.bulk_create(
            Country(code=f"{chr(65 + n // 26)}{chr(65 + n % 26)}", name=f"Country {n}")
            for n in range(COUNTRIES)
        )
        languages = Language.objects.bulk_create(
            Language(country=country, code=f"l{n}") for country in countries for n in range(LANGUAGES)
        )
        tags = Tag.objects.bulk_create(Tag(slug=f"tag-{n}", title=f"Tag {n}") for n in range(TAGS))
        pks = [tag.pk for tag in tags]
        texts = (text(chance, languages[n % len(languages)], n) for n in range(rows))
        while batch := Text.objects.bulk_create(islice(texts, 1000)):
            Text.tags.through.objects.bulk_create(
                Text.tags.through(text_id=row.pk, tag_id=pk)
                for row in batch
                for pk in chance.sample(pks, LINKS)
            )


def text(chance: random.Random, language: Language, number: int) -> Text:
    return Text(
        language=language,
        key=f"section{number % 37}.block.{number}",
        title=" ".join(chance.choices(WORDS, k=6)),
        value=" ".join(chance.choices(WORDS, k=58)),
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


def edit() -> None:
    """Turns a copy of the filled database into the other side."""
    chance = random.Random(20240202)
    pks = list(Text.objects.order_by("pk").values_list("pk", flat=True))
    chosen = chance.sample(pks, len(pks) // CHANGED + len(pks) // EXTRA)
    gone, changed = chosen[: len(pks) // EXTRA], chosen[len(pks) // EXTRA :]
    languages, tags = list(Language.objects.order_by("pk")), list(Tag.objects.order_by("pk"))
    with transaction.atomic():
        for pk in gone:
            Text.objects.get(pk=pk).delete()
        for number, pk in enumerate(changed):
            row = Text.objects.get(pk=pk)
            match number % 10:
                case 0 | 1 | 2 | 3 | 4:
                    row.value = row.value.replace(" and ", " & ") + " Now in green."
                case 5 | 6:
                    row.price += Decimal("0.05")
                case 7 | 8:
                    row.settings["colours"]["border"] = "#000000"
                    row.settings["columns"].append(3)
                case 9:
                    row.tags.set(chance.sample(tags, LINKS + 1))
            row.save()
        for number in range(len(pks) // EXTRA):
            row = text(chance, languages[number % len(languages)], len(pks) + number)
            row.save()
            row.tags.set(chance.sample(tags, LINKS))


def expected(rows: int) -> dict[str, int]:
    return {"create": rows // EXTRA, "update": rows // CHANGED, "delete": rows // EXTRA}


Plain = tuple[dict[str, Any], list[int]]
"""A row's columns by name, and the tags it is linked with."""


def differences() -> tuple[dict[int, Plain], dict[int, Plain], list[int]]:
    """What makes the default database like the source: rows to change, to add, and primary keys to remove.

    Rows have the same primary keys on both sides, which only this benchmark can know.
    """
    here, there = dict(_rows("default")), dict(_rows("source"))
    changed = {pk: row for pk, row in there.items() if pk in here and here[pk] != row}
    new = {pk: row for pk, row in there.items() if pk not in here}
    return changed, new, sorted(here.keys() - there.keys())


def _rows(using: str) -> Iterator[tuple[int, Plain]]:
    links: dict[int, list[int]] = {}
    through = Text.tags.through.objects.using(using).order_by("tag_id")
    for source, target in through.values_list("text_id", "tag_id"):
        links.setdefault(source, []).append(target)
    for row in Text.objects.using(using).values():
        yield row["id"], (row, links.get(row["id"], []))
