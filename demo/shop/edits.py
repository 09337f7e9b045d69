"""What happens to the content after both environments were equal: a week of work on staging."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

from django.core.files.base import ContentFile
from django.db import transaction

from . import catalogue, content, pictures, seed
from .models import Category, Copy, Price, Product, Setting, Tag


def _copy(country: str, language: str, key: str) -> Copy:
    return Copy.objects.get(language__country__code=country, language__code=language, key=key)


def _replace(row: Copy, old: str, new: str) -> None:
    if old not in row.value:
        raise LookupError(f"{row.language} {row.key} does not contain {old!r}.")
    row.value = row.value.replace(old, new, 1)
    row.save()


def word_in_long_text() -> None:
    _replace(_copy("GB", "en", "about.text"), "glad of", "grateful for")


def japanese_character() -> None:
    _replace(_copy("JP", "ja", "about.text"), "東亰", "東京")


def arabic_sentence() -> None:
    _replace(_copy("EG", "ar", "about.text"), "ورشتنا", "مطبعتنا")


def trailing_space() -> None:
    row = _copy("FR", "fr", "home.title")
    row.value += " "
    row.save()


def null_and_empty() -> None:
    row = _copy("TH", "th", "home.title")
    row.hint = ""
    row.save()


def days_of_the_week() -> None:
    for row in Copy.objects.filter(language__country__code="GE", key__startswith="weekday."):
        row.value = row.value[:3] + "."
        row.save()


def picture_swapped() -> None:
    row = _copy("JP", "ja", "home.hero")
    row.thumbnail = ContentFile(pictures.draw("landscape", "JP", edition=7), name="jp-spring.png")
    row.save()
    poster = Product.objects.get(sku="POSTER-JPY")
    poster.picture = ContentFile(pictures.draw("coin", "JPY", edition=2), name="poster-jpy.png")
    poster.save()


def picture_removed_and_added() -> None:
    row = _copy("TR", "tr", "home.hero")
    row.thumbnail = ""
    row.save()
    row = _copy("TH", "th", "distance.example")
    row.thumbnail = ContentFile(pictures.draw("landscape", "TH", edition=9), name="th-distance.png")
    row.save()


def json_deep_inside() -> None:
    delivery = Setting.objects.get(name="delivery")
    delivery.value["zones"][2]["rates"][1]["price"] = "13.40"
    delivery.value["zones"][1]["countries"].insert(1, content.NEW_COUNTRY)
    delivery.value["fallback"] = {"zone": "Zone 3"}
    delivery.save()
    checkout = Setting.objects.get(name="checkout")
    checkout.value["payment"]["invoice"]["enabled"] = True
    checkout.value["banner"]["text"]["ja"] = "夏のセール"
    del checkout.value["banner"]["text"]["ar"]
    checkout.save()


def prices() -> None:
    row = Price.objects.get(product__sku="BOOK-JA", country__code="KW")
    row.amount += Decimal("0.005")
    row.save()
    for row in Price.objects.filter(product__sku="BOOK-DE", country__code__in=["FR", "GB", "JP"]):
        row.amount = (row.amount * Decimal("0.9")).quantize(Decimal(1))
        row.valid_from = datetime(2026, 4, 1, tzinfo=UTC).date()
        row.save()


def tags_and_categories() -> None:
    school = Tag.objects.get(slug="school")
    for sku in ("BOOK-FR", "BOOK-EN", "BOOK-ES"):
        Product.objects.get(sku=sku).tags.add(school)
    Product.objects.get(sku="BOOK-HE").tags.remove(Tag.objects.get(slug="travel"))
    maps = Category.objects.create(slug="maps", name="Maps", parent=Category.objects.get(slug="posters"), position=8)
    Category.objects.create(slug="city-maps", name="City maps", parent=maps, position=9)
    moved = Category.objects.get(slug="banknotes")
    moved.parent = Category.objects.get(slug="paper")
    moved.save()


def launch_moved() -> None:
    row = Product.objects.get(sku="CAL-CH-2026")
    row.launched_at = row.launched_at.replace(microsecond=999_999)
    row.lead_time *= 2
    row.save()


def new_country() -> None:
    place = seed.country(content.NEW_COUNTRY)
    place.save()
    spoken = seed.language(place, content.NEW_LANGUAGE)
    spoken.save()
    for row in seed.copies(spoken):
        row.save()
    # What is sold there at first: a handful of phrasebooks.
    for article in (a for a in catalogue.articles() if a.kind == "book" and a.code in ("de", "en", "fr", "it")):
        product = Product.objects.get(sku=article.sku)
        product.countries.add(place)
        seed.price(product, place, article.euros).save()


def copies_removed() -> None:
    # Production's editors have notes on these.
    _copy("DE", "de", "distance.example").delete()
    _copy("GB", "cy", "distance.example").delete()


def product_removed() -> None:
    # Its prices go along. At production so would what its warehouses count.
    Product.objects.get(sku="POSTER-NOK").delete()


EDITS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("one word in a long English text", word_in_long_text),
    ("one character in a Japanese text", japanese_character),
    ("one word in an Arabic text", arabic_sentence),
    ("a space at the end of a French title", trailing_space),
    ("an absent hint becomes an empty one", null_and_empty),
    ("seven Georgian weekdays shortened", days_of_the_week),
    ("two pictures redrawn", picture_swapped),
    ("one picture removed, one added", picture_removed_and_added),
    ("two settings changed deep inside their JSON", json_deep_inside),
    ("four prices changed", prices),
    ("tags moved, two categories added, one re-hung", tags_and_categories),
    ("a launch moved by microseconds", launch_moved),
    ("a new country with its language, texts and prices", new_country),
    ("two texts removed that production's editors have notes on", copies_removed),
    ("a product removed that production has stock of", product_removed),
)


@transaction.atomic
def edit_staging() -> list[str]:
    """Makes every edit, and returns what they were in words."""
    for _, edit in EDITS:
        edit()
    return [words for words, _ in EDITS]


@transaction.atomic
def edit_production() -> list[str]:
    """One text is also edited at the target, behind the source's back."""
    _replace(_copy("EG", "ar", "about.text"), "الشحن مجاني", "التوصيل مجاني")
    return ["at production, another word in that same Arabic text"]
