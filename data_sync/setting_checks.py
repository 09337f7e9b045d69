"""System checks: settings that do not do what whoever wrote them meant, and that nothing else would complain about."""

from __future__ import annotations

import difflib
import inspect
import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import DEFAULT_DB_ALIAS, router
from django.db.models import Model

from . import conf
from .core.errors import InvalidInput
from .registry import registrations
from .services import webhook
from .sources.addresses import parse_url

PREFIX = "DATA_SYNC_"
MOST_DAYS = 36_500
"""A hundred years: databases do not reckon with any time."""
_SWITCHES = ("", "0", "1", "true", "false", "yes", "no", "on", "off")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


@register("data_sync")
def check_meaning(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    if app_configs is not None and "data_sync" not in {config.label for config in app_configs}:
        return []
    return [
        *_unknown_names(),
        *_unreadable_hosts(),
        *_tables_elsewhere(),
        *_mail(),
        *_webhook(),
        *_retention(),
    ]


def known_names() -> set[str]:
    """The names of all settings there are. Each is read by the function of `conf` that has its name."""
    readers = inspect.getmembers(conf, inspect.isfunction)
    return {
        f"{PREFIX}{name.upper()}"
        for name, reader in readers
        if not name.startswith("_") and reader.__module__ == conf.__name__
    }


def _unknown_names() -> Iterator[Warning]:
    known = sorted(known_names())
    for name in sorted(name for name in dir(settings) if name.startswith(PREFIX) and name not in known):
        near = difflib.get_close_matches(name, known, n=1)
        yield Warning(
            f"{name} is no setting of data_sync, and does nothing.",
            hint=f"Did you mean {near[0]}?" if near else "The settings reference lists those there are.",
            id="data_sync.W010",
        )


def _unreadable_hosts() -> Iterator[Warning]:
    hosts = getattr(settings, "DATA_SYNC_ALLOWED_HOSTS", ())
    for entry in () if isinstance(hosts, str) else hosts:  # A text is an error of its own.
        try:
            ipaddress.ip_network(str(entry).strip("[]"), strict=False)
        except ValueError:
            if _HOST_NAME.fullmatch(str(entry)) is None:
                yield Warning(
                    f"DATA_SYNC_ALLOWED_HOSTS has {entry!r}, which is neither a host's name nor a network: it allows "
                    "nothing.",
                    hint='A host is written "staging.internal", without scheme, port and asterisk; a network '
                    '"10.1.0.0/16".',
                    id="data_sync.W011",
                )


def _mail() -> Iterator[Error]:
    value = getattr(settings, "DATA_SYNC_MAIL_APPROVERS", False)
    addresses = value if isinstance(value, list | tuple) else ()
    try:
        for address in addresses:
            validate_email(address)
        is_sound = isinstance(value, bool | list | tuple) or str(value).strip().lower() in _SWITCHES
    except (ValidationError, TypeError):
        is_sound = False
    if not is_sound:
        yield Error(
            "DATA_SYNC_MAIL_APPROVERS is neither True or False nor a list of e-mail addresses.",
            hint='True is every active user who may approve; or write ["editors@example.com"].',
            id="data_sync.E050",
        )


def _webhook() -> Iterator[Error]:
    """Of the address nothing is shown but its host: its path may be a secret."""
    if not conf.webhook_url():
        return
    for look in (lambda: parse_url(conf.webhook_url()), webhook.secret):
        try:
            look()
        except InvalidInput as error:
            yield Error(
                f"Nothing can be sent to DATA_SYNC_WEBHOOK_URL: {error}",
                hint="An https address without user, ? and #, and a secret made by python -c "
                '"import secrets; print(secrets.token_urlsafe(32))".',
                id="data_sync.E051",
            )


def _retention() -> Iterator[Error]:
    try:
        days = conf.retention_days()
        is_sound = days is None or 0 < days <= MOST_DAYS
    except (TypeError, ValueError):
        is_sound = False
    if not is_sound:
        given = getattr(settings, f"{PREFIX}RETENTION_DAYS", None)
        yield Error(
            f"DATA_SYNC_RETENTION_DAYS is {given!r}, not a number above 0 and up to {MOST_DAYS:,}.",
            hint="Leave it out to keep everything for ever.",
            id="data_sync.E020",
        )


def _tables_elsewhere() -> Iterator[Error]:
    """An apply is one transaction, which no two databases share."""
    models: list[type[Model]] = [registration.model for registration in registrations()]
    for model in [*models, *apps.get_app_config("data_sync").get_models()]:
        alias = router.db_for_write(model)
        if alias != DEFAULT_DB_ALIAS:
            yield Error(
                f"DATABASE_ROUTERS puts {model._meta.label} into the database {alias!r}, and data_sync writes "
                f"{DEFAULT_DB_ALIAS!r} alone: an apply is one transaction.",
                hint=f"Route it to {DEFAULT_DB_ALIAS!r}, or take back its registration.",
                obj=model,
                id="data_sync.E043",
            )
