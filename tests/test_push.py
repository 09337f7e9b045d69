"""The push target: what it takes, and what its answers have Cloud Tasks do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from data_sync import tasks
from data_sync.core.errors import HandOverFailed, LeaseLost
from data_sync.core.states import ChangesetState
from data_sync.models import Changeset
from data_sync.services import apply, pull
from data_sync.services.actors import command_line
from tests import google, leasing
from tests.environments import Environments
from tests.tasks.conftest import account, certificates_page, with_tasks  # noqa: F401
from tests.testapp.models import Country, Term

URL = "/api/data_sync/tasks/run"
Push = Callable[..., Any]


@pytest.fixture
def push(settings: Any, account: google.Account, certificates_page: google.Pages) -> Push:  # noqa: F811
    settings.DATA_SYNC_SERVICE_ACCOUNT_EMAIL = google.EMAIL
    settings.DATA_SYNC_BASE_URL = "https://www.example.com"
    headers = {"Authorization": f"Bearer {account.token(f'https://www.example.com{URL}')}"}

    def send(body: Any, client: Client | None = None, method: str = "POST") -> Any:
        return (client or Client()).generic(method, URL, body, "application/json", headers=headers)

    return send


@pytest.fixture
def asked(environments: Environments) -> Changeset:
    """An approved changeset whose apply was asked for."""
    environments.add(Country, code="FR", only="source")
    environments.add(Term, word="fire", meaning="hot", only="source")
    return apply.request_apply(environments.approved().pk, environments.actor)


BODIES = [
    "",
    "null",
    "[]",
    "7",
    "{",
    "{}",
    '{"task": "apply"}',
    '{"id": 7}',
    '{"task": "apply", "id": 7, "url": "https://evil.example"}',
    '{"task": "apply", "id": 7, "id": 8}',
    '{"task": "revert", "id": 7}',
    '{"task": ["apply"], "id": 7}',
    '{"task": "apply", "id": "7"}',
    '{"task": "apply", "id": 7.0}',
    '{"task": "apply", "id": true}',
    '{"task": "apply", "id": null}',
    '{"task": "apply", "id": 0}',
    '{"task": "apply", "id": -7}',
    '{"task": "apply", "id": 9223372036854775808}',
    '{"task": "apply", "id": ' + "9" * 900 + "}",
    '{"task": "apply", "id": 7}' + " " * 1000,
    "[" * 1000,
    b"\xff\xfe",
]


@pytest.mark.django_db
@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_a_body_of_another_form_does_nothing(push: Push, body: Any) -> None:
    with CaptureQueriesContext(connection) as queries:
        answer = push(body)
    assert (answer.status_code, len(queries)) == (400, 0)
    assert set(answer.json()) == {"error"}


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(push: Push, method: str) -> None:
    answer = push('{"task": "apply", "id": 7}', method=method)
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_an_apply_is_done(push: Push, asked: Changeset) -> None:
    answer = push(f'{{"task": "apply", "id": {asked.pk}}}')
    assert (answer.status_code, answer.json()) == (200, {"task": "apply", "id": asked.pk})
    asked.refresh_from_db()
    assert asked.state == ChangesetState.APPLIED
    assert Country.objects.get().code == "FR"


def test_a_pull_is_done(push: Push, environments: Environments) -> None:
    environments.add(Country, code="FR", only="source")
    asked = pull.request_pull(environments.source, [], environments.actor)
    assert push(f'{{"task": "pull", "id": {asked.pk}}}').status_code == 200
    asked.refresh_from_db()
    assert (asked.state, asked.changeset.creates) == ("done", 1)


def test_a_pull_has_the_time_of_its_task(
    push: Push,
    environments: Environments,
    settings: Any,
    with_tasks: Callable[..., None],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Any] = []
    run_pull = tasks.run_pull

    def note(pk: int, *, seconds: float | None) -> Any:
        given.append(seconds)
        return run_pull(pk, seconds=seconds)

    with_tasks()
    monkeypatch.setattr(tasks, "run_pull", note)
    settings.DATA_SYNC_TASK_DEADLINE = 86400
    asked = pull.request_pull(environments.source, [], environments.actor)
    push(f'{{"task": "pull", "id": {asked.pk}}}')
    tasks.submit("pull", pull.request_pull(environments.source, [], environments.actor).pk, here=True)
    of_task, of_command = given
    assert 1790 < of_task <= 1800 and of_command is None, "Google's longest; a command has no limit"


def test_a_second_delivery_does_nothing_and_is_over(push: Push, asked: Changeset) -> None:
    for _ in range(3):
        assert push(f'{{"task": "apply", "id": {asked.pk}}}').status_code == 200
    assert asked.events.filter(action="applied").count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["pull", "apply"])
def test_work_that_is_not_there_is_over(push: Push, kind: str) -> None:
    assert push(f'{{"task": "{kind}", "id": 4711}}').status_code == 200


def test_what_was_cancelled_or_withdrawn_is_over(push: Push, asked: Changeset, environments: Environments) -> None:
    Changeset.objects.filter(pk=asked.pk).update(state="pending")
    assert push(f'{{"task": "apply", "id": {asked.pk}}}').status_code == 200
    row = pull.request_pull(environments.source, [], environments.actor)
    pull.cancel_pull(row.pk, command_line())
    assert push(f'{{"task": "pull", "id": {row.pk}}}').status_code == 200
    assert not Country.objects.exists()


def test_a_final_failure_is_recorded_and_over(push: Push, asked: Changeset) -> None:
    Term.objects.create(word="fire", meaning="warm")  # Since the pull.
    assert push(f'{{"task": "apply", "id": {asked.pk}}}').status_code == 200
    asked.refresh_from_db()
    assert asked.state == ChangesetState.STALE


@pytest.mark.parametrize(("left", "retry"), [(1, "10"), (59.5, "60"), (4000, "300")])
def test_while_another_worker_is_at_it_the_task_comes_again(
    push: Push, asked: Changeset, left: float, retry: str
) -> None:
    Changeset.objects.filter(pk=asked.pk).update(state="applying", token="x")
    leasing.beat(asked, left)
    answer = push(f'{{"task": "apply", "id": {asked.pk}}}')
    assert (answer.status_code, answer["Retry-After"]) == (503, retry)
    leasing.expire()
    assert push(f'{{"task": "apply", "id": {asked.pk}}}').status_code == 200
    asked.refresh_from_db()
    assert asked.state == ChangesetState.APPLIED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (OperationalError("secret value"), 503, "The database is busy or away (OperationalError)"),
        (HandOverFailed("It could not be handed over."), 503, "It could not be handed over."),
        (ZeroDivisionError("secret value"), 500, "The task could not be done; see the log there."),
        (LeaseLost("Another worker has taken over."), 200, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_nobody_foresaw_comes_again(
    push: Push, monkeypatch: pytest.MonkeyPatch, settings: Any, error: Exception, status: int, words: str | None
) -> None:
    def fail(pk: int) -> None:
        raise error

    settings.DEBUG = True
    monkeypatch.setattr(tasks, "run_apply", fail)
    answer = push('{"task": "apply", "id": 7}')
    assert answer.status_code == status
    assert "secret value" not in answer.content.decode()
    assert words is None or words in answer.json()["error"]


@pytest.fixture
def strict(settings: Any) -> Iterator[Client]:
    """A project that requires CSRF tokens and a log-in, and wraps every request in a transaction."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    connection.settings_dict["ATOMIC_REQUESTS"] = True
    yield Client(enforce_csrf_checks=True)
    connection.settings_dict["ATOMIC_REQUESTS"] = False


def test_it_works_with_login_csrf_and_atomic_requests(push: Push, asked: Changeset, strict: Client) -> None:
    assert push(f'{{"task": "apply", "id": {asked.pk}}}', strict).status_code == 200
    asked.refresh_from_db()
    assert asked.state == ChangesetState.APPLIED


@pytest.mark.django_db
def test_it_works_under_asgi(push: Push) -> None:
    from asgiref.sync import async_to_sync

    # In a thread of its own: Playwright's event loop runs in this one from the first browser test on.
    with ThreadPoolExecutor(1) as pool:
        send = async_to_sync(AsyncClient().post)
        answer = pool.submit(send, URL, {"task": "apply", "id": 1}, "application/json").result()
    assert answer.status_code == 401
