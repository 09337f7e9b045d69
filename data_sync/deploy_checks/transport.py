"""Whether export keys, rows and sessions can be read on their way."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.urls import NoReverseMatch

from data_sync.models import DataSource
from data_sync.tasks import target

from .registering import deployment, stored

SECURITY = "django.middleware.security.SecurityMiddleware"


@deployment
def check_https() -> Iterator[CheckMessage]:
    redirects = settings.SECURE_SSL_REDIRECT and SECURITY in settings.MIDDLEWARE
    if is_served() and not redirects and settings.SECURE_PROXY_SSL_HEADER is None:
        yield Warning(
            "data_sync.urls are served, and no setting says that it is by https alone: over plain http everybody on "
            "the way reads the export key, and with it all that the key may read.",
            hint="Set SECURE_SSL_REDIRECT = True, with SecurityMiddleware in MIDDLEWARE; behind a proxy that ends TLS, "
            "SECURE_PROXY_SSL_HEADER as Django's documentation says. If the proxy refuses plain http by itself, "
            "silence this check.",
            id="data_sync.W012",
        )


@deployment
def check_cookies() -> Iterator[CheckMessage]:
    if not apps.is_installed("django.contrib.admin"):
        return
    names = ["SESSION_COOKIE_SECURE"]
    if not settings.CSRF_USE_SESSIONS:
        names.append("CSRF_COOKIE_SECURE")
    missing = [name for name in names if getattr(settings, name) is not True]
    if missing:
        yield Warning(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not True: over plain http, the session of "
            "somebody who may approve and apply can be taken over.",
            hint="Set both to True.",
            id="data_sync.W013",
        )


@stored
def check_debug() -> Iterator[CheckMessage]:
    if settings.DEBUG and DataSource.objects.exists():
        yield Warning(
            "DEBUG is on, and there are sources: pages of errors show rows and settings to whoever meets one, and "
            "sources may be on this machine, over plain http.",
            hint="Set DEBUG = False wherever other people can reach this environment.",
            id="data_sync.W014",
        )


@stored
def check_plain_sources() -> Iterator[CheckMessage]:
    plain = DataSource.objects.filter(url__istartswith="http:").values_list("name", flat=True)
    if names := [f"“{name}”" for name in plain]:
        yield Warning(
            f"Pulled from over plain http: {', '.join(names)}. Everybody on the way reads the export key and the rows, "
            "and can send others.",
            hint="Serve the source by https, and change its URL. A certificate of an authority of your own will do: "
            "DATA_SYNC_CA_BUNDLE.",
            id="data_sync.W016",
        )


def is_served() -> bool:
    try:
        target.path()
    except NoReverseMatch:
        return False
    return True
