"""What the tests talk to outside Python: databases, brokers, Chromium; where each is, and whether it is there.

Every place can be overridden by an environment variable (``DATA_SYNC_TEST_POSTGRESQL_HOST`` and so on);
CONTRIBUTING.md lists them.
"""

from __future__ import annotations

import functools
import os
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

DATABASES = ("sqlite", "postgresql", "mariadb")
BROKERS = ("redis", "rabbitmq")
#: Set to anything: what is missing fails instead of being left out.
REQUIRED = "DATA_SYNC_TEST_REQUIRE_SERVICES"

_SERVERS = {
    "postgresql": {"HOST": "127.0.0.1", "PORT": "5432", "USER": "postgres", "PASSWORD": ""},
    "mariadb": {"HOST": "127.0.0.1", "PORT": "3306", "USER": "root", "PASSWORD": ""},
    "redis": {"HOST": "127.0.0.1", "PORT": "6379", "USER": "", "PASSWORD": ""},
    "rabbitmq": {"HOST": "127.0.0.1", "PORT": "5672", "USER": "guest", "PASSWORD": "guest"},
}


def required() -> bool:
    """Whether a missing service is a failure: in CI, or where ``--require-services`` was given."""
    return bool(os.environ.get("CI") or os.environ.get(REQUIRED))


def database(name: str, folder: Path, alias: str = "default") -> dict[str, Any]:
    """Django's settings for one of `DATABASES`; `folder` is where SQLite keeps its files.

    Each alias is a database of its own.

    The test database of a server carries a name of this run's own (child processes inherit it), so
    that two runs on one server do not meet.
    """
    if name == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": folder / f"{alias}.sqlite3",
            # A file, because threads that share one database in memory do not lock as users' do.
            "TEST": {"NAME": folder / f"test-{alias}.sqlite3"},
            # Durability is what the disk promises after a power cut, which no test can see.
            "OPTIONS": {"init_command": "PRAGMA synchronous = OFF", "timeout": 30},
        }
    test_name = os.environ.setdefault("DATA_SYNC_TEST_NAME", f"test_data_sync_{os.getpid()}")
    test_name += "" if alias == "default" else f"_{alias}"
    if name == "postgresql":
        return {
            **server(name),
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "TEST": {"NAME": test_name},
            # As above.
            "OPTIONS": {"options": "-c synchronous_commit=off"},
        }
    if name == "mariadb":
        return {
            **server(name),
            "ENGINE": "django.db.backends.mysql",
            "NAME": "data_sync",
            "TEST": {"NAME": test_name, "CHARSET": "utf8mb4"},
            # Else PyMySQL reads all certificates of the system at each connection, which takes longer than most tests.
            "OPTIONS": {"charset": "utf8mb4", "ssl_disabled": True},
        }
    raise ValueError(f"DATA_SYNC_TEST_DATABASE is {name!r}; it can be one of: {', '.join(DATABASES)}.")


def existing(database: dict[str, Any]) -> dict[str, Any]:
    """Settings that lead straight to the test database which these settings make."""
    return {**database, "NAME": database["TEST"]["NAME"]}


def server(name: str) -> dict[str, str]:
    """Host, port, user and password of a database server or broker."""
    return {
        key: os.environ.get(f"DATA_SYNC_TEST_{name.upper()}_{key}", default) for key, default in _SERVERS[name].items()
    }


def broker_url(name: str) -> str:
    """The URL of one of `BROKERS`, as Celery wants it."""
    place = server(name)
    account = f"{quote(place['USER'], safe='')}:{quote(place['PASSWORD'], safe='')}@" if place["PASSWORD"] else ""
    at = f"{account}{place['HOST']}:{place['PORT']}"
    return f"redis://{at}/0" if name == "redis" else f"amqp://{at}//"


def why_unreachable(name: str) -> str | None:
    """The reason, in one line, why the tests cannot use a database or broker; None where they can."""
    if name == "sqlite":
        return None
    place = server(name)
    host, port, user, password = place["HOST"], int(place["PORT"]), place["USER"], place["PASSWORD"]
    try:
        if name == "postgresql":
            import psycopg

            psycopg.connect(
                host=host, port=port, user=user, password=password, dbname="postgres", connect_timeout=5
            ).close()
        elif name in BROKERS:
            from kombu import Connection

            with Connection(broker_url(name), connect_timeout=5) as connection:
                connection.ensure_connection(max_retries=1)
        else:
            import pymysql

            pymysql.connect(host=host, port=port, user=user, password=password, connect_timeout=5).close()
    except Exception as error:
        words = " ".join(str(error).split())
        return f"no {name} server answers at {host}:{port} ({words})"
    return None


@functools.cache  # Playwright cannot be asked again once a test has started it.
def chromium() -> str | None:
    """Path of a Chromium to drive: the one named by environment, the system's, or Playwright's own."""
    named = os.environ.get("DATA_SYNC_TEST_CHROMIUM")
    if named:
        return shutil.which(named)
    for command in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(command)
        if path:
            return path
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if os.path.exists(own) else None


def why_no_chromium() -> str | None:
    """The reason, in one line, why browser tests cannot run; None where they can."""
    if chromium() is None:
        return "no Chromium found (install the chromium package, or name one in DATA_SYNC_TEST_CHROMIUM)"
    return None
