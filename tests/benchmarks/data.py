"""The two databases: `rows` texts of about 600 bytes, of which one in a hundred differs."""

from __future__ import annotations

import random
from collections.abc import Iterator
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
            Country(code=f"{chr(65 + n // 26)}{chr(65 + n % 26)}", name=f"Country {n}") for n in range(COUNTRIES)
        )
        languages = Language.objects.bulk_create(
            Language(country=country, code=f"l{n}") for country in countries for n in range(LANGUAGES)
        )
        tags = Tag.objects.bulk_create(Tag(slug=f"tag-{n}", title=f"Tag {n}") for n in range(TAGS))
        pks = [tag.pk for tag in tags]
        texts = (text(chance, languages[n % len(languages)], n) for n in range(rows))
        while batch := Text.objects.bulk_create(islice(texts, 1000)):
            Text.tags.through.objects.bulk_create(
                Text.tags.through(text_id=row.pk, tag_id=pk) for row in batch for pk in chance.sample(pks, LINKS)
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


def edit() -> dict[str, int]:
    """Turns a copy of the filled database into the other side. Gives the number of rows by operation."""
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
    return {"create": len(gone), "update": len(changed), "delete": len(gone)}


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
    here, there = ({row.key: row for row in _rows(using)} for using in ("default", "source"))
    changed = [
        row
        for key, row in there.items()
        if key in here and (here[key].values, here[key].tags) != (row.values, row.tags)
    ]
    new = [row for key, row in there.items() if key not in here]
    gone = [row for key, row in here.items() if key not in there]
    return changed, new, gone


def _rows(using: str) -> Iterator[Row]:
    links: dict[int, list[int]] = {}
    through = Text.tags.through.objects.using(using).order_by("tag_id")
    for source, target in through.values_list("text_id", "tag_id"):
        links.setdefault(source, []).append(target)
    for values in Text.objects.using(using).order_by("pk").values():
        pk = values.pop("id")
        yield Row(pk, (values["language_id"], values["key"]), values, links.get(pk, []))
