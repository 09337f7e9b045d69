"""A pull that is killed leaves no changeset, and no file."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connection

from data_sync.core.states import ChangesetState
from data_sync.models import Baseline, Change, Changeset, DataPull
from data_sync.services import pull
from tests.environments import Environments, child
from tests.testapp.models import Country


@pytest.mark.parametrize("moment", ["listed", "read", "described", "stored"])
def test_a_killed_pull_leaves_nothing_behind(environments: Environments, tmp_path: Path, moment: str) -> None:
    codes = [chr(0x4E00 + number) for number in range(300)]
    for alias in ("source", "default"):
        Country.objects.using(alias).bulk_create(Country(code=code) for code in codes)
    Country.objects.using("source").create(code="FR")
    queued = pull.request_pull(environments.source, ["testapp.country"], environments.actor)

    worker = child("tests.pulling", str(queued.pk), moment, str(tmp_path), DATA_SYNC_TEST_CHILD="default")
    assert worker.stdout is not None and worker.stdin is not None
    assert worker.stdout.readline() == "paused\n", DataPull.objects.get().error
    assert list(tmp_path.iterdir()) == [], "files have no name while they are in use"
    worker.kill()
    worker.wait()
    worker.stdin.close()
    worker.stdout.close()

    connection.close()
    assert not Changeset.objects.exists() and not Change.objects.exists() and not Baseline.objects.exists()
    pull.cancel_pull(queued.pk, environments.actor)
    assert environments.changeset("testapp.country").state == ChangesetState.PENDING
