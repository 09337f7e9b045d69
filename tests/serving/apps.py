"""What each of these processes does when it starts: it makes its gates, and learns who signs tasks."""

from __future__ import annotations

import os

from django.apps import AppConfig
from django.db.models.signals import post_save

from . import gates


class ServingConfig(AppConfig):
    name = "tests.serving"

    def ready(self) -> None:
        from data_sync import tasks
        from data_sync.services import apply, both_sides, certificates, pulling
        from tests.testapp.models import Product, Tag

        gates.before(both_sides.BothSides, "find", "reading")
        gates.before(pulling, "supersede", "storing")
        gates.before(tasks, "run_apply", "asked")
        gates.before(apply, "promote_files", "claimed")
        post_save.connect(gates.receiver("tags"), sender=Tag, weak=False)
        post_save.connect(gates.receiver("products"), sender=Product, weak=False)
        certificates.URL = os.environ.get("DATA_SYNC_TEST_CERTIFICATES", certificates.URL)
