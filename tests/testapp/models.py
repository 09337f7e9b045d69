"""Models to move between databases: the classic manual's three, and one of each kind a project may have.

Registered models come first. Those without a registration at the end are local rows, which no source knows.
"""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

import data_sync

from .fields import ColourField, ListField


@data_sync.register_model(natural_key=["code"])
class Country(models.Model):
    objects = data_sync.managers.DataSyncEnhancedManager()

    code = models.CharField(max_length=2)


@data_sync.register_model(natural_key=["country.code", "code"])
class Language(models.Model):
    objects = data_sync.managers.DataSyncEnhancedManager()

    country = models.ForeignKey(Country, on_delete=models.CASCADE)
    code = models.CharField(max_length=2)


@data_sync.register_model(
    natural_key=["language.country.code", "language.code", "key"],
    fields=("value", "key", "language"),
    file_fields=("thumbnail",),
)
class Copy(models.Model):
    objects = data_sync.managers.DataSyncEnhancedManager()

    language = models.ForeignKey(Language, on_delete=models.CASCADE)
    value = models.TextField()
    key = models.CharField(max_length=255)
    default = models.TextField()
    thumbnail = models.ImageField()


# Values


@data_sync.register_model(natural_key=["name"])
class Everything(models.Model):
    """Every built-in field type that is neither relation nor file, required and nullable."""

    name = models.SlugField(unique=True)
    big = models.BigIntegerField(default=0)
    big_or_null = models.BigIntegerField(null=True)
    binary = models.BinaryField(default=b"")
    binary_or_null = models.BinaryField(null=True)
    boolean = models.BooleanField(default=False)
    boolean_or_null = models.BooleanField(null=True)
    char = models.CharField(max_length=100, default="")
    char_or_null = models.CharField(max_length=100, null=True)
    date = models.DateField(default=datetime.date(2026, 1, 31))
    date_or_null = models.DateField(null=True)
    moment = models.DateTimeField(default=datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC))
    moment_or_null = models.DateTimeField(null=True)
    amount = models.DecimalField(max_digits=12, decimal_places=4, default=Decimal(0))
    amount_or_null = models.DecimalField(max_digits=12, decimal_places=4, null=True)
    duration = models.DurationField(default=datetime.timedelta())
    duration_or_null = models.DurationField(null=True)
    email = models.EmailField(default="")
    email_or_null = models.EmailField(null=True)
    path = models.FilePathField(path="/", default="")
    path_or_null = models.FilePathField(path="/", null=True)
    number = models.FloatField(default=0.0)
    number_or_null = models.FloatField(null=True)
    address = models.GenericIPAddressField(default="192.0.2.1")
    address_or_null = models.GenericIPAddressField(null=True)
    integer = models.IntegerField(default=0)
    integer_or_null = models.IntegerField(null=True)
    json = models.JSONField(default=dict)
    json_or_null = models.JSONField(null=True)
    positive_big = models.PositiveBigIntegerField(default=0)
    positive_big_or_null = models.PositiveBigIntegerField(null=True)
    positive = models.PositiveIntegerField(default=0)
    positive_or_null = models.PositiveIntegerField(null=True)
    positive_small = models.PositiveSmallIntegerField(default=0)
    positive_small_or_null = models.PositiveSmallIntegerField(null=True)
    slug = models.SlugField(default="")
    slug_or_null = models.SlugField(null=True)
    small = models.SmallIntegerField(default=0)
    small_or_null = models.SmallIntegerField(null=True)
    text = models.TextField(default="")
    text_or_null = models.TextField(null=True)
    time = models.TimeField(default=datetime.time(12))
    time_or_null = models.TimeField(null=True)
    url = models.URLField(default="")
    url_or_null = models.URLField(null=True)
    uuid = models.UUIDField(default=uuid.UUID(int=0))
    uuid_or_null = models.UUIDField(null=True)


@data_sync.register_model(natural_key=["colour"])
class Paint(models.Model):
    """Fields of the project's own: one in the key, one with another type in Python than in the database."""

    colour = ColourField(max_length=7, unique=True)
    undertone = ColourField(max_length=7, null=True)
    names = ListField(default=list)


# Relations


@data_sync.register_model(natural_key=["name"])
class Tag(models.Model):
    name = models.CharField(max_length=50, unique=True)


@data_sync.register_model(natural_key=["slug"])
class Category(models.Model):
    """A tree whose roots have no parent."""

    slug = models.SlugField(unique=True)
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    title = models.CharField(max_length=100, default="")


@data_sync.register_model(natural_key=["path"])
class Folder(models.Model):
    """A tree whose root is its own parent."""

    path = models.CharField(max_length=100, unique=True)
    parent = models.ForeignKey("self", on_delete=models.CASCADE)


@data_sync.register_model(natural_key=["sku"])
class Product(models.Model):
    sku = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=100)
    category = models.ForeignKey(Category, null=True, on_delete=models.SET_NULL)
    tags = models.ManyToManyField(Tag)
    related = models.ManyToManyField("self", symmetrical=False)
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)


@data_sync.register_model(natural_key=["product.sku"])
class Detail(models.Model):
    product = models.OneToOneField(Product, on_delete=models.CASCADE)
    text = models.TextField(default="")


@data_sync.register_model(natural_key=["number"])
class Currency(models.Model):
    """Identified by `number`, but referred to by `code`."""

    number = models.PositiveSmallIntegerField(unique=True)
    code = models.CharField(max_length=3, unique=True)


@data_sync.register_model(natural_key=["product.sku", "currency.number"])
class Price(models.Model):
    product = models.ForeignKey(Product, on_delete=models.CASCADE)
    currency = models.ForeignKey(Currency, to_field="code", on_delete=models.PROTECT)
    amount = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["product", "currency"], name="one_price")]


@data_sync.register_model(natural_key=["name"])
class Team(models.Model):
    """Team and player refer to each other; the reference that may be null closes the cycle."""

    name = models.CharField(max_length=50, unique=True)
    captain = models.ForeignKey("Player", null=True, on_delete=models.SET_NULL, related_name="+")


@data_sync.register_model(natural_key=["team.name", "number"])
class Player(models.Model):
    team = models.ForeignKey(Team, on_delete=models.CASCADE)
    number = models.PositiveSmallIntegerField()


@data_sync.register_model(natural_key=["name"])
class Slot(models.Model):
    """Rows can exchange their unique places."""

    name = models.CharField(max_length=20, unique=True)
    place = models.PositiveSmallIntegerField(unique=True)


@data_sync.register_model(natural_key=["path"])
class Redirect(models.Model):
    """The database lets this one refer to a row that does not exist."""

    path = models.CharField(max_length=100, unique=True)
    country = models.ForeignKey(Country, db_constraint=False, on_delete=models.DO_NOTHING)


# Files


def document_folder(row: models.Model, name: str) -> str:
    return f"documents/{row.name}/{name}"


@data_sync.register_model(natural_key=["name"], file_fields=("attachment", "cover"))
class Document(models.Model):
    name = models.SlugField(unique=True)
    title = models.CharField(max_length=100, default="")
    attachment = models.FileField(upload_to=document_folder, max_length=200)
    cover = models.ImageField(upload_to="covers", null=True, blank=True)


# Scope


@data_sync.register_model(natural_key=["slug"], queryset=lambda rows: rows.filter(published=True))
class Page(models.Model):
    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=100, default="")
    published = models.BooleanField(default=True)


@data_sync.register_model(natural_key=["word"], deletes="never")
class Term(models.Model):
    word = models.CharField(max_length=50, unique=True)
    meaning = models.TextField(default="")


class Undeleted(models.Manager):
    def get_queryset(self) -> models.QuerySet:
        return super().get_queryset().filter(deleted=False)


@data_sync.register_model(natural_key=["slug"])
class Article(models.Model):
    """Its default manager hides the rows that were put aside."""

    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=100, default="")
    deleted = models.BooleanField(default=False)

    objects = Undeleted()


@data_sync.register_model(natural_key=["slug"])
class Draft(models.Model):
    """Its base manager hides rows, which even Django's own deletions then do not see. Keys may occur twice."""

    slug = models.SlugField()
    title = models.CharField(max_length=100, default="")
    deleted = models.BooleanField(default=False)

    objects = Undeleted()

    class Meta:
        base_manager_name = "objects"


@data_sync.register_model(natural_key=["name"], deletes="never")
class Footnote(models.Model):
    """Rows that stay, under rows that may go."""

    name = models.SlugField(unique=True)
    page = models.ForeignKey(Page, on_delete=models.CASCADE)


@data_sync.register_model(natural_key=["name"])
class Person(models.Model):
    name = models.SlugField(unique=True)
    friends = models.ManyToManyField("self")


@data_sync.register_model(natural_key=["code"])
class Label(models.Model):
    """A key that may be null, which no pull accepts."""

    code = models.CharField(max_length=20, null=True, unique=True)
    text = models.TextField(default="")


# Redacted


def validate_account(value: str) -> None:
    """Says what it was given, as many a project's validator does."""
    if "bad" in value:
        raise ValidationError(f"{value} is no account")


@data_sync.register_model(natural_key=["name"], redact=("account", "limit", "notes", "adviser", "groups"))
class Customer(models.Model):
    """With redacted fields of each kind; its `str()` tells one."""

    name = models.SlugField(unique=True)
    city = models.CharField(max_length=40, default="")
    account = models.CharField(max_length=40, unique=True, null=True, validators=[validate_account])
    limit = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    notes = models.JSONField(default=dict)
    adviser = models.ForeignKey(Tag, null=True, on_delete=models.SET_NULL, related_name="+")
    groups = models.ManyToManyField(Tag, related_name="+")

    def __str__(self) -> str:
        return f"{self.name} {self.account}"

    def save(self, **options: Any) -> None:
        if self.city == "refuse":
            raise ValueError(f"{self.account} is refused")
        super().save(**options)


# Local rows: not registered


class Booking(models.Model):
    """Its `str()` tells what is redacted of the row that it refers to."""

    customer = models.ForeignKey(Customer, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return f"Booking of {self.customer}"


class Comment(models.Model):
    product = models.ForeignKey(Product, on_delete=models.CASCADE)
    text = models.TextField(default="")

    def __str__(self) -> str:
        return self.text


class Vote(models.Model):
    comment = models.ForeignKey(Comment, on_delete=models.CASCADE)


class Visit(models.Model):
    product = models.ForeignKey(Product, null=True, on_delete=models.SET_NULL)


class Stock(models.Model):
    product = models.ForeignKey(Product, on_delete=models.PROTECT)


class Shelf(models.Model):
    products = models.ManyToManyField(Product)
