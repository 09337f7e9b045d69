"""`sweep`: what was lost is delivered, and the exit code says whether it could be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from data_sync import tasks
from data_sync.models import DataPull
from data_sync.services import pull
from tests.environments import Environments

from .conftest import Run


@pytest.fixture
def lost(environments: Environments) -> DataPull:
    row = pull.request_pull(environments.source, [], environments.actor)
    DataPull.objects.update(created_at=timezone.now() - timedelta(hours=1))
    return row


@pytest.mark.django_db(transaction=True)
def test_where_nothing_was_lost_nothing_is_done(run: Run) -> None:
    assert run("sweep").out == "", "cron would mail it"
    ran = run("sweep", "--json")
    assert (ran.code, ran.document) == (0, {"swept": []})


def test_what_was_lost_is_done(run: Run, lost: DataPull) -> None:
    ran = run("sweep")
    assert (ran.code, ran.out) == (0, f"Pull {lost.pk}: done\n")
    lost.refresh_from_db()
    assert lost.state == "done"


def test_what_could_not_be_delivered_is_told(run: Run, lost: DataPull, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(pk: int, **_: object) -> None:
        raise OperationalError("it is\nlocked")

    monkeypatch.setattr(tasks, "run_pull", fail)
    ran = run("sweep", "--json")
    [told] = ran.document["swept"]
    reason = told["reason"]
    assert reason.startswith("Unexpected OperationalError: it is locked; more is in the log, under the reference ")
    swept = {"task": "pull", "id": lost.pk, "delivery": "failed", "reason": reason}
    assert (ran.code, ran.document) == (1, {"swept": [swept]})
    DataPull.objects.update(submitted_at=None)
    ran = run("sweep")
    assert ran.out.splitlines()[0].startswith(f"Pull {lost.pk}: failed. Unexpected OperationalError: it is locked; ")
    assert "Of 1 task, 1 could not be delivered." in ran.err
