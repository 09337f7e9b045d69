"""Every setting of data_sync: typed, read when used, with its default."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings


def _setting(name: str, default: Any) -> Any:
    return getattr(settings, f"DATA_SYNC_{name}", default)


def spool_dir() -> str | None:
    """`DATA_SYNC_SPOOL_DIR`: where streams are spooled; default the system's temporary directory."""
    value = _setting("SPOOL_DIR", None)
    return None if value is None else str(value)


def staging_storage() -> str | None:
    """`DATA_SYNC_STAGING_STORAGE`: alias in `STORAGES` of the private storage for fetched files."""
    value = _setting("STAGING_STORAGE", None)
    return None if value is None else str(value)


def staging_root() -> str:
    """`DATA_SYNC_STAGING_ROOT`: directory for fetched files where no storage is named.

    Default: `data_sync_staging` in the project's `BASE_DIR`, else in the temporary directory.
    """
    base = getattr(settings, "BASE_DIR", None) or tempfile.gettempdir()
    return str(_setting("STAGING_ROOT", Path(base) / "data_sync_staging"))


def allowed_hosts() -> tuple[str, ...]:
    """`DATA_SYNC_ALLOWED_HOSTS`: names or networks of private hosts that sources may be on."""
    return tuple(_setting("ALLOWED_HOSTS", ()))


def connect_timeout() -> float:
    """`DATA_SYNC_CONNECT_TIMEOUT`: seconds until a source must have accepted a connection; 10."""
    return float(_setting("CONNECT_TIMEOUT", 10))


def read_timeout() -> float:
    """`DATA_SYNC_READ_TIMEOUT`: seconds a source may be silent; 300, as it spools before it sends."""
    return float(_setting("READ_TIMEOUT", 300))


def request_timeout() -> float:
    """`DATA_SYNC_REQUEST_TIMEOUT`: seconds that one whole answer of a source may take; 3600."""
    return float(_setting("REQUEST_TIMEOUT", 3600))


def ca_bundle() -> str | None:
    """`DATA_SYNC_CA_BUNDLE`: file of the authorities that sign sources' certificates; default the public ones."""
    value = _setting("CA_BUNDLE", None)
    return None if value is None else str(value)


def max_stream_bytes() -> int:
    """`DATA_SYNC_MAX_STREAM_BYTES`: most bytes, inflated, taken from one answer; 20 GB."""
    return int(_setting("MAX_STREAM_BYTES", 20 * 10**9))


def lease_seconds() -> int:
    """`DATA_SYNC_LEASE_SECONDS`: after which the work of a silent worker may be taken over; 120."""
    return int(_setting("LEASE_SECONDS", 120))


def export_token() -> str:
    """`DATA_SYNC_EXPORT_TOKEN`: an export key set by setting or environment variable; none."""
    return str(_setting("EXPORT_TOKEN", os.environ.get("DATA_SYNC_EXPORT_TOKEN", "")))


def confirm_deletes() -> int:
    """`DATA_SYNC_CONFIRM_DELETES`: of how many rows at most the admin deletes without asking for a name; 10."""
    return int(_setting("CONFIRM_DELETES", 10))


def four_eyes() -> bool:
    """`DATA_SYNC_FOUR_EYES`: whether the approver must be another person than the requester; False."""
    return bool(_setting("FOUR_EYES", False))


def task_deadline() -> float | None:
    """`DATA_SYNC_TASK_DEADLINE`: seconds that one task may take; none, but 600 where Cloud Tasks delivers."""
    value = _setting("TASK_DEADLINE", None)
    return None if value is None else float(value)


def force_sync() -> bool:
    """`DATA_SYNC_FORCE_SYNC`: whether work is done in the request, whatever queue there is; False."""
    value = _setting("FORCE_SYNC", False)
    # As environment variables say it: the text "False" must not mean yes.
    return value.strip().lower() in ("1", "true", "yes", "on") if isinstance(value, str) else bool(value)


def base_url() -> str:
    """`DATA_SYNC_BASE_URL`: where Cloud Tasks finds this environment, without end slash; none."""
    return _text(_setting("BASE_URL", None)).rstrip("/")


def task_audience() -> str:
    """`DATA_SYNC_TASK_AUDIENCE`: what the tokens of Cloud Tasks are made out for; none, which means the push URL."""
    return _text(_setting("TASK_AUDIENCE", None))


def service_account_email() -> str:
    """`DATA_SYNC_SERVICE_ACCOUNT_EMAIL`: the account that Cloud Tasks sends tokens of; none."""
    return _text(_setting("SERVICE_ACCOUNT_EMAIL", None))


def cloud_tasks_queue_id() -> str:
    """`DATA_SYNC_CLOUD_TASKS_QUEUE_ID`: the queue as Google names it, which allows no underscore; `data-sync`."""
    return _text(_setting("CLOUD_TASKS_QUEUE_ID", None), "data_sync").replace("_", "-")


def cloud_tasks_location() -> str:
    """`DATA_SYNC_CLOUD_TASKS_LOCATION`: the region of the queue; `europe-west1`."""
    return _text(_setting("CLOUD_TASKS_LOCATION", None), "europe-west1")


def google_cloud_project() -> str:
    """`DATA_SYNC_GOOGLE_CLOUD_PROJECT`: the project of the queue; the environment variable `GOOGLE_CLOUD_PROJECT`."""
    return _text(_setting("GOOGLE_CLOUD_PROJECT", None), os.environ.get("GOOGLE_CLOUD_PROJECT", ""))


def gae_version() -> str:
    """`DATA_SYNC_GAE_VERSION`: the App Engine version that tasks go to; the environment variable `GAE_VERSION`."""
    return _text(_setting("GAE_VERSION", None), os.environ.get("GAE_VERSION", ""))


def gae_service() -> str:
    """`DATA_SYNC_GAE_SERVICE`: the App Engine service that tasks go to; the environment variable `GAE_SERVICE`."""
    return _text(_setting("GAE_SERVICE", None), os.environ.get("GAE_SERVICE", ""))


def _text(value: Any, default: str = "") -> str:
    """A text, also where the setting is a lazy one or a URL object; the default where it is None or blank."""
    return ("" if value is None else str(value).strip()) or default
