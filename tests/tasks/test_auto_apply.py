"""A trusted pull is applied through the queue: the real client, a real service, real HTTP, real tokens."""

from __future__ import annotations

from typing import Any

import pytest

from data_sync import tasks
from data_sync.core.errors import HandOverFailed
from data_sync.core.states import AutoApply, ChangesetState
from data_sync.models import Changeset, DataPull
from data_sync.services import pull, trust
from data_sync.services.due import Submission
from data_sync.tasks import Delivery, functions, google_queue
from tests import google
from tests.environments import Environments
from tests.services.test_auto_apply import age
from tests.tasks.conftest import DUMMY
from tests.testapp.models import Term


@pytest.fixture
def delivered(cloud_tasks: google.CloudTasks, live_server: Any, settings: Any) -> google.CloudTasks:
    """What is in the queue is sent to a server of this environment."""
    settings.DATA_SYNC_BASE_URL = live_server.url
    cloud_tasks.sends = True
    return cloud_tasks


@pytest.fixture
def queued(environments: Environments) -> DataPull:
    """A pull of a source that is trusted to be applied unattended, asked for and handed to nobody."""
    environments.add(Term, word="boots", meaning="of 2025")
    environments.pull()
    Term.objects.using("source").update(meaning="of 2026")
    trust.switch_on(environments.source, environments.actor, models=["testapp.term"], unattended=True)
    return pull.request_pull(environments.source, [], environments.actor)


def applied_once(changeset: Changeset) -> bool:
    changeset.refresh_from_db()
    return changeset.state == "applied" and changeset.events.filter(action="applied").count() == 1


def test_an_unattended_pull_is_applied_by_two_pushed_tasks(delivered: google.CloudTasks, queued: DataPull) -> None:
    tasks.submit("pull", queued.pk)
    assert delivered.idle()
    assert [status for _, status in delivered.attempts] == [200, 200]
    changeset = Changeset.objects.get(pull=queued)
    assert applied_once(changeset) and Term.objects.get().meaning == "of 2026"


def test_what_is_in_the_way_ends_the_second_task_and_is_not_sent_again(
    delivered: google.CloudTasks, queued: DataPull, environments: Environments
) -> None:
    trust.switch_off(environments.source, environments.actor)
    DataPull.objects.update(wants_apply=True)
    tasks.submit("pull", queued.pk)
    assert delivered.idle()
    assert [status for _, status in delivered.attempts] == [200, 200]
    changeset = Changeset.objects.get(pull=queued)
    assert (changeset.state, changeset.auto_state) == (ChangesetState.PENDING, AutoApply.LEFT)


def test_deliveries_at_once_decide_once_and_apply_once(
    delivered: google.CloudTasks, queued: DataPull, environments: Environments
) -> None:
    pull.run_pull(queued.pk)
    changeset = Changeset.objects.get(pull=queued)
    for number in range(1, 9):
        google_queue.enqueue(Submission(kind="apply", pk=changeset.pk, number=number))
    assert delivered.idle(60)
    assert applied_once(changeset)
    assert changeset.events.filter(action="auto_approved").count() == 1
    assert {status for _, status in delivered.attempts} <= {200, 503}


def test_an_immediate_backend_does_both(immediate: None, queued: DataPull) -> None:
    tasks.submit("pull", queued.pk)
    assert applied_once(Changeset.objects.get(pull=queued))


def test_what_the_queue_did_not_take_after_the_pull_is_swept(
    with_tasks: Any, queued: DataPull, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pull is done, and its second delivery does nothing: only the sweeper finds what was to follow."""
    with_tasks(DUMMY)
    with monkeypatch.context() as broken:
        broken.setattr(tasks, "_hand_over", _refuse)
        with pytest.raises(HandOverFailed):
            tasks.run("pull", queued.pk)
    changeset = Changeset.objects.get(pull=queued)
    tasks.run("pull", queued.pk)
    assert changeset.state == ChangesetState.PENDING
    Changeset.objects.update(submitted_at=None)
    age(hours=3)
    assert [swept.delivery for swept in tasks.sweep()] == [Delivery.HANDED_OVER]
    functions.task("apply").call(changeset.pk)
    assert applied_once(changeset)


def _refuse(*_: Any) -> None:
    raise HandOverFailed("The queue is away.")
