from __future__ import annotations

from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

admin.site.site_header = admin.site.site_title = "The phrasebook shop"
admin.site.index_title = "What the shop says and sells"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", include("data_sync.urls")),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),
]
