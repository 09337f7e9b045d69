"""Fills an empty database with the shop. Both environments start with the same content.

Production writes every table in the opposite order: equal rows have other primary keys there, as they
would in two databases that have lived apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from babel import Locale
from django.core.files.base import ContentFile
from django.db import models, transaction

from . import catalogue, content, pictures
from .models import Category, Copy, Country, EditorNote, Language, Price, Product, Setting, StockLevel, Tag

Row = TypeVar("Row", bound=models.Model)
PICTURED = ("home.hero", "about.text")
PRICES_FROM = date(2026, 1, 1)


@transaction.atomic
def seed(*, reverse: bool) -> None:
    """Writes the synced content. `reverse` changes primary keys and nothing else."""
    countries = {row.code: row for row in _write([country(code) for code in content.LANGUAGES], reverse)}
    languages = _write(
        [language(countries[code], spoken) for code, codes in content.LANGUAGES.items() for spoken in codes],
        reverse,
    )
    _write([row for spoken in languages for row in copies(spoken)], reverse)
    _write([Tag(slug=slug, label=label) for slug, label in catalogue.TAGS.items()], reverse)
    _categories()
    products(catalogue.articles(), list(countries.values()), reverse)
    _write([Setting(name=name, value=value, comment=text) for name, value, text in catalogue.settings()], reverse)


@transaction.atomic
def seed_local() -> None:
    """Writes rows of the models that are not synced: they exist at production only."""
    said = [
        ("mira", "Legal has signed this off. Call me before it changes."),
        ("tomás", "Customers ask about this one every week."),
        ("さくら", "日付の書き方を確認済み。"),
    ]
    keys = ["about.text", "home.hero", "price.example", "date.example", "distance.example"]
    noted = Copy.objects.filter(key__in=keys, language__country__code__in=["DE", "JP", "EG", "GB"])
    at = datetime(2026, 2, 2, 10, 30, tzinfo=UTC)
    EditorNote.objects.bulk_create(
        EditorNote(
            copy=row,
            author=said[number % 3][0],
            text=said[number % 3][1],
            written_at=at + timedelta(hours=7 * number),
        )
        for number, row in enumerate(noted.order_by("language__country__code", "language__code", "key"))
    )
    StockLevel.objects.bulk_create(
        StockLevel(product=row, warehouse=place, quantity=(number * 37 + len(place)) % 250, counted_at=at)
        for number, row in enumerate(Product.objects.order_by("sku"))
        for place in ("Hamburg", "大阪")
    )


def country(code: str) -> Country:
    spoken = content.LANGUAGES.get(code, (content.NEW_LANGUAGE,))[0]
    number = sum(letter * 31 for letter in code.encode())
    return Country(
        code=code,
        name=str(content.ENGLISH.territories[code]),
        own_name=content.own_name(code, spoken),
        currency=content.currency_of(code),
        opened_at=catalogue.OPENING + timedelta(hours=number % 4000, microseconds=number * 17),
    )


def language(parent: Country, code: str) -> Language:
    locale = Locale.parse(code)
    return Language(
        country=parent,
        code=code,
        name=content.language_name(content.ENGLISH, code),
        own_name=str(locale.get_display_name(locale)),
        right_to_left=locale.text_direction == "rtl",
    )


def copies(parent: Language) -> Iterable[Copy]:
    """Every text of one language of one country; some have a picture, some a hint."""
    code = parent.country.code
    for key, value in content.copies(code, parent.code):
        row = Copy(language=parent, key=key, value=value)
        if key in PICTURED:
            drawn = pictures.draw("landscape", code, edition=1 + PICTURED.index(key))
            name = "-".join((code, parent.code, *key.split("."))).lower()
            row.thumbnail = ContentFile(drawn, name=f"{name}.png")
        if key.endswith(".example"):
            row.hint = "Formatted by CLDR; do not type."
        yield row


def _categories() -> None:
    rows: dict[str, Category] = {}
    for position, (slug, name, parent) in enumerate(catalogue.CATEGORIES):
        rows[slug] = Category.objects.create(
            slug=slug, name=name, parent=rows[parent] if parent else None, position=position
        )


def products(articles: Iterable[catalogue.Article], sold_in: list[Country], reverse: bool = False) -> None:
    """Products with picture, tags, countries, and one price for each country where one is sold."""
    categories = {row.slug: row for row in Category.objects.all()}
    tags = {row.slug: row for row in Tag.objects.all()}
    known = list(articles)
    rows = {row.sku: row for row in _write([_product(article, categories) for article in known], reverse)}
    tagged, sold, priced = [], [], []
    for article in known:
        row = rows[article.sku]
        tagged += [Product.tags.through(product=row, tag=tags[slug]) for slug in article.tags]
        # A poster is printed for few countries.
        near = sold_in[article.number % 9 :: 9] if article.kind == "coin" else sold_in
        sold += [Product.countries.through(product=row, country=place) for place in near]
        priced += [price(row, place, article.euros) for place in near]
    _write(tagged, reverse)
    _write(sold, reverse)
    _write(priced, reverse)


def price(product: Product, place: Country, euros: Decimal) -> Price:
    return Price(
        product=product,
        country=place,
        amount=content.price(place.code, euros),
        currency=place.currency,
        valid_from=PRICES_FROM,
    )


def _product(article: catalogue.Article, categories: dict[str, Category]) -> Product:
    return Product(
        sku=article.sku,
        name=article.name,
        description=article.description,
        category=categories[article.category],
        weight=article.weight,
        launched_at=article.launched_at,
        lead_time=article.lead_time,
        picture=ContentFile(article.picture(), name=f"{article.sku}.png".lower()),
    )


def _write(rows: list[Row], reverse: bool) -> list[Row]:
    model: Any = type(rows[0])
    model.objects.bulk_create(rows[::-1] if reverse else rows, batch_size=500)
    return rows
