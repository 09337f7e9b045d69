"""Where Cloud Tasks sends its tasks, and what its tokens are made out for.

Sender and receiver work the audience out by themselves, from settings: nothing that a request says has a part in it,
and the receiver needs no network for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.urls import NoReverseMatch, URLResolver, get_resolver, get_script_prefix, reverse
from django.utils.translation import override

from data_sync import conf
from data_sync.core.errors import InvalidInput

ROUTE = "data_sync/tasks/run"
# What App Engine sets in its instances, in the standard and in the flexible environment.
_APP_ENGINE = ("GAE_ENV", "GAE_APPLICATION", "GAE_INSTANCE", "GAE_SERVICE")
EMULATOR = "CLOUD_TASKS_EMULATOR_HOST"
_QUEUE_ID = re.compile(r"[A-Za-z0-9-]{1,100}")
_LABEL = 63  # Octets of one label of a host name (RFC 1035, section 2.3.4).


@dataclass(frozen=True, slots=True)
class Problem:
    """Why nothing can be sent to Cloud Tasks as the settings are; `code` names the kind, for the system checks."""

    code: str
    message: str
    hint: str


def is_on_app_engine() -> bool:
    """By the environment, not by settings, which other environments may share."""
    return any(os.environ.get(name) for name in _APP_ENGINE)


def problems() -> Iterator[Problem]:
    """Everything that the settings lack for Cloud Tasks. Asks nobody."""
    if not conf.service_account_email():
        yield Problem(
            "service_account",
            "Cloud Tasks does the work of data_sync, and DATA_SYNC_SERVICE_ACCOUNT_EMAIL is not set: "
            "no task could prove where it comes from.",
            "Set it to the e-mail address of a service account, such as PROJECT@appspot.gserviceaccount.com.",
        )
    if not conf.google_cloud_project():
        yield Problem(
            "project",
            "Cloud Tasks does the work of data_sync, and no project is named.",
            "Set DATA_SYNC_GOOGLE_CLOUD_PROJECT, or the environment variable GOOGLE_CLOUD_PROJECT.",
        )
    if not _QUEUE_ID.fullmatch(conf.cloud_tasks_queue_id()):
        yield Problem(
            "queue",
            f"DATA_SYNC_CLOUD_TASKS_QUEUE_ID is {conf.cloud_tasks_queue_id()!r}, which Google takes for no queue.",
            "Letters, digits and hyphens, at most 100 of them; underscores are sent as hyphens.",
        )
    yield from _address_problems()


def _address_problems() -> Iterator[Problem]:
    base = conf.base_url()
    if not base and not _has_app_engine_address():
        yield Problem(
            "base_url",
            "Cloud Tasks does the work of data_sync, and DATA_SYNC_BASE_URL does not say where this environment is.",
            "Set it to the public https address of this environment. Only on App Engine it can be left out.",
        )
    elif base and (reason := _fault(base)):
        yield Problem("base_url", f"DATA_SYNC_BASE_URL is {base!r}, {reason}.", 'Such as "https://www.example.com".')
    try:
        path()
    except NoReverseMatch:
        yield Problem(
            "urls",
            "Cloud Tasks does the work of data_sync, and the project's URLs do not include data_sync.urls.",
            'Add path("", include("data_sync.urls")), under a prefix of your choice.',
        )


def _has_app_engine_address() -> bool:
    return is_on_app_engine() and bool(conf.gae_service() and conf.google_cloud_project())


def _fault(base: str) -> str:
    """What is wrong with a base URL; "" if nothing is."""
    try:
        parts = urlsplit(base)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "which is no URL"
    if parts.scheme not in ("https", "http") or not host:
        return "without https:// and a host in front"
    if parts.query or parts.fragment or parts.username is not None or parts.password is not None:
        return "which has more than scheme, host and path"
    # A token sent in the clear can be used by whoever sees it. An emulator's tasks stay on the machine.
    if parts.scheme == "http" and not os.environ.get(EMULATOR):
        return "which is not https: the token that each task carries would be readable on its way"
    return ""


def require_sound_settings() -> None:
    """Raises `InvalidInput` with the first problem and its remedy."""
    for problem in problems():
        raise InvalidInput(f"{problem.message} {problem.hint}")


def path() -> str:
    """The push target's path below the site's root. Raises `NoReverseMatch` where the project does not include it.

    The same in every process: whatever a proxy, the request's language or a middleware make of URLs is left out.
    """
    with override(settings.LANGUAGE_CODE):
        try:
            found = reverse("data_sync:run_task", urlconf=settings.ROOT_URLCONF)
        except NoReverseMatch:
            found = _path_below_namespaces()
    return "/" + found.removeprefix(get_script_prefix()).lstrip("/")


def _path_below_namespaces() -> str:
    """For `data_sync.urls` that are included by the URLs of another app, which may have a namespace around them."""
    for namespace in _namespaces(get_resolver(settings.ROOT_URLCONF)):
        return reverse(f"{namespace}run_task", urlconf=settings.ROOT_URLCONF)
    raise NoReverseMatch("data_sync.urls are not included")


def _namespaces(resolver: URLResolver, above: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            namespace = f"{above}{entry.namespace}:" if entry.namespace else above
            if entry.app_name == "data_sync":
                yield namespace
            else:
                yield from _namespaces(entry, namespace)


def url_below(base: str) -> str:
    """The push target's URL. `base` is the site's root, or the prefix of `data_sync.urls` that a data source has."""
    whole = path()
    prefix = whole.removesuffix(f"/{ROUTE}")
    return f"{base}/{ROUTE}" if prefix and urlsplit(base).path.endswith(prefix) else f"{base}{whole}"


def root() -> str:
    """Where the project's own URLs begin, without end slash: `DATA_SYNC_BASE_URL` without what they have in front of
    `data_sync/`, which it may have; "" where there is none."""
    base = conf.base_url()
    try:
        prefix = path().removesuffix(f"/{ROUTE}")
    except NoReverseMatch:
        return base
    return base.removesuffix(prefix) if prefix and urlsplit(base).path.endswith(prefix) else base


def audience() -> str:
    """What tokens must be made out for: the setting, else the push URL; "" where the settings name no address.

    On App Engine the host in it is a short form of the service's: its region would have to be asked for, and a version
    also answers to tasks of the one that it has replaced.
    """
    if conf.task_audience():
        return conf.task_audience()
    try:
        if conf.base_url():
            return url_below(conf.base_url())
        if _has_app_engine_address():
            return url_below(f"https://{conf.gae_service()}-dot-{conf.google_cloud_project()}.appspot.com")
    except NoReverseMatch:
        pass
    return ""


def url() -> str:
    """Where tasks are sent. May ask App Engine once. Raises `InvalidInput`, and what asking raises."""
    if conf.base_url():
        return url_below(conf.base_url())
    from . import app_engine

    return url_below(f"https://{host_of_version(app_engine.default_hostname(conf.google_cloud_project()))}")


def host_of_version(default_hostname: str) -> str:
    """The host of our own version, else of our service, so that the code which asked for the work does it.

    App Engine's certificate covers one label, so the parts are joined by -dot-. A label that is too long has no
    address: the version is left out then, and the one that has the traffic gets the task.
    """
    service, version = conf.gae_service(), conf.gae_version()
    for parts in ((version, service), (service,)):
        host = "-dot-".join([*filter(None, parts), default_hostname])
        if len(host.partition(".")[0]) <= _LABEL:
            return host
    raise InvalidInput(
        f"App Engine has no address for the service {service}: its name and the project's are too long together. "
        "Set DATA_SYNC_BASE_URL to an address that leads to it."
    )
