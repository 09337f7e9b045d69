"""Every setting of data_sync: typed, read when used, with its default."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


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


def proxy() -> str:
    """`DATA_SYNC_PROXY`: the http proxy through which sources are reached, as http://user:password@host:port; none."""
    return _text(_setting("PROXY", None))


def encryption_keys() -> tuple[str, ...]:
    """`DATA_SYNC_ENCRYPTION_KEYS`: texts that stored secrets are encrypted with, the first, and decrypted; none.

    What is no list is given as it is: `services.encryption` says so.
    """
    value = _setting("ENCRYPTION_KEYS", None) or ()
    return tuple(value) if isinstance(value, list | tuple) else value


def audit_keys() -> tuple[str, ...]:
    """`DATA_SYNC_AUDIT_KEYS`: what the audit trail is authenticated with, the newest first: `env:NAME` or texts; none.

    What is no list is given as it is: `services.audit_keys` says so.
    """
    value = _setting("AUDIT_KEYS", None) or ()
    return tuple(value) if isinstance(value, list | tuple) else value


def max_line_bytes() -> int:
    """`DATA_SYNC_MAX_LINE_BYTES`: most bytes of one record, as a source sends it; 10 MB."""
    return int(_setting("MAX_LINE_BYTES", 10 * 10**6))


def max_rows() -> int:
    """`DATA_SYNC_MAX_ROWS`: most rows taken from one answer; 50 million."""
    return int(_setting("MAX_ROWS", 50_000_000))


def max_stream_bytes() -> int:
    """`DATA_SYNC_MAX_STREAM_BYTES`: most bytes, inflated, taken from one answer; 20 GB."""
    return int(_setting("MAX_STREAM_BYTES", 20 * 10**9))


def max_files_bytes() -> int:
    """`DATA_SYNC_MAX_FILES_BYTES`: most bytes of all the files together that one pull may need; 10 GB."""
    return int(_setting("MAX_FILES_BYTES", 10 * 10**9))


def max_upload_bytes() -> int:
    """`DATA_SYNC_MAX_UPLOAD_BYTES`: most bytes of a file that is uploaded; 2 GB."""
    return int(_setting("MAX_UPLOAD_BYTES", 2 * 10**9))


def lease_seconds() -> int:
    """`DATA_SYNC_LEASE_SECONDS`: after which the work of a silent worker may be taken over; 120."""
    return int(_setting("LEASE_SECONDS", 120))


def export_token() -> str:
    """`DATA_SYNC_EXPORT_TOKEN`: an export key set by setting or environment variable; none."""
    return str(_setting("EXPORT_TOKEN", os.environ.get("DATA_SYNC_EXPORT_TOKEN", "")))


def export_service_accounts() -> dict[str, frozenset[str] | None]:
    """`DATA_SYNC_EXPORT_SERVICE_ACCOUNTS`: by e-mail, the labels that a Google account may read; None for all; none.

    Raises `ImproperlyConfigured` for what is neither a list of e-mails nor a dict of them with lists of labels.
    """
    value = _setting("EXPORT_SERVICE_ACCOUNTS", None) or {}
    if isinstance(value, list | tuple | set | frozenset):
        value = dict.fromkeys(value)
    if isinstance(value, dict) and all(isinstance(email, str) and email for email in value):
        scopes = [scope for scope in value.values() if scope is not None]
        if all(isinstance(scope, list | tuple | set | frozenset) for scope in scopes):
            labels = {email: None if scope is None else _labels(scope) for email, scope in value.items()}
            return {email.strip(): scope for email, scope in labels.items()}
    raise ImproperlyConfigured(
        "DATA_SYNC_EXPORT_SERVICE_ACCOUNTS is neither a list of e-mail addresses nor a dict that has for each a list "
        "of labels of models."
    )


def _labels(labels: Any) -> frozenset[str]:
    return frozenset(str(label).strip().lower() for label in labels)


def export_audience() -> str:
    """`DATA_SYNC_EXPORT_AUDIENCE`: what the tokens of those accounts must be made out for; none, so none counts."""
    return _text(_setting("EXPORT_AUDIENCE", None))


def failure_limit() -> int:
    """`DATA_SYNC_FAILURE_LIMIT`: export requests that one address may send in a minute and have refused; 20."""
    return int(_setting("FAILURE_LIMIT", 20))


def proxies() -> int:
    """`DATA_SYNC_PROXIES`: trusted proxies in front, each of which adds to `X-Forwarded-For`; 0."""
    return int(_setting("PROXIES", 0))


def confirm_deletes() -> int:
    """`DATA_SYNC_CONFIRM_DELETES`: of how many rows at most the admin deletes without asking for a name; 10."""
    return int(_setting("CONFIRM_DELETES", 10))


def delete_limit() -> int:
    """`DATA_SYNC_DELETE_LIMIT`: of how many rows of a model a changeset may propose the delete unblocked; 1000."""
    return int(_setting("DELETE_LIMIT", 1000))


def delete_percent() -> int:
    """`DATA_SYNC_DELETE_PERCENT`: the same, in percent of the model's rows here; 50."""
    return int(_setting("DELETE_PERCENT", 50))


def four_eyes() -> bool:
    """`DATA_SYNC_FOUR_EYES`: whether the approver must be another person than the requester; False."""
    return bool(_setting("FOUR_EYES", False))


def approval_hours() -> float | None:
    """`DATA_SYNC_APPROVAL_HOURS`: hours for which an approval holds; 72. None: until something else voids it."""
    value = _setting("APPROVAL_HOURS", 72)
    return None if value is None else float(value)


def task_deadline() -> float | None:
    """`DATA_SYNC_TASK_DEADLINE`: seconds that one task may take; none, but 600 where Cloud Tasks delivers."""
    value = _setting("TASK_DEADLINE", None)
    return None if value is None else float(value)


def auto_apply() -> bool:
    """`DATA_SYNC_AUTO_APPLY`: whether sources that are trusted are applied without review; True. False stops all."""
    return _is_on(_setting("AUTO_APPLY", True))


def force_sync() -> bool:
    """`DATA_SYNC_FORCE_SYNC`: whether work is done in the request, whatever queue there is; False."""
    return _is_on(_setting("FORCE_SYNC", False))


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


def retention_days() -> float | None:
    """`DATA_SYNC_RETENTION_DAYS`: days after which the values of closed changesets are purged; None: never."""
    value = _setting("RETENTION_DAYS", None)
    return None if value is None else float(value)


def mail_approvers() -> bool | tuple[str, ...]:
    """`DATA_SYNC_MAIL_APPROVERS`: whether those who may approve get mail, or the addresses that get it; False."""
    value = _setting("MAIL_APPROVERS", False)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else _is_on(value)


def webhook_url() -> str:
    """`DATA_SYNC_WEBHOOK_URL`: where announcements are posted to; none."""
    return _text(_setting("WEBHOOK_URL", None))


def webhook_secret() -> str:
    """`DATA_SYNC_WEBHOOK_SECRET`: what they are signed with, or `env:NAME` of the variable that has it; none."""
    return _text(_setting("WEBHOOK_SECRET", None))


def _is_on(value: Any) -> bool:
    # As environment variables say it: the text "False" must not mean yes.
    return value.strip().lower() in ("1", "true", "yes", "on") if isinstance(value, str) else bool(value)


def _text(value: Any, default: str = "") -> str:
    """A text, also where the setting is a lazy one or a URL object; the default where it is None or blank."""
    return ("" if value is None else str(value).strip()) or default
