from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DataSyncConfig(AppConfig):
    name = "data_sync"
    verbose_name = _("Data Sync")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # They register the system checks.
        from . import checks, deploy_checks, export_checks, queue_checks, setting_checks  # noqa: F401
        from .tasks import choice, functions, notifying

        notifying.connect()
        if choice.has_backend():
            functions.make_known()
