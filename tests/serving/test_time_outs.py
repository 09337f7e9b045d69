"""A request that takes longer than gunicorn lets it: its worker is told to stop, and nothing is half done."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import requests

from data_sync.models import Change, Changeset, DataPull
from tests.environments import Environments
from tests.serving.gates import Gate
from tests.serving.person import Page, Person
from tests.serving.processes import Server, eventually

Arrive = Callable[[Server], Person]


def time_out(person: Person, page: Page, words: str, moment: str) -> None:
    """Presses a button; when the request has got as far as this moment, its time is up."""
    with ThreadPoolExecutor() as pool, Gate(moment) as gate:
        answer = pool.submit(person.press, page, words)
        worker = gate.reached()
        os.kill(worker, signal.SIGABRT)  # As gunicorn does to a worker that is silent for longer than --timeout.
        gate.left()
        # gunicorn itself says that there was an error, or nothing: that depends on its version.
        with suppress(requests.ConnectionError):
            assert answer.result().status == 500


def test_a_pull_that_ran_out_of_time_can_be_pulled_again(
    gunicorn: Server, arrive: Arrive, differing: Environments
) -> None:
    person = arrive(gunicorn)
    source = person.visit(f"/admin/data_sync/datasource/{differing.source.pk}/change/")

    time_out(person, source, "Pull now", "storing")

    lost = DataPull.objects.get()
    path = f"/admin/data_sync/datapull/{lost.pk}/change/"
    eventually(lambda: "Nobody is working at this pull." in person.visit(path).words)
    assert not Changeset.objects.exists() and not Change.objects.exists()
    again = person.press(person.visit(path), "Pull again")
    assert "Review changeset" in again.words
    assert Changeset.objects.get().creates == 20
    assert "Nobody was at it any more" in person.visit(path).words


def test_an_apply_that_ran_out_of_time_wrote_nothing_and_can_be_applied_again(
    gunicorn: Server, arrive: Arrive, differing: Environments
) -> None:
    changeset = differing.approved()
    person = arrive(gunicorn)
    question = person.visit(f"/admin/data_sync/changeset/{changeset.pk}/apply/")

    with differing.untouched():
        time_out(person, question, "Apply 20 changes", "products")
        path = f"/admin/data_sync/changeset/{changeset.pk}/result/"
        told = "Nobody is applying this any more, and nothing was written."
        eventually(lambda: told in person.visit(path).words)
    assert "Applied" in person.press(person.visit(path), "Apply again").words
    assert changeset.events.filter(action="applied").count() == 1
    differing.assert_equal()
