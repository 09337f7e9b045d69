"""`manage.py shop VERB`: what the demo does inside one environment. Prints JSON."""

from __future__ import annotations

import json
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from data_sync.models import DataSource
from demo.shop import edits, seed


class Command(BaseCommand):
    help = "Prepares or edits the demo's shop in this environment."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", choices=["prepare", "edit", "refresh"])

    def handle(self, *, verb: str, **options: Any) -> None:
        match verb:
            case "prepare":
                answer: Any = self._prepare()
            case "edit":
                staging = settings.ENVIRONMENT.name == "staging"
                answer = edits.edit_staging() if staging else edits.edit_production()
            case "refresh":
                answer = self._refresh()
        self.stdout.write(json.dumps(answer, ensure_ascii=False))

    def _prepare(self) -> dict[str, int]:
        """Tables, content and the log-in; returns rows by model."""
        call_command("migrate", verbosity=0, interactive=False)
        production = settings.ENVIRONMENT.name == "production"
        seed.seed(reverse=production)
        if production:
            seed.seed_local()
        get_user_model().objects.create_superuser("admin", "admin@example.org", "admin")
        return {model._meta.model_name: model.objects.count() for model in apps.get_app_config("shop").get_models()}

    def _refresh(self) -> None:
        """An older state meets today's code and today's ports."""
        call_command("migrate", verbosity=0, interactive=False)
        DataSource.objects.filter(name=settings.ENVIRONMENT.peer).update(url=settings.ENVIRONMENT.peer_url)
