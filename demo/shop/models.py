"""What the shop stores.

Country → language → copy, a catalogue with prices, settings with nested JSON: these are synced.
`EditorNote` and `StockLevel` are not registered. They belong to one environment, and the database
deletes them with the copy or the product that they hang from.
"""

from __future__ import annotations

from django.db import models

import data_sync


@data_sync.register_model(natural_key=["code"])
class Country(models.Model):
    code = models.CharField(max_length=2, unique=True, help_text="ISO 3166-1")
    name = models.CharField(max_length=100)
    own_name = models.CharField(max_length=100)
    currency = models.CharField(max_length=3, help_text="ISO 4217")
    opened_at = models.DateTimeField()

    objects = data_sync.managers.DataSyncEnhancedManager()

    class Meta:
        ordering = ["code"]
        verbose_name_plural = "countries"

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


@data_sync.register_model(natural_key=["country.code", "code"])
class Language(models.Model):
    country = models.ForeignKey(Country, on_delete=models.CASCADE, related_name="languages")
    code = models.CharField(max_length=20, help_text="As CLDR names it, such as zh_Hant")
    name = models.CharField(max_length=100)
    own_name = models.CharField(max_length=100)
    right_to_left = models.BooleanField(default=False)

    objects = data_sync.managers.DataSyncEnhancedManager()

    class Meta:
        ordering = ["country__code", "code"]
        constraints = [models.UniqueConstraint(fields=["country", "code"], name="language_key")]

    def __str__(self) -> str:
        return f"{self.code}, {self.country}"


@data_sync.register_model(natural_key=["language.country.code", "language.code", "key"], file_fields=("thumbnail",))
class Copy(models.Model):
    language = models.ForeignKey(Language, on_delete=models.CASCADE, related_name="copies")
    key = models.CharField(max_length=100)
    value = models.TextField(blank=True)
    hint = models.CharField(max_length=200, blank=True, null=True, help_text="For whoever translates this")
    thumbnail = models.ImageField(upload_to="copy", blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = data_sync.managers.DataSyncEnhancedManager()

    class Meta:
        ordering = ["key"]
        verbose_name_plural = "copies"
        constraints = [models.UniqueConstraint(fields=["language", "key"], name="copy_key")]

    def __str__(self) -> str:
        return self.key


@data_sync.register_model(natural_key=["slug"])
class Category(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=100)
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="children")
    position = models.PositiveSmallIntegerField(default=0)

    objects = data_sync.managers.DataSyncEnhancedManager()

    class Meta:
        ordering = ["position", "slug"]
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


@data_sync.register_model(natural_key=["slug"])
class Tag(models.Model):
    slug = models.SlugField(unique=True)
    label = models.CharField(max_length=100)

    objects = data_sync.managers.DataSyncEnhancedManager()

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.label


@data_sync.register_model(natural_key=["sku"], file_fields=("picture",))
class Product(models.Model):
    sku = models.CharField(max_length=20, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="products")
    weight = models.DecimalField(max_digits=6, decimal_places=3, help_text="kg")
    launched_at = models.DateTimeField()
    lead_time = models.DurationField()
    picture = models.ImageField(upload_to="product", blank=True)
    tags = models.ManyToManyField(Tag, blank=True, related_name="products")
    countries = models.ManyToManyField(Country, blank=True, related_name="products", help_text="Sold in")

    objects = data_sync.managers.DataSyncEnhancedManager()

    class Meta:
        ordering = ["sku"]

    def __str__(self) -> str:
        return f"{self.sku} {self.name}"


@data_sync.register_model(natural_key=["product.sku", "country.code"])
class Price(models.Model):
    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="prices")
    country = models.ForeignKey(Country, on_delete=models.CASCADE, related_name="prices")
    amount = models.DecimalField(max_digits=12, decimal_places=3)
    currency = models.CharField(max_length=3)
    valid_from = models.DateField()

    objects = data_sync.managers.DataSyncEnhancedManager()

    class Meta:
        ordering = ["product__sku", "country__code"]
        constraints = [models.UniqueConstraint(fields=["product", "country"], name="price_key")]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


@data_sync.register_model(natural_key=["name"])
class Setting(models.Model):
    name = models.CharField(max_length=50, unique=True)
    value = models.JSONField()
    comment = models.TextField(blank=True)

    objects = data_sync.managers.DataSyncEnhancedManager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class EditorNote(models.Model):
    """Local: what the editors of this environment wrote about a copy."""

    copy = models.ForeignKey(Copy, on_delete=models.CASCADE, related_name="notes")
    author = models.CharField(max_length=50)
    text = models.TextField()
    written_at = models.DateTimeField()

    class Meta:
        ordering = ["-written_at"]

    def __str__(self) -> str:
        return f"{self.author}, {self.written_at:%Y-%m-%d}"


class StockLevel(models.Model):
    """Local: how many of a product lie in this environment's warehouses."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="stock_levels")
    warehouse = models.CharField(max_length=50)
    quantity = models.PositiveIntegerField()
    counted_at = models.DateTimeField()

    class Meta:
        ordering = ["product__sku", "warehouse"]
        constraints = [models.UniqueConstraint(fields=["product", "warehouse"], name="stock_level_key")]

    def __str__(self) -> str:
        return f"{self.quantity} in {self.warehouse}"
