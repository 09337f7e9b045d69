"""Fifty deliveries of one apply at once, as a queue may make them: one effect, and answers a queue understands."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

import pytest
import requests

from data_sync.models import Changeset
from data_sync.services import apply
from tests import google
from tests.environments import Environments
from tests.serving.gates import Gate
from tests.serving.processes import Server, serving

PATH = "/api/data_sync/tasks/run"
DELIVERIES = 50
Deliver = Callable[[int], requests.Response]


@pytest.fixture(scope="module")
def deliver(django_db_setup: None) -> Iterator[tuple[Server, Deliver]]:
    """A server that can answer all of them at once, and how Google delivers the apply of a changeset to it."""
    account = google.Account()
    token = account.token(f"https://www.example.com{PATH}")
    with google.showing(account) as pages:
        environ = {"DATA_SYNC_TEST_CERTIFICATES": f"{pages.url}/certs", "DATA_SYNC_TEST_ACCOUNT": google.EMAIL}
        with serving("gunicorn", "--workers", "3", "--threads", str(DELIVERIES), **environ) as server:

            def send(pk: int) -> requests.Response:
                headers = {"Authorization": f"Bearer {token}"}
                body = {"task": "apply", "id": pk}
                return requests.post(f"{server.url}{PATH}", json=body, headers=headers, timeout=60)

            yield server, send


@pytest.fixture
def asked(differing: Environments) -> Changeset:
    return apply.request_apply(differing.approved().pk, differing.actor)


def at_once(pool: ThreadPoolExecutor, send: Deliver, pk: int) -> list[Future[requests.Response]]:
    barrier = threading.Barrier(DELIVERIES)

    def one() -> requests.Response:
        barrier.wait()
        return send(pk)

    return [pool.submit(one) for _ in range(DELIVERIES)]


def is_understood(answer: requests.Response) -> bool:
    """Done; or to be brought again, and when."""
    if answer.status_code == 503:
        return answer.headers["Retry-After"].isdigit()
    return answer.status_code == 200


def assert_applied_once(asked: Changeset, environments: Environments, server: Server) -> None:
    asked.refresh_from_db()
    assert (asked.state, asked.attempt) == ("applied", 1)
    assert Counter(asked.events.values_list("action", flat=True))["applied"] == 1
    environments.assert_equal()
    assert "Traceback" not in server.said(), server.said()


def test_fifty_deliveries_at_once_apply_once(
    deliver: tuple[Server, Deliver], asked: Changeset, differing: Environments
) -> None:
    server, send = deliver
    with ThreadPoolExecutor(DELIVERIES) as pool:
        answers = [future.result() for future in at_once(pool, send, asked.pk)]
    assert [answer.text for answer in answers if not is_understood(answer)] == []
    assert send(asked.pk).status_code == 200, "brought again, it is over"
    assert_applied_once(asked, differing, server)


def test_while_one_of_them_applies_the_others_are_to_come_again(
    deliver: tuple[Server, Deliver], asked: Changeset, differing: Environments
) -> None:
    server, send = deliver
    with ThreadPoolExecutor(DELIVERIES) as pool, Gate("claimed") as gate:
        answers = at_once(pool, send, asked.pk)
        gate.reached()
        done = as_completed(answers)
        early = [next(done).result() for _ in range(DELIVERIES - 1)]
        assert {answer.status_code for answer in early} == {503}
        assert all(map(is_understood, early))
        gate.open()
        assert next(done).result().status_code == 200
    assert_applied_once(asked, differing, server)
