"""`Text` has the rows that are measured; what it refers to is small."""

from django.db import models

import data_sync
from data_sync.managers import DataSyncEnhancedManager


@data_sync.register_model(natural_key=["code"])
class Country(models.Model):
    objects = DataSyncEnhancedManager()

    code = models.CharField(max_length=2, unique=True)
    name = models.CharField(max_length=100)

    def natural_key(self):
        return (self.code,)


@data_sync.register_model(natural_key=["country.code", "code"])
class Language(models.Model):
    objects = DataSyncEnhancedManager()

    country = models.ForeignKey(Country, on_delete=models.CASCADE)
    code = models.CharField(max_length=3)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["country", "code"], name="language_key")]

    def natural_key(self):
        return (self.country.code, self.code)


@data_sync.register_model(natural_key=["slug"])
class Tag(models.Model):
    objects = DataSyncEnhancedManager()

    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=100)

    def natural_key(self):
        return (self.slug,)


@data_sync.register_model(natural_key=["language.country.code", "language.code", "key"])
class Text(models.Model):
    objects = DataSyncEnhancedManager()

    language = models.ForeignKey(Language, on_delete=models.CASCADE)
    key = models.CharField(max_length=100)
    title = models.CharField(max_length=200)
    value = models.TextField()
    price = models.DecimalField(max_digits=10, decimal_places=2)
    position = models.IntegerField()
    is_active = models.BooleanField()
    published_at = models.DateTimeField(null=True)
    settings = models.JSONField()
    tags = models.ManyToManyField(Tag)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["language", "key"], name="text_key")]

    def natural_key(self):
        return (*self.language.natural_key(), self.key)
