"""What the shop says, worded by CLDR: the same on every machine with the same Babel.

Nothing here touches the database. Values are plain, so that `seed` and `edits` can write them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from babel import Locale
from babel.dates import format_date, format_timedelta
from babel.lists import format_list
from babel.numbers import format_currency, format_decimal, get_currency_precision, get_territory_currencies
from babel.units import format_unit

ENGLISH = Locale("en")
# The shop's own texts, by language. A language without one shows the English text.
ABOUT = Path(__file__).resolve().parent / "about"
# Where the shop is open, and which languages it speaks there.
LANGUAGES: dict[str, tuple[str, ...]] = {
    "AM": ("hy",),
    "AT": ("de",),
    "BE": ("nl", "fr"),
    "BG": ("bg",),
    "BR": ("pt",),
    "CA": ("en", "fr"),
    "CH": ("de", "fr", "it", "rm"),
    "CN": ("zh_Hans",),
    "DE": ("de",),
    "EG": ("ar",),
    "ET": ("am",),
    "FR": ("fr",),
    "GB": ("en", "cy"),
    "GE": ("ka",),
    "IE": ("en", "ga"),
    "IL": ("he",),
    "IN": ("hi", "ta"),
    "JP": ("ja",),
    "KR": ("ko",),
    "KW": ("ar",),
    "NL": ("nl",),
    "PL": ("pl",),
    "TH": ("th",),
    "TR": ("tr",),
    "TW": ("zh_Hant",),
    "UA": ("uk",),
    "US": ("en",),
    "VN": ("vi",),
}
# The country that staging opens later.
NEW_COUNTRY, NEW_LANGUAGE = "GR", "el"
TAUGHT = sorted({code for codes in LANGUAGES.values() for code in codes} | {NEW_LANGUAGE, "es", "sv", "sw"})
CURRENCIES = tuple("AED AUD BRL CAD CHF CNY EUR GBP ILS INR JPY KRW KWD NOK PLN SEK THB TRY UAH USD".split())
# Rounded to what a shop would print; only so that prices differ between countries.
PER_EURO = {
    "AMD": "420",
    "BGN": "1.96",
    "BRL": "6.1",
    "CAD": "1.6",
    "CHF": "0.94",
    "CNY": "8.2",
    "EGP": "55",
    "ETB": "160",
    "GBP": "0.86",
    "GEL": "3.1",
    "ILS": "4",
    "INR": "98",
    "JPY": "170",
    "KRW": "1600",
    "KWD": "0.35",
    "PLN": "4.25",
    "THB": "38",
    "TRY": "47",
    "TWD": "35",
    "UAH": "48",
    "USD": "1.15",
    "VND": "30000",
}


def locale_of(country: str, language: str) -> Locale:
    return Locale.parse(f"{language}_{country}")


def own_name(country: str, language: str) -> str:
    """The country's name in one of its languages."""
    return str(locale_of(country, language).territories[country])


def language_name(locale: Locale, code: str) -> str:
    """A language's name in the words of `locale`; English where CLDR has no word for it."""
    return str(locale.languages.get(code) or Locale.parse(code).get_display_name(ENGLISH))


def currency_of(country: str) -> str:
    """The ISO 4217 code of the currency that is legal tender there today."""
    return str(get_territory_currencies(country)[0])


def price(country: str, euros: Decimal) -> Decimal:
    """An amount in the country's currency, with as many digits as that currency has."""
    currency = currency_of(country)
    amount = euros * Decimal(PER_EURO.get(currency, "1"))
    return amount.quantize(Decimal(1).scaleb(-get_currency_precision(currency)), rounding=ROUND_HALF_UP)


def copies(country: str, language: str) -> Iterator[tuple[str, str]]:
    """Key and value of everything the shop says in one language of one country, about a hundred rows."""
    locale, own = locale_of(country, language), Locale.parse(language)
    yield "home.title", f"{language_name(own, 'en')} · {own.get_display_name(own)}"
    yield "home.hero", own_name(country, language)
    yield "about.text", _about(locale, country, language)
    yield (
        "price.example",
        format_currency(price(country, Decimal("19.90")), currency_of(country), locale=locale),
    )
    yield "number.example", format_decimal(Decimal("1234567.891"), locale=locale)
    yield "date.example", format_date(date(2026, 3, 1), "full", locale=locale)
    yield "distance.example", format_unit(42, "length-kilometer", length="short", locale=locale)
    for day, name in sorted(own.days["stand-alone"]["wide"].items()):
        yield f"weekday.{day + 1}", str(name)
    for month, name in sorted(own.months["stand-alone"]["wide"].items()):
        yield f"month.{month:02}", str(name)
    for code in sorted({*LANGUAGES, NEW_COUNTRY, "EU", "001"}):
        yield f"territory.{code}", str(own.territories.get(code, ENGLISH.territories[code]))
    for code in TAUGHT:
        yield f"language.{code}", language_name(own, code)
    for code in CURRENCIES:
        yield f"currency.{code}", str(own.currencies.get(code, code))


def _about(locale: Locale, country: str, language: str) -> str:
    weekdays, currency = locale.days["format"]["wide"], currency_of(country)
    text = ABOUT / f"{language}.txt"
    if not text.exists():
        text = ABOUT / "en.txt"
    return (
        text.read_text(encoding="utf-8")
        .rstrip("\n")
        .format(
            countries=format_list([str(locale.territories.get(code, code)) for code in LANGUAGES], locale=locale),
            currency=locale.currencies.get(currency, currency),
            days=_days(3, locale),
            free=format_currency(price(country, Decimal(50)), currency, locale=locale),
            returns=_days(30, locale),
            weekdays=format_list([str(weekdays[day]) for day in (0, 2, 4)], locale=locale),
        )
    )


def _days(number: int, locale: Locale) -> str:
    # A threshold above the number keeps days from turning into weeks or months.
    return format_timedelta(timedelta(days=number), granularity="day", threshold=99, locale=locale)
