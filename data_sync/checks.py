"""System checks: what is wrong with the registrations and settings, said before anything runs.

Each registration is looked at by itself, so that one that is broken hides no other.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.files.storage import FileSystemStorage, storages

from . import conf
from .core.errors import DataSyncError, RegistrationError
from .core.unquoted import unquoted
from .orm.limits import required_columns
from .orm.order import in_order
from .orm.resolution import resolve
from .orm.schema import ModelSchema
from .orm.sensitive import sensitive_reasons
from .orm.staging import staging_storage
from .orm.uniqueness import columns, is_enforced, loose_references
from .registry import Registration, registrations
from .services import audit_keys, encryption
from .sources.proxy import parse_proxy
from .sources.sheet_resources import resource_of

TAG = "data_sync"
MOST_HOURS = 87_600
"""Ten years: databases do not reckon with any time."""
Apps = Sequence[AppConfig] | None

IDS = {
    "unknown_field": ("data_sync.E001", "Look for a typing error, or for a field that has been renamed."),
    "key_path": ("data_sync.E002", 'A path reaches through foreign keys to a plain field, such as "country.code".'),
    "unregistered_target": (
        "data_sync.E003",
        "Models of other packages are registered by data_sync.register(), from an AppConfig.ready().",
    ),
    "cycle": ("data_sync.E004", "Or leave one of these fields out with exclude, if rows can be created without it."),
    "sensitive_model": ("data_sync.E005", "Who may read from here gets every row. Register content, not accounts."),
    "sensitive_field": ("data_sync.E006", "If it is no secret: allow_sensitive takes the names of fields."),
    "through_model": ("data_sync.E007", "Without fields, such a many-to-many is left out of itself."),
    "inheritance": ("data_sync.E008", "What is inherited from a registered parent travels with the parent's row."),
    "file_not_named": ("data_sync.E009", "Files travel only when they are named in file_fields."),
    "not_a_file": ("data_sync.E010", "file_fields takes FileField and ImageField; other fields belong to fields."),
    "composite_key": ("data_sync.E011", "Give the model a primary key of one column."),
    "abstract": ("data_sync.E012", "Use the decorator on the classes that are tables."),
    "same_table": ("data_sync.E014", "data_sync.registry.unregister() takes one back; its rows are the other's."),
    "ambiguous_key": ("data_sync.E015", "Take the one that people do not change, and that is the same everywhere."),
    "no_key": ("data_sync.E016", "Add a UniqueConstraint for it, too: then no two rows can come to share a key."),
    "redact": ("data_sync.E017", "redact takes compared fields that are neither files nor in a natural key."),
    "resource": ("data_sync.E018", "As in shop.resources.PriceResource, whose Meta names this very model."),
    "registration": ("data_sync.E013", "See data_sync.register() for what the options take."),
}
"""For each code of `RegistrationError`, the check's id and a hint."""


@register(TAG)
def check_registrations(app_configs: Apps = None, **_: Any) -> list[CheckMessage]:
    """Every registration by itself, then all sound ones together."""
    found: list[CheckMessage] = []
    sound: dict[str, ModelSchema] = {}
    for registration in registrations():
        errors, schema = _resolve(registration)
        if schema is not None:
            sound[registration.label] = schema
        if app_configs is None or registration.model._meta.app_label in {config.label for config in app_configs}:
            found += [_error(error, registration.model) for error in errors]
            found += [] if schema is None else _warnings(schema)
    try:
        in_order(sound)
    except RegistrationError as error:
        found.append(_error(error, None))
    return found


def _resolve(registration: Registration) -> tuple[list[RegistrationError], ModelSchema | None]:
    errors = sensitive_reasons(registration)
    try:
        schema = resolve(registration)
        resource_of(schema)
        return errors, schema
    except RegistrationError as error:
        return errors or [error], None


def _error(error: RegistrationError, model: Any) -> Error:
    number, hint = IDS.get(error.code, IDS["registration"])
    return Error(str(error), hint=hint, obj=model, id=number)


def _warnings(schema: ModelSchema) -> Iterator[Warning]:
    label = schema.model._meta.label
    if not is_enforced(schema):
        loose, fields = (", ".join(f'"{name}"' for name in found(schema)) for found in (loose_references, columns))
        yield Warning(
            f"No unique constraint covers the natural key of {label} ({', '.join(schema.registration.key)}): "
            "two rows may come to share it, and no pull can tell them apart.",
            hint=f"Name more of what identifies the row behind {loose}: several rows there share what the key names."
            if loose
            else f"Add a UniqueConstraint on {fields} to the model, without condition; or unique=True.",
            obj=schema.model,
            id="data_sync.W001",
        )
    for name in required_columns(schema):
        yield Warning(
            f"{label}.{name} is required, has no default and is not synced: no row can be created here by a changeset.",
            hint="Add it to the registration's fields, give it a default, or let it be null.",
            obj=schema.model,
            id="data_sync.W002",
        )


@register(TAG)
def check_settings(app_configs: Apps = None, **_: Any) -> list[CheckMessage]:
    if app_configs is not None and "data_sync" not in {config.label for config in app_configs}:
        return []
    return [*_check_values(), *_check_spool(), *_check_staging()]


def _check_values() -> Iterator[Error]:
    numbers: tuple[Callable[[], float | None], ...] = (
        conf.connect_timeout,
        conf.read_timeout,
        conf.request_timeout,
        conf.max_stream_bytes,
        conf.max_files_bytes,
        conf.max_upload_bytes,
        conf.max_line_bytes,
        conf.max_rows,
        conf.lease_seconds,
        conf.task_deadline,
        conf.failure_limit,
    )
    for read in numbers:
        try:
            value = read()
            sound = value is None or value > 0
        except (TypeError, ValueError):
            sound = False
        if not sound:
            name = f"DATA_SYNC_{read.__name__.upper()}"
            yield Error(
                f"{name} is {getattr(settings, name)!r}, not a number above 0.",
                hint="Leave it out for the default.",
                id="data_sync.E020",
            )
    yield from _check_counts()
    yield from _check_hours()
    yield from _check_secrets()
    if isinstance(getattr(settings, "DATA_SYNC_ALLOWED_HOSTS", ()), str):
        yield Error(
            "DATA_SYNC_ALLOWED_HOSTS is a text, not a list of host names or networks.",
            hint='Write ["staging.internal", "10.1.0.0/16"], also where there is only one.',
            id="data_sync.E020",
        )


def _check_counts() -> Iterator[Error]:
    """Settings for which 0 says something: none at all."""
    counts: tuple[tuple[Callable[[], int], float, str], ...] = (
        (conf.confirm_deletes, math.inf, "from 0 on"),
        (conf.delete_limit, math.inf, "from 0 on"),
        (conf.delete_percent, 100, "from 0 to 100"),
    )
    for read, most, words in counts:
        try:
            sound = 0 <= read() <= most
        except (TypeError, ValueError):
            sound = False
        if not sound:
            name = f"DATA_SYNC_{read.__name__.upper()}"
            yield Error(
                f"{name} is {getattr(settings, name)!r}, not a number {words}.",
                hint="Leave it out for the default.",
                id="data_sync.E020",
            )


def _check_secrets() -> Iterator[Error]:
    """Of settings that hold secrets nothing is shown."""
    for name, problem in (
        ("DATA_SYNC_ENCRYPTION_KEYS", encryption.key_problem()),
        ("DATA_SYNC_AUDIT_KEYS", audit_keys.key_problem()),
    ):
        if problem is not None:
            yield Error(
                f"{name} {problem}.",
                hint='Make one by python -c "import secrets; print(secrets.token_urlsafe(32))"; put a new one first.',
                id="data_sync.E020",
            )
    try:
        parse_proxy(conf.proxy())
    except DataSyncError as error:
        yield Error(str(error), hint="Leave it out where sources are reached directly.", id="data_sync.E020")


def _check_hours() -> Iterator[Error]:
    try:
        hours = conf.approval_hours()
        sound = hours is None or 0 < hours <= MOST_HOURS
    except (TypeError, ValueError):
        sound = False
    if not sound:
        name = "DATA_SYNC_APPROVAL_HOURS"
        yield Error(
            f"{name} is {getattr(settings, name)!r}, not a number above 0 and up to {MOST_HOURS:,}.",
            hint="Leave it out for 72 hours; None lets approvals hold for ever.",
            id="data_sync.E020",
        )


def _check_spool() -> Iterator[Error]:
    folder = conf.spool_dir()
    if folder is not None and not (os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)):
        yield Error(
            f"DATA_SYNC_SPOOL_DIR, {folder!r}, is not a directory that can be written to.",
            hint="Make it, or leave the setting out for the system's temporary directory.",
            id="data_sync.E021",
        )


def _check_staging() -> Iterator[CheckMessage]:
    try:
        storage = staging_storage()
    except Exception as error:  # Whatever the class of a storage raises when it is made.
        alias = conf.staging_storage()
        is_known = alias is None or alias in storages.backends
        reason = unquoted(error) if is_known else f"there is no {alias!r} in STORAGES"
        hint = "DATA_SYNC_STAGING_STORAGE is the alias of one of STORAGES."
        if alias is not None and is_known:
            hint += (
                " What the error says may hold a password, and is left out; to see it: manage.py shell -c "
                f"'from django.core.files.storage import storages; storages[\"{alias}\"]'"
            )
        yield Error(f"The storage for fetched files cannot be made: {reason}.", hint=hint, id="data_sync.E022")
        return
    served = [Path(root).resolve() for root in (settings.MEDIA_ROOT, settings.STATIC_ROOT) if root]
    inside = isinstance(storage, FileSystemStorage) and any(
        Path(storage.location).resolve().is_relative_to(root) for root in served
    )
    if inside or conf.staging_storage() == "default":
        yield Warning(
            "Fetched files are staged where the web server may show them to anybody, before they are reviewed.",
            hint="Set DATA_SYNC_STAGING_ROOT outside of MEDIA_ROOT, or DATA_SYNC_STAGING_STORAGE to a private one.",
            id="data_sync.W003",
        )
