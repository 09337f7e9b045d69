"""The URLs of a project that uses data_sync: the admin, and the app below a prefix."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("data_sync.urls")),
]
