"""What every test gets: the right tests for the chosen database, and a Chromium for browser tests."""

from __future__ import annotations

import os
import secrets
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests import outside

if TYPE_CHECKING:
    from tests.environments import Environments

HERE = Path(__file__).parent
BROWSER_FIXTURES = {"page", "context", "browser", "new_context"}

# Playwright's sync API keeps an event loop running in this thread, in which Django would refuse to query.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

ALIKE = {"postgresql": ("admin", "management"), "mariadb": ("admin", "management", "serving", "services", "tasks", "")}
"""Directories whose tests find about the same on each database, for `--sample`; "" for what stands in none."""

# `--hypothesis-profile=long`: for hours when nobody waits.
hypothesis.settings.register_profile("long", max_examples=20_000, deadline=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-faults", action="store_true", help="every case of tests/faults, not only a sample")
    parser.addoption(
        "--sample",
        action="store_true",
        help="on PostgreSQL and MariaDB one in four of the tests that run on other databases in the same way",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by what they use or where they stand, and leave out what has run or is asked for elsewhere."""
    asked = config.getoption("markexpr")
    unwanted = set() if "benchmark" in asked else {"benchmark"}
    if not config.getoption("all_faults"):
        unwanted.add("fault")
    database = os.environ.get("DATA_SYNC_TEST_DATABASE", "sqlite")
    if database != "sqlite":
        unwanted |= {"browser", "no_database"}
    alike = ALIKE.get(database, ()) if config.getoption("sample") else ()
    kept, left_out = [], []
    for item in items:
        if "environments" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.django_db(transaction=True, databases=["default", "source"]))
        if BROWSER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("browser")
        if not {HERE / "core", HERE / "sources"}.isdisjoint(item.path.parents):
            item.add_marker("no_database")
        directory, _, _ = item.path.relative_to(HERE).as_posix().rpartition("/")
        is_skipped = directory in alike and zlib.crc32(item.nodeid.encode()) % 4 > 0
        is_unwanted = is_skipped or unwanted & {mark.name for mark in item.iter_markers()}
        (left_out if is_unwanted else kept).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = kept


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a browser test where there is no Chromium, with the reason; fail it where one is required."""
    if item.get_closest_marker("browser") and (reason := outside.why_no_chromium()):
        if outside.required():
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Start the system's Chromium, with no sandbox (tests may run as root) and no calls home."""
    return {
        **browser_type_launch_args,
        "executable_path": outside.chromium(),
        "args": [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    }


@pytest.fixture(autouse=True)
def nothing_cached() -> None:
    """Else one test's failures to give a key would count against the next one's."""
    from django.core.cache import cache

    cache.clear()


@pytest.fixture(scope="session")
def source_server(django_db_setup: None) -> Iterator[tuple[str, str]]:
    """URL and export key of the other environment. One server serves the whole session."""
    from tests.environments import child

    key = secrets.token_urlsafe(32)
    server = child("tests.source_server", DATA_SYNC_TEST_CHILD="source", DATA_SYNC_EXPORT_TOKEN=key)
    assert server.stdout is not None
    word, _, port = server.stdout.readline().strip().partition(" ")
    assert word == "ready", "the source's server did not start; what it said stands above"
    yield f"http://127.0.0.1:{port}/api", key
    server.communicate(timeout=30)


@pytest.fixture
def environments(source_server: tuple[str, str], settings: Any, db: None) -> Iterator[Environments]:
    """Both environments, empty."""
    from tests.environments import Environments

    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    both = Environments(*source_server, Path(settings.BASE_DIR))
    yield both
    for used in (both.source_media, both.media, both.staging):
        shutil.rmtree(used, ignore_errors=True)


@pytest.fixture
def rows_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has approvals not look at rows: for tests of decisions on changes that are of no rows."""
    monkeypatch.setattr("data_sync.services.approval._refuse_stale", lambda changeset: None)
