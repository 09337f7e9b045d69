"""Other ways to the same end, each in its favour where it leaves a choice. None of them has a review."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.core import serializers
from django.core.management import call_command
from django.db import models, transaction

from . import data
from .app.models import Country, Language, Tag, Text
from .instruments import Clock

STEPS = ("dumpdata", "loaddata", "seed", "diffsync", "import_export", "save", "get_and_save")
CHUNK = 500


# Django's own


def dumpdata(path: str) -> dict[str, Any]:
    with Clock() as clock:
        call_command("dumpdata", "app", natural_foreign=True, natural_primary=True, output=path, verbosity=0)
    return clock.result()


def loaddata(path: str) -> dict[str, Any]:
    """Writes every row, whether it differs or not; rows that the source no longer has stay."""
    with Clock() as clock:
        call_command("loaddata", path, verbosity=0)
    return clock.result()


# The way of the package whose manual data_sync still follows


def seed(url: str) -> dict[str, Any]:
    """Fetches every row, calls `save()` for each, and deletes what was not among them; in one transaction."""
    with Clock() as clock, transaction.atomic():
        for model in (Country, Language, Tag, Text):
            with urllib.request.urlopen(f"{url}/serialized/{model._meta.label_lower}") as answer:
                fetched = answer.read().decode()
            seen = set()
            for row in serializers.deserialize("json", fetched):
                row.save()
                seen.add(row.object.pk)
            gone = iter(sorted(set(model.objects.values_list("pk", flat=True)) - seen))
            while chunk := list(islice(gone, CHUNK)):
                model.objects.filter(pk__in=chunk).delete()
    return clock.result(equal=data.are_equal(to_milliseconds=True), exact=data.are_equal())


# diffsync


def diffsync() -> dict[str, Any]:
    """Loads both databases into its objects and computes the difference; nothing is stored or written."""
    from diffsync import Adapter, DiffSyncModel

    class OneTag(DiffSyncModel):
        _modelname = "tag"
        _identifiers = ("slug",)
        _attributes = ("title",)
        slug: str
        title: str

    class OneText(DiffSyncModel):
        _modelname = "text"
        _identifiers = ("country", "language", "key")
        _attributes = ("title", "value", "price", "position", "is_active", "published_at", "settings", "tags")
        country: str
        language: str
        key: str
        title: str
        value: str
        price: Any
        position: int
        is_active: bool
        published_at: Any
        settings: Any
        tags: list[str]

    class Side(Adapter):
        tag = OneTag
        text = OneText
        top_level = ("tag", "text")

        def load(self, using: str) -> None:
            for slug, title in Tag.objects.using(using).values_list("slug", "title"):
                self.add(OneTag(slug=slug, title=title))
            for values in _described(using):
                self.add(OneText(**values))

    with Clock() as clock:
        there, here = Side("there"), Side("here")
        there.load("source")
        here.load("default")
        summary = there.diff_to(here).summary()
    return clock.result(counts={name: summary[name] for name in ("create", "update", "delete")})


def _described(using: str) -> Iterator[dict[str, Any]]:
    """Texts with natural keys, links read a chunk at a time: far quicker than model instances."""
    names = {
        "country": models.F("language__country__code"),
        "key": models.F("key"),
    }
    slugs = dict(Tag.objects.using(using).values_list("pk", "slug"))
    codes = dict(Language.objects.using(using).values_list("pk", "code"))
    plain = ("pk", "language_id", "key", "title", "value", "price", "position", "is_active", "published_at", "settings")
    rows = Text.objects.using(using).order_by("pk").annotate(country=names["country"]).values(*plain, "country")
    iterator = rows.iterator(chunk_size=data.BATCH)
    while chunk := list(islice(iterator, data.BATCH)):
        tags: dict[int, list[str]] = {}
        links = data.Links.objects.using(using).filter(text_id__gte=chunk[0]["pk"], text_id__lte=chunk[-1]["pk"])
        for text, tag in links.values_list("text_id", "tag_id"):
            tags.setdefault(text, []).append(slugs[tag])
        for values in chunk:
            values["tags"] = sorted(tags.get(values.pop("pk"), ()))
            values["language"] = codes[values.pop("language_id")]
            yield values


# django-import-export


def import_export() -> dict[str, Any]:
    """Exports the source's texts and looks at what importing them would do: a dry run, unchanged rows skipped."""
    from import_export import fields, resources, widgets

    class Languages(widgets.ForeignKeyWidget):
        def __init__(self) -> None:
            super().__init__(Language, use_natural_foreign_keys=True)

    class Texts(resources.ModelResource):
        language = fields.Field("language", "language", widget=Languages())
        tags = fields.Field("tags", "tags", widget=widgets.ManyToManyWidget(Tag, field="slug", separator="|"))
        settings = fields.Field("settings", "settings", widget=widgets.JSONWidget())

        class Meta:
            model = Text
            exclude = ("id",)
            import_id_fields = ("language", "key")
            skip_unchanged = True
            report_skipped = False
            skip_diff = False
            use_transactions = True

    rows = Text.objects.using("source").select_related("language__country").prefetch_related("tags")
    with Clock() as clock:
        result = Texts().import_data(Texts().export(rows), dry_run=True, raise_errors=True)
    return clock.result(counts={name: result.totals[name] for name in ("new", "update", "skip")})


# Writing what is known to differ


def save() -> dict[str, Any]:
    """The changes by `save()`, `set()` and `delete()`, one row after the other, in one transaction.

    As bare as can be: primary keys are known, nothing is looked up, compared or recorded.
    """
    changed, new, gone = data.differences()
    with Clock() as clock, transaction.atomic():
        for row in [*changed, *new]:
            instance = Text(pk=row.pk, **row.values)
            instance.save()
            instance.tags.set(row.tags)
        for row in gone:
            Text.objects.get(pk=row.pk).delete()
    return clock.result(equal=data.are_equal())


def get_and_save() -> dict[str, Any]:
    """The same by code that does not hold the rows: each is looked up by its natural key, altered and saved."""
    changed, new, gone = data.differences()
    with Clock() as clock, transaction.atomic():
        for row in changed:
            instance = _text(row)
            for name, value in row.values.items():
                setattr(instance, name, value)
            instance.save()
            instance.tags.set(row.tags)
        for row in new:
            Text.objects.create(pk=row.pk, **row.values).tags.set(row.tags)
        for row in gone:
            _text(row).delete()
    return clock.result(equal=data.are_equal())


def _text(row: data.Row) -> Text:
    language, key = row.key
    return Text.objects.get(language_id=language, key=key)
