"""`doctor`: everything that the system checks say, and the queue, worst first, each with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from data_sync.models import DataPull, ExportKey
from tests.admin import making
from tests.tasks.conftest import DUMMY, nowhere, with_tasks  # noqa: F401

from .conftest import Ran, Run

pytestmark = pytest.mark.django_db(databases="__all__")


def here(ran: Ran) -> dict[str, dict[str, str]]:
    """What was found of this environment, by name; of several with one name, the last."""
    return {finding["name"]: finding for finding in ran.document["here"]}


def test_what_is_checked_of_deployments_and_in_the_database_is_told_with_its_remedy(run: Run, settings: Any) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = ["10.0.0.0/8"]
    ExportKey.objects.create(name="production", prefix="a")
    found = here(run("doctor", "--json"))
    for name, level in (("data_sync.W015", "warning"), ("data_sync.W024", "warning"), ("data_sync.I001", "note")):
        assert found[name]["level"] == level and found[name]["remedy"]
    assert "“production”" in found["data_sync.W024"]["message"]
    settings.SILENCED_SYSTEM_CHECKS = ["data_sync.W024"]
    assert "data_sync.W024" not in here(run("doctor", "--json"))


def test_warnings_and_notes_are_no_faults_and_an_error_is_one(run: Run, settings: Any) -> None:
    ExportKey.objects.create(name="production", prefix="a")
    assert run("doctor").code == 0
    settings.DATA_SYNC_ALLOWED_HOSTS = ["0.0.0.0/0"]
    ran = run("doctor")
    assert ran.code == 2 and "1 fault found; " in ran.out


def test_the_worst_comes_first_and_remedies_stand_below(run: Run, settings: Any) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = ["169.254.0.0/16", "10.0.0.0/8"]
    ExportKey.objects.create(name="production", prefix="a", expires_at=timezone.now() + timedelta(days=1))
    lines = run("doctor").out.splitlines()
    signs = [line[2] for line in lines if line[:2] == "  " and line[2] != " "]
    assert [sign for i, sign in enumerate(signs) if i == 0 or signs[i - 1] != sign] == ["✗", "!", "i", "✓"]
    assert lines[lines.index("Here") + 1].startswith("  ✗ data_sync.E047: ")
    assert any(line.startswith("    → Name the hosts that sources are on, one by one.") for line in lines)
    assert max(map(len, lines)) < 80


def test_a_database_that_is_not_migrated_is_not_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    ExportKey.objects.create(name="production", prefix="a")
    executor = "data_sync.management.verbs.doctor.MigrationExecutor.migration_plan"
    monkeypatch.setattr(executor, lambda self, targets: [("0001", False)])
    found = here(run("doctor", "--json"))
    assert found["database"]["level"] == "fault" and "manage.py migrate" in found["database"]["remedy"]
    assert not {"queue", "data_sync.W024"} & found.keys()


def test_no_secret_is_shown(run: Run, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "canary-0123456789-canary"
    monkeypatch.setenv("DATA_SYNC_KEY_STAGING", canary)
    settings.SECRET_KEY = settings.DATA_SYNC_EXPORT_TOKEN = f"{canary}-of-this-environment"
    settings.SECRET_KEY_FALLBACKS = [canary]
    run("source", "add", "One", "https://one.example.invalid", "--key", "env:DATA_SYNC_KEY_STAGING")
    run("source", "add", "Two", "https://two.example.invalid", "--key", "-", given=f"{canary}-two\n")
    secret = run("key", "create", "production").out.strip()
    for words in ((), ("--json",)):
        ran = run("doctor", *words)
        assert "data_sync.E046" in ran.out
        assert canary not in ran.out + ran.err and secret.partition(".")[2] not in ran.out + ran.err


# The queue


def queue(run: Run) -> dict[str, str]:
    return here(run("doctor", "--json"))["queue"]


def test_it_says_which_queue_there_is(run: Run, with_tasks: Callable[..., None]) -> None:  # noqa: F811
    assert (queue(run)["level"], queue(run)["message"]) == ("ok", "Work is done in the request; nothing waits.")
    with_tasks(DUMMY)
    assert queue(run)["message"] == f"Work is handed to {DUMMY}; nothing waits."
    with_tasks("nothing.like.this")
    found = here(run("doctor", "--json"))
    assert "queue" not in found and found["data_sync.E023"]["level"] == "fault"


def test_it_says_how_much_waits_and_warns_where_nobody_comes(run: Run) -> None:
    making.pull(source=making.source(), state="queued", active_source=1)
    making.changeset([making.update()], state="approved", apply_requested_at=timezone.now())
    found = queue(run)
    assert found["level"] == "ok" and "Waiting: 1 pull and 1 apply, the oldest since 20" in found["message"]
    DataPull.objects.update(created_at=timezone.now() - timedelta(hours=1))
    found = queue(run)
    assert found["level"] == "warning" and "1 should have been begun" in found["message"]
    assert "data_sync sweep" in found["remedy"]
    DataPull.objects.update(state="done")
    assert "Waiting: 1 apply, " in queue(run)["message"]
