"""The three models of the classic manual: keys that reach through foreign keys, and a file."""

from django.db import models

import data_sync


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
