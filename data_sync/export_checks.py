"""System checks: whether those who may read from here can, and nobody else is meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from . import conf
from .services import keys

_LONGEST_EMAIL = 200
_SETTING = "DATA_SYNC_EXPORT_SERVICE_ACCOUNTS"


@register("data_sync")
def check_exports(app_configs: Sequence[AppConfig] | None = None, **_: Any) -> list[CheckMessage]:
    if app_configs is not None and "data_sync" not in {config.label for config in app_configs}:
        return []
    return [*_check_accounts(), *_check_proxies()]


def _check_accounts() -> Iterator[CheckMessage]:
    try:
        accounts = conf.export_service_accounts()
    except ImproperlyConfigured as error:
        yield Error(
            str(error),
            hint='Such as ["reader@project.iam.gserviceaccount.com"], also where there is only one.',
            id="data_sync.E035",
        )
        return
    if accounts and not conf.export_audience():
        yield Error(
            f"{_SETTING} names accounts, and DATA_SYNC_EXPORT_AUDIENCE is not set: their tokens are refused.",
            hint="Set it to the URL that others use for this environment, and to nothing that another service takes.",
            id="data_sync.E036",
        )
    known = keys.registered_labels()
    for email, labels in accounts.items():
        name, _, domain = email.partition("@")
        if not name or not domain or not email.isprintable() or " " in email or len(email) > _LONGEST_EMAIL:
            yield Error(f"{_SETTING} has {email!r}, which is no e-mail address.", id="data_sync.E035")
        unknown = sorted((labels or frozenset()) - known)
        if unknown or labels == frozenset():
            what = f"{unknown[0]!r}, which is not registered" if unknown else "no models, so it can read none"
            yield Error(
                f"{_SETTING} gives {email} {what}.",
                hint="Give it labels such as shop.copy, or None for every registered model.",
                id="data_sync.E037",
            )


def _check_proxies() -> Iterator[CheckMessage]:
    try:
        is_count = conf.proxies() >= 0
    except (TypeError, ValueError):
        is_count = False
    if not is_count:
        yield Error(
            f"DATA_SYNC_PROXIES is {getattr(settings, 'DATA_SYNC_PROXIES', None)!r}, not a number from 0 on.",
            hint="Leave it out for the default.",
            id="data_sync.E020",
        )
