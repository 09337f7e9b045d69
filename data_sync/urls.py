"""The endpoints that other environments read from; include them under any prefix."""

from __future__ import annotations

from django.urls import path

from . import push, views

app_name = "data_sync"
urlpatterns = [
    path("data_sync/manifest", views.manifest, name="manifest"),
    path("data_sync/export", views.stream, name="export"),
    path("data_sync/digests", views.digests, name="digests"),
    path("data_sync/records", views.records, name="records"),
    path("data_sync/files/<str:checksum>", views.file, name="file"),
    path("data_sync/tasks/run", push.run_task, name="run_task"),
]
