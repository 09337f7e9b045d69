"""The source's URLs: those of data_sync, what the older way reads, and what this process has used."""

import json

from django.apps import apps
from django.core import serializers
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path

from tests.benchmarks import instruments


def serialized(request: HttpRequest, label: str) -> HttpResponse:
    """Every row of a model, by Django's serializer, as the seed package's export had it."""
    rows = apps.get_model(label)._base_manager.all()
    text = serializers.serialize("json", rows, use_natural_foreign_keys=True, use_natural_primary_keys=True)
    return HttpResponse(text, content_type="application/json")


def used(request: HttpRequest) -> HttpResponse:
    return JsonResponse(json.loads(json.dumps(instruments.totals())))


urlpatterns = [
    path("api/", include("data_sync.urls")),
    path("serialized/<label>", serialized),
    path("used", used),
]
