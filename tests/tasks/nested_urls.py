"""A project whose `api` app, with a namespace of its own, includes ours."""

from django.urls import include, path

api = [path("sync/", include("data_sync.urls", namespace="environments"))]
urlpatterns = [path("v1/", include((api, "api")))]
