"""A revert whose worker is lost: all of it or nothing, of the changeset that it is of, too. And then it is finished."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from data_sync import tasks
from data_sync.core.states import ChangesetState
from data_sync.models import Changeset, KeptRow
from data_sync.services import pull, revert
from tests.environments import Environments, child

from . import points
from .scene import LABELS, Scene, pass_time
from .test_faults import Worker

POINTS = points.names("revert")
SAMPLED = {"sqlite": POINTS[0], "postgresql": POINTS[1], "mariadb": POINTS[2]}


def everything(environments: Environments) -> dict[str, Any]:
    """Rows as they have to be again: links and names of files are given anew."""
    tables = environments.tables()
    tables["testapp_product_tags"] = sorted(row[1:] for row in tables["testapp_product_tags"])
    tables["testapp_product_related"] = sorted(row[1:] for row in tables["testapp_product_related"])
    tables["testapp_document"] = sorted(row[:3] for row in tables["testapp_document"])
    return tables


def reverting(environments: Environments, original: Changeset) -> Changeset:
    """A revert that is approved."""
    done = pull.run_pull(revert.request_revert(original, None, environments.actor).pk)
    made = environments.let_through(Changeset.objects.get(pull=done))
    environments.accept_all(made)
    return environments.approve(made)


@pytest.mark.parametrize(
    "point",
    [pytest.param(point, marks=() if point == SAMPLED[settings.DATABASE] else pytest.mark.fault) for point in POINTS],
)
def test_a_revert_whose_worker_is_killed(environments: Environments, point: str, tmp_path: Path) -> None:
    scene = Scene(environments)
    before = everything(environments)
    original = environments.sync(*LABELS)
    made = reverting(environments, original)
    applied, kept = environments.tables(), KeptRow.objects.count()
    connection.close()
    worker = Worker(
        child(
            "tests.faults.worker", "revert", str(made.pk), point, DATA_SYNC_TEST_CHILD="default", TMPDIR=str(tmp_path)
        )
    )
    worker.kill()
    original.refresh_from_db()
    assert (environments.tables(), original.state) == (applied, ChangesetState.APPLIED)
    assert KeptRow.objects.count() == kept and not original.changes.exclude(reverted_by=None).exists()
    pass_time()
    assert {swept.delivery for swept in tasks.sweep()} == {tasks.Delivery.DONE}
    for one in (original, made):
        one.refresh_from_db()
    assert (original.state, made.state) == (ChangesetState.REVERTED, ChangesetState.APPLIED)
    assert original.events.filter(action="reverted").count() == made.events.filter(action="applied").count() == 1
    assert everything(environments) == before
    assert scene._used() <= environments.files().keys(), "no row names a file that is not there"
