"""System checks of a deployment: each finds its fault, and finds none beside it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.checks import CheckMessage, run_checks
from django.db import connection
from django.test import override_settings
from django.utils import timezone

import data_sync
from data_sync import conf
from data_sync.deploy_checks import databases, disk
from data_sync.models import DataSource, ExportKey, Trust
from data_sync.setting_checks import known_names
from tests.tasks.conftest import DUMMY, IMMEDIATE, LIBRARY, nowhere, with_tasks  # noqa: F401
from tests.testapp.models import Tag

pytestmark = pytest.mark.django_db
PACKAGE = Path(data_sync.__file__).parent
STRONG = "correct-horse-battery-staple-and-0123456789-more"
OTHER = "another-secret-that-is-long-enough-0123456789"
SHARED_CACHE = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"},
}
EVERYWHERE = {"tags": ["data_sync"], "include_deployment_checks": True, "databases": ["default"]}


@pytest.fixture(autouse=True)
def sound(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A deployment with which nothing is wrong."""
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECRET_KEY = STRONG
    settings.DATA_SYNC_AUDIT_KEYS = [f"{STRONG}-for-the-audit-trail"]
    settings.CACHES = SHARED_CACHE
    settings.DATA_SYNC_STAGING_ROOT = str(tmp_path / "staging")
    monkeypatch.delenv("DATA_SYNC_EXPORT_TOKEN", raising=False)
    monkeypatch.setattr(disk, "LEAST_ROOM", 1)
    if connection.vendor == "sqlite":
        options = {"transaction_mode": "IMMEDIATE", "timeout": 20}
        monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '10min'")


def messages(**options: Any) -> list[CheckMessage]:
    """What the checks say, but for what they say of the registrations of the tests."""
    found = run_checks(**(EVERYWHERE | options))
    return [message for message in found if message.id not in ("data_sync.W001", "data_sync.W002")]


def found(**options: Any) -> set[str]:
    return {str(message.id).removeprefix("data_sync.") for message in messages(**options)}


def key(name: str = "production", **values: Any) -> ExportKey:
    usual = {"expires_at": timezone.now() + timedelta(days=30), "model_labels": ["testapp.tag"], "prefix": name[:16]}
    return ExportKey.objects.create(name=name, **(usual | values))


def test_a_sound_deployment_has_no_message() -> None:
    DataSource.objects.create(name="Staging", url="https://staging.example.org/api", key="env:A")
    key(last_used_at=timezone.now())
    assert messages() == []


# By settings


def cache(backend: str) -> dict[str, Any]:
    return {"CACHES": {"default": {"BACKEND": f"django.core.cache.backends.{backend}"}}}


SETTINGS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # id, settings with which it is said, settings with which it is not
    ("E050", {"DATA_SYNC_MAIL_APPROVERS": ["editors"]}, {"DATA_SYNC_MAIL_APPROVERS": ["editors@example.com"]}),
    ("E050", {"DATA_SYNC_MAIL_APPROVERS": "perhaps"}, {"DATA_SYNC_MAIL_APPROVERS": True}),
    (
        "E051",
        {"DATA_SYNC_WEBHOOK_URL": "http://hooks.example.com/a", "DATA_SYNC_WEBHOOK_SECRET": STRONG},
        {"DATA_SYNC_WEBHOOK_URL": "https://hooks.example.com/a", "DATA_SYNC_WEBHOOK_SECRET": STRONG},
    ),
    ("E051", {"DATA_SYNC_WEBHOOK_URL": "https://hooks.example.com/a"}, {"DATA_SYNC_WEBHOOK_SECRET": "short"}),
    ("W010", {"DATA_SYNC_FOUR_EYE": True}, {"DATA_SYNC_FOUR_EYES": True}),
    ("W010", {"DATA_SYNC_QUITE_ANOTHER_THING": 1}, {"DATASYNC_FOUR_EYE": True}),
    ("W011", {"DATA_SYNC_ALLOWED_HOSTS": ["https://staging.internal"]}, {"DATA_SYNC_ALLOWED_HOSTS": ["a.internal"]}),
    ("W011", {"DATA_SYNC_ALLOWED_HOSTS": ["*.internal"]}, {"DATA_SYNC_ALLOWED_HOSTS": ["fd12:3456::/48"]}),
    ("W011", {"DATA_SYNC_ALLOWED_HOSTS": ["10.1.0.0/33"]}, {"DATA_SYNC_ALLOWED_HOSTS": ["10.1.0.0/32"]}),
    ("W011", {"DATA_SYNC_ALLOWED_HOSTS": ["10.1.0.7:8000"]}, {"DATA_SYNC_ALLOWED_HOSTS": ["10.1.0.7", "[::1]"]}),
    ("W012", {"SECURE_SSL_REDIRECT": False}, {"ROOT_URLCONF": "tests.tasks.no_urls", "SECURE_SSL_REDIRECT": False}),
    (
        "W012",
        {"MIDDLEWARE": []},
        {"SECURE_SSL_REDIRECT": False, "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https")},
    ),
    ("W013", {"SESSION_COOKIE_SECURE": False}, {"CSRF_COOKIE_SECURE": False, "CSRF_USE_SESSIONS": True}),
    ("W013", {"CSRF_COOKIE_SECURE": False}, {}),
    ("W015", {"DATA_SYNC_ALLOWED_HOSTS": ["10.0.0.0/8"]}, {"DATA_SYNC_ALLOWED_HOSTS": ["10.1.0.0/16"]}),
    ("W015", {"DATA_SYNC_ALLOWED_HOSTS": ["fd00::/32"]}, {"DATA_SYNC_ALLOWED_HOSTS": ["fd00::/48", "10.1.0.7"]}),
    ("W017", {"SECRET_KEY": "short"}, {}),
    ("W017", {"SECRET_KEY": f"django-insecure-{STRONG}"}, {}),
    ("W017", {"SECRET_KEY_FALLBACKS": ["abcabcabc" * 9]}, {"SECRET_KEY_FALLBACKS": [OTHER]}),
    (
        "W017",
        {"DATA_SYNC_ENCRYPTION_KEYS": ["abcd" * 10]},
        {"DATA_SYNC_ENCRYPTION_KEYS": [OTHER], "SECRET_KEY": "short"},
    ),
    ("W017", {"DATA_SYNC_AUDIT_KEYS": ["abcd" * 10]}, {"DATA_SYNC_AUDIT_KEYS": [OTHER]}),
    ("W033", {"DATA_SYNC_AUDIT_KEYS": []}, {"DATA_SYNC_AUDIT_KEYS": (OTHER,)}),
    ("E020", {"DATA_SYNC_AUDIT_KEYS": ["env:DATA_SYNC_THAT_IS_NOT_THERE"]}, {}),
    ("W018", {"DATA_SYNC_LEASE_SECONDS": 5}, {"DATA_SYNC_LEASE_SECONDS": 15}),
    ("W029", cache("dummy.DummyCache"), cache("dummy.DummyCache") | {"ROOT_URLCONF": "tests.tasks.no_urls"}),
    ("I004", cache("locmem.LocMemCache"), {}),
    ("E045", {"DATA_SYNC_EXPORT_TOKEN": "short"}, {"DATA_SYNC_EXPORT_TOKEN": ""}),
    # Wide networks open no metadata: `sources.metadata`.
    ("W015", {"DATA_SYNC_ALLOWED_HOSTS": ["160.0.0.0/4"]}, {}),
    ("E047", {"DATA_SYNC_ALLOWED_HOSTS": ["0.0.0.0/0"]}, {"DATA_SYNC_ALLOWED_HOSTS": ["192.168.0.0/16"]}),
    ("E047", {"DATA_SYNC_ALLOWED_HOSTS": ["::/0"]}, {}),
    ("E047", {"DATA_SYNC_ALLOWED_HOSTS": ["169.254.0.0/16"]}, {"DATA_SYNC_ALLOWED_HOSTS": ["168.63.129.17"]}),
    ("E047", {"DATA_SYNC_ALLOWED_HOSTS": ["[64:ff9b::a9fe:a9fe]"]}, {"DATA_SYNC_ALLOWED_HOSTS": ["64:ff9b::a00:1"]}),
    ("E047", {"DATA_SYNC_ALLOWED_HOSTS": ["169.254.169.254"]}, {"DATA_SYNC_ALLOWED_HOSTS": ["169.253.0.1"]}),
    ("E047", {"DATA_SYNC_ALLOWED_HOSTS": ["Metadata.google.internal"]}, {"DATA_SYNC_ALLOWED_HOSTS": ["metadata.x"]}),
    ("I002", {"DATA_SYNC_EXPORT_TOKEN": OTHER}, {}),
]


@pytest.mark.parametrize(("number", "faulty", "close"), SETTINGS, ids=lambda value: str(value)[:60])
def test_a_setting_that_makes_it_weak_is_told(number: str, faulty: dict[str, Any], close: dict[str, Any]) -> None:
    with override_settings(**close):
        assert found() == set()
    with override_settings(**faulty):
        assert found() == {number}
        assert all(message.hint for message in messages())
        assert found(app_configs=[apps.get_app_config("auth")]) == set()


def test_a_setting_that_is_not_known_is_told_with_the_nearest_that_is(settings: Any) -> None:
    settings.DATA_SYNC_LEASE_SECOND = 5
    [message] = messages()
    assert "DATA_SYNC_LEASE_SECOND " in message.msg and message.hint == "Did you mean DATA_SYNC_LEASE_SECONDS?"


def test_every_setting_is_read_by_the_function_of_its_name() -> None:
    """By which the check knows the names."""
    read = set(re.findall(r'(?:_setting|_is_on)\(\s*"([A-Z_]+)"', Path(conf.__file__).read_text(encoding="utf-8")))
    assert known_names() == {f"DATA_SYNC_{name}" for name in read}


def test_a_model_in_another_database_is_an_error(settings: Any) -> None:
    class Elsewhere:
        def db_for_write(self, model: Any, **_: Any) -> str | None:
            return "source" if model is self.model else None

        model: Any = None

    router = Elsewhere()
    settings.DATABASE_ROUTERS = [router]
    assert found() == set()
    for router.model in (Tag, DataSource):
        assert found() == {"E043"}


# Secrets


@pytest.mark.parametrize("value", ["DATA_SYNC_EXPORT_TOKEN", "DATA_SYNC_ENCRYPTION_KEYS", "SECRET_KEY_FALLBACKS"])
def test_one_secret_for_two_purposes_is_an_error(settings: Any, value: str) -> None:
    setattr(settings, value, STRONG if value.endswith("TOKEN") else [STRONG])
    assert found() - {"I002"} == {"E046"}
    setattr(settings, value, OTHER if value.endswith("TOKEN") else [OTHER])
    assert found() - {"I002"} == set()


def test_an_export_token_that_can_be_guessed_is_told(settings: Any) -> None:
    settings.DATA_SYNC_EXPORT_TOKEN = "abcd" * 10
    assert found() == {"W017", "I002"}


@pytest.mark.parametrize("secret", ["a-very-short-secret", f"django-insecure-{OTHER}", "xyz" * 20])
def test_no_message_has_a_secret_in_it(settings: Any, secret: str) -> None:
    settings.SECRET_KEY = settings.DATA_SYNC_EXPORT_TOKEN = secret
    told = messages()
    assert len(told) > 1
    assert not any(secret in f"{message.msg} {message.hint} {message.obj}" for message in told)


# Leases and queues


def test_on_sqlite_a_lease_that_an_apply_outlasts_is_told(
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    with_tasks: Callable[..., None],  # noqa: F811
) -> None:
    with_tasks("tests.test_deploy_checks.Backend")
    settings.DATA_SYNC_LEASE_SECONDS, settings.DATA_SYNC_TASK_DEADLINE = 120, 600
    assert found() == ({"W019"} if connection.vendor == "sqlite" else set())
    settings.DATA_SYNC_LEASE_SECONDS = 600
    assert found() == set()
    settings.DATA_SYNC_LEASE_SECONDS, settings.DATA_SYNC_TASK_DEADLINE = 120, None
    assert found() == set()


def make_backend() -> Any:
    from data_sync.tasks.framework import BaseTaskBackend

    class Made(BaseTaskBackend):
        """A backend that could be anybody's."""

        supports_priority = True
        complaint = ""

        def enqueue(self, *_: Any, **__: Any) -> Any:
            raise NotImplementedError

        def check(self, **_: Any) -> list[CheckMessage]:
            return [CheckMessage(40, self.complaint, hint="Install it.")] if self.complaint else []

    return Made


Backend = make_backend()


def test_what_a_backend_says_of_itself_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
    with_tasks: Callable[..., None],  # noqa: F811
) -> None:
    with_tasks("tests.test_deploy_checks.Backend")
    assert found() == set()
    monkeypatch.setattr(Backend, "complaint", "its app is not installed")
    assert found() == {"E040"}
    [message] = messages()
    assert "its app is not installed" in message.msg and message.hint == "Install it."


def test_the_database_as_queue_without_its_app_is_an_error(with_tasks: Callable[..., None]) -> None:  # noqa: F811
    with_tasks("django_tasks_db.DatabaseBackend")
    assert found() == {"E040"}


def test_a_queue_whose_tables_are_not_there_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
    with_tasks: Callable[..., None],  # noqa: F811
) -> None:
    with_tasks("tests.test_deploy_checks.Backend")
    queues = data_sync.deploy_checks.queues
    monkeypatch.setattr(queues.apps, "get_containing_app_config", lambda name: apps.get_app_config("data_sync"))
    assert found() == set()
    monkeypatch.setattr(queues.MigrationExecutor, "migration_plan", lambda self, targets: [("0001", False)])
    assert found() == {"E041"}


@pytest.mark.parametrize(("backend", "number"), [(DUMMY, "W028"), (IMMEDIATE, "I006")])
def test_a_queue_without_a_worker_is_told(
    settings: Any,
    with_tasks: Callable[..., None],  # noqa: F811
    backend: str,
    number: str,
) -> None:
    with_tasks(backend)
    assert found() == {number}
    settings.DATA_SYNC_FORCE_SYNC = True
    assert found() == set()


def test_a_database_that_other_processes_do_not_see_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
    with_tasks: Callable[..., None],  # noqa: F811
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("of SQLite alone")
    monkeypatch.setattr(connection, "is_in_memory_db", lambda: True)
    assert found() == set()
    with_tasks("tests.test_deploy_checks.Backend")
    assert found() == {"E042"}


# Databases

IMMEDIATELY = {"transaction_mode": "IMMEDIATE"}


class Level(Enum):
    """As psycopg's."""

    READ_COMMITTED = 2
    SERIALIZABLE = 4


@pytest.mark.parametrize(
    ("number", "vendor", "faulty", "close"),
    [
        ("W020", "sqlite", {"timeout": 20}, {"timeout": 20, "transaction_mode": "immediate"}),
        ("W020", "sqlite", {"timeout": 20, "transaction_mode": "DEFERRED"}, IMMEDIATELY | {"timeout": 20.5}),
        ("W020", "sqlite", {"timeout": 20, "transaction_mode": None}, IMMEDIATELY | {"timeout": 60}),
        ("W021", "sqlite", IMMEDIATELY, IMMEDIATELY | {"timeout": 20}),
        ("W021", "sqlite", IMMEDIATELY | {"timeout": 5}, IMMEDIATELY | {"timeout": 20}),
        ("W022", "mysql", {"isolation_level": "repeatable read"}, {"isolation_level": "Read Committed"}),
        ("W022", "mysql", {"isolation_level": None}, {}),
        ("W022", "postgresql", {"isolation_level": "serializable"}, {}),
        ("W022", "postgresql", {"isolation_level": Level.SERIALIZABLE}, {"isolation_level": Level.READ_COMMITTED}),
    ],
    ids=str,
)
def test_options_of_a_database_that_do_not_hold_are_told(
    monkeypatch: pytest.MonkeyPatch, number: str, vendor: str, faulty: dict[str, Any], close: dict[str, Any]
) -> None:
    for options, numbers in ((faulty, {number}), (close, set())):
        database = SimpleNamespace(vendor=vendor, settings_dict={"OPTIONS": options})
        monkeypatch.setattr(databases, "_database", lambda database=database: database)
        assert found(databases=[]) == numbers


@pytest.mark.django_db(transaction=True)
def test_mariadb_tables_without_transactions_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "mysql":
        pytest.skip("of MariaDB alone")
    assert found() == set()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE deploy_checks (id integer) ENGINE = MyISAM")
        try:
            assert found() == set(), "a table of somebody else's"
            monkeypatch.setattr(Tag._meta, "db_table", "deploy_checks")
            assert found() == {"E044"}
            cursor.execute("SET SESSION sql_mode = ''")
            assert found() == {"E044", "W023"}
        finally:
            cursor.execute("DROP TABLE deploy_checks")
            cursor.execute("SET SESSION sql_mode = 'STRICT_TRANS_TABLES'")


@pytest.mark.parametrize(("timeout", "numbers"), [("0", {"I003"}), ("5s", {"W032"}), ("60s", set())])
def test_postgresql_that_ends_idle_transactions_never_or_soon_is_told(timeout: str, numbers: set[str]) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("of PostgreSQL alone")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = %s", [timeout])
    assert found() == numbers


# What is stored


def ago(**time: int) -> Any:
    return timezone.now() - timedelta(**time)


KEYS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("W024", {"expires_at": None}, {"expires_at": None, "revoked_at": ago(days=1)}),
    ("W025", {"last_used_at": ago(days=91)}, {"last_used_at": ago(days=89)}),
    ("W025", {"last_used_at": ago(days=91)}, {"last_used_at": ago(days=91), "expires_at": ago(days=1)}),
    ("I001", {"model_labels": []}, {"model_labels": [], "revoked_at": ago(days=1)}),
]


@pytest.mark.parametrize(("number", "faulty", "close"), KEYS, ids=str)
def test_a_key_that_nobody_looks_after_is_told_by_name(
    number: str, faulty: dict[str, Any], close: dict[str, Any]
) -> None:
    key("sound", **close)
    assert found() == set()
    key("faulty", **faulty)
    [message] = messages()
    assert message.id == f"data_sync.{number}" and "“faulty”" in message.msg and "sound" not in message.msg


def test_a_key_that_was_made_long_ago_and_never_used_is_told() -> None:
    made = key()
    assert found() == set()
    ExportKey.objects.filter(pk=made.pk).update(created_at=ago(days=91))
    assert found() == {"W025"}


def test_sources_over_plain_http_and_under_debug_are_told(settings: Any) -> None:
    DataSource.objects.create(name="Staging", url="https://staging.example.org/api", key="env:A")
    assert found() == set()
    settings.DEBUG = True
    assert found() == {"W014"}
    settings.DEBUG = False
    DataSource.objects.create(name="Plain", url="http://10.1.0.7/api", key="env:A")
    [message] = messages()
    assert message.id == "data_sync.W016" and "“Plain”" in message.msg and "Staging" not in message.msg


def test_debug_without_sources_is_nothing_of_ours(settings: Any) -> None:
    settings.DEBUG = True
    assert found() == set()


def test_nothing_is_read_where_django_is_not_asked_to(django_assert_num_queries: Any) -> None:
    key(expires_at=None)
    with django_assert_num_queries(0):
        assert found(databases=[]) == set()
    assert found() == {"W024"}
    assert found(include_deployment_checks=False) == set()


def test_tables_that_are_not_there_yet_stop_no_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExportKey._meta, "db_table", "not_there_yet")
    assert found() == set()


# Trust


def trusting(**values: Any) -> Trust:
    source = DataSource.objects.create(name="Staging", url="https://staging.example.org/api", key="env:A")
    usual = {"is_on": True, "model_labels": ["testapp.tag"], "operations": ["create"], "max_changes": 100}
    usual |= {"unrestricted": True, "actor": "command line", "since": timezone.now()}
    return Trust.objects.create(source=source, **(usual | values))


@pytest.mark.parametrize(
    ("number", "faulty", "close"),
    [
        ("W030", {"max_changes": 10_001}, {"max_changes": 10_000}),
        ("W030", {"max_deletes": 1_001}, {"max_deletes": 1_000}),
        ("W031", {"unrestricted": False, "actor": "ann"}, {}),
        ("I005", {"unattended": True}, {"unattended": False}),
    ],
    ids=str,
)
def test_trust_without_bounds_or_authority_or_a_second_person_is_told_by_source(
    settings: Any, number: str, faulty: dict[str, Any], close: dict[str, Any]
) -> None:
    made = trusting(**close)
    assert found() == set()
    for name, value in faulty.items():
        setattr(made, name, value)
    made.save()
    [message] = messages()
    assert message.id == f"data_sync.{number}" and "“Staging”" in message.msg and message.hint
    settings.DATA_SYNC_FOUR_EYES = True
    assert found() == ({number} - {"I005"})
    made.is_on = False
    made.save()
    assert found() == set()


# Disk


def test_a_spool_without_room_is_told(settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings.DATA_SYNC_SPOOL_DIR = str(tmp_path)
    assert found() == set()
    monkeypatch.setattr(disk, "LEAST_ROOM", 10**18)
    [message] = messages()
    assert message.id == "data_sync.W027" and str(tmp_path) in message.msg


@pytest.mark.parametrize(("access", "numbers"), [(0o755, {"W026"}), (0o701, {"W026"}), (0o750, set()), (0o700, set())])
def test_fetched_files_that_others_can_read_are_told(tmp_path: Path, access: int, numbers: set[str]) -> None:
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging").chmod(access)
    assert found() == numbers


# Completeness


@pytest.mark.no_database
def test_every_check_is_fired_by_a_test() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.rglob("test_*.py"))
    numbers = set(re.findall(r'"data_sync\.([EWI]\d{3})"', code))
    assert len(numbers) > 50
    assert {number for number in numbers if re.search(rf'"(?:data_sync\.)?{number}"', tests) is None} == set()
