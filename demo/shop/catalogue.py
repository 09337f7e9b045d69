"""What the shop sells and how it is set up, from the same data as what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from babel import Locale
from babel.core import get_global
from babel.dates import format_date
from babel.lists import format_list

from . import pictures
from .content import CURRENCIES, ENGLISH, LANGUAGES, TAUGHT, currency_of, language_name, locale_of

OPENING = datetime(2024, 3, 1, 9, 0, tzinfo=UTC)
# Slug, name, parent.
CATEGORIES = (
    ("books", "Books", None),
    ("phrasebooks", "Phrasebooks", "books"),
    ("paper", "Paper for the wall", None),
    ("calendars", "Calendars", "paper"),
    ("posters", "Posters", "paper"),
    ("banknotes", "Banknotes", "posters"),
    ("archive", "No longer printed", None),
)
TAGS = {
    "collectors": "For collectors",
    "gift": "A good present",
    "left-to-right": "Reads from left to right",
    "right-to-left": "Reads from right to left",
    "school": "For schools",
    "travel": "For travellers",
    "wall": "For the wall",
    "year-2026": "Year 2026",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """One product. `number` counts within its category and spreads what would else be all equal."""

    sku: str
    name: str
    description: str
    category: str
    number: int
    euros: Decimal
    kind: pictures.Kind
    code: str
    tags: tuple[str, ...]
    first_weekday: int = 0

    @property
    def weight(self) -> Decimal:
        return Decimal("0.180") + Decimal(self.number) / 1000

    @property
    def launched_at(self) -> datetime:
        return OPENING + timedelta(days=3 * self.number, hours=self.number % 7, microseconds=self.number * 1009)

    @property
    def lead_time(self) -> timedelta:
        return timedelta(days=1 + self.number % 4, hours=12)

    def picture(self, edition: int = 1) -> bytes:
        return pictures.draw(self.kind, self.code, edition=edition, first_weekday=self.first_weekday)


def articles() -> Iterator[Article]:
    """A phrasebook per language, a calendar per country, a poster per currency."""
    for number, code in enumerate(TAUGHT):
        own = Locale.parse(code)
        weekdays = (str(name) for _, name in sorted(own.days["format"]["wide"].items()))
        yield Article(
            sku=f"BOOK-{code.upper()}",
            name=f"Phrasebook {language_name(ENGLISH, code)}",
            description="\n".join([str(own.get_display_name(own)), *weekdays]),
            category="phrasebooks",
            number=number,
            euros=Decimal("12.90") + number % 5,
            kind="book",
            code=code,
            tags=("travel", "right-to-left" if own.text_direction == "rtl" else "left-to-right"),
        )
    for number, (code, languages) in enumerate(LANGUAGES.items()):
        locale = locale_of(code, languages[0])
        months = (format_date(date(2026, month, 1), "long", locale=locale) for month in range(1, 13))
        yield Article(
            sku=f"CAL-{code}-2026",
            name=f"Wall calendar {ENGLISH.territories[code]} 2026",
            description="\n".join(months),
            category="calendars",
            number=number,
            euros=Decimal("17.50") + number % 4,
            kind="calendar",
            code=code,
            tags=("year-2026", "wall"),
            first_weekday=locale.first_week_day,
        )
    for number, code in enumerate(CURRENCIES):
        spent_in = [str(ENGLISH.territories[country]) for country in LANGUAGES if currency_of(country) == code]
        yield Article(
            sku=f"POSTER-{code}",
            name=f"Banknotes of the world: {ENGLISH.currencies[code]}",
            description=f"Spent in {format_list(spent_in, locale=ENGLISH)}." if spent_in else "",
            category="banknotes",
            number=number,
            euros=Decimal("24.00") + number % 3,
            kind="coin",
            code=code,
            tags=("wall", "collectors"),
        )


def settings() -> Iterator[tuple[str, Any, str]]:
    """Name, value and comment of every setting; the values are nested as such settings are."""
    yield "delivery", {"zones": _zones(), "cutoff": "14:00", "fallback": None}, "Zones, rates, closing time."
    formats = {
        str(locale): {
            "decimal": locale.number_symbols["latn"]["decimal"],
            "group": locale.number_symbols["latn"]["group"],
            "week_starts": locale.first_week_day,
            "pattern": str(locale.currency_formats["standard"].pattern),
        }
        for locale in (locale_of(country, languages[0]) for country, languages in LANGUAGES.items())
    }
    yield "formats", formats, "From CLDR."
    checkout = {
        "steps": ["cart", "address", "payment", "review"],
        "payment": {
            "card": {"enabled": True, "limit": 2500},
            "invoice": {"enabled": False, "countries": ["DE"]},
        },
        "banner": {
            "text": {"en": "Spring sale", "ja": "春のセール", "ar": "تخفيضات الربيع"},
            "until": "2026-04-30",
        },
    }
    yield "checkout", checkout, ""
    spoken = get_global("territory_languages")
    speakers = {
        country: {code: share["population_percent"] for code, share in sorted(spoken[country].items())}
        for country in LANGUAGES
    }
    yield "speakers", speakers, "Per cent of the population that speaks a language, from CLDR."


def _zones() -> list[dict[str, Any]]:
    members = (["AT", "BE", "DE", "FR", "NL"], ["CH", "GB", "IE", "PL"], ["JP", "KR", "US"])
    return [
        {
            "name": f"Zone {zone + 1}",
            "countries": countries,
            "rates": [
                {"up_to_kg": weight, "price": f"{4.9 + zone * 3 + step * 2:.2f}", "tracked": step > 0}
                for step, weight in enumerate((0.5, 2, 10))
            ],
        }
        for zone, countries in enumerate(members)
    ]
