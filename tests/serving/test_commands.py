"""Two processes on one database: what one says while the other is at the same thing."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from data_sync.models import Change, Changeset, DataPull
from tests.environments import Environments
from tests.serving.gates import Gate
from tests.serving.person import Person
from tests.serving.processes import Command, Server, commands
from tests.testapp.models import Tag, Term

Arrive = Callable[[Server], Person]


def told_apart(both: list[Command], pid: int) -> tuple[Command, Command]:
    """The one with this process id, and the other."""
    first, second = sorted(both, key=lambda command: command.pid != pid)
    return first, second


def test_of_two_pulls_at_once_the_second_is_refused_with_the_number_of_the_first(differing: Environments) -> None:
    pull = ("pull", "Staging", "--json")
    with Gate("reading") as gate, commands(pull, pull) as both:
        first, second = told_apart(both, gate.reached())
        number = DataPull.objects.get().pk
        assert second.end() == 1
        sentence = "Pull {} of Staging is {}; wait for it, or cancel it (data_sync cancel {})."
        possible = [sentence.format(number, state, number) for state in ("queued", "reading")]
        assert second.document["error"] in possible
        gate.open()
        assert first.end() == 2
        assert first.document["pull"] == number
    assert (DataPull.objects.count(), Changeset.objects.count()) == (1, 1)


@pytest.mark.parametrize("moment", ["claimed", "products"])
def test_of_two_applies_at_once_one_applies_and_the_other_says_so(differing: Environments, moment: str) -> None:
    changeset = differing.approved()
    apply = ("apply", str(changeset.pk), "--json")
    with Gate(moment) as gate, commands(apply, apply) as both:
        first, second = told_apart(both, gate.reached())
        if moment == "products" and connection.vendor != "postgresql":
            # There, who wants to write the row waits for the transaction.
            gate.open()
            assert second.end() == 1
            assert "applied" in second.document["error"] and "locked" not in second.document["error"]
        else:
            assert second.end() == 1
            assert f"Changeset {changeset.pk} is being applied by another worker." in second.document["error"]
            gate.open()
        assert first.end() == 0
        assert first.document == {"changeset": changeset.pk, "state": "applied", "outcomes": {"applied": 20}}
    assert changeset.events.filter(action="applied").count() == 1
    differing.assert_equal()


def test_who_is_tired_of_waiting_for_sqlite_is_told_to_try_again(
    differing: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("this database lets several write")
    changeset = differing.approved()
    with Gate("products") as gate, commands(("apply", str(changeset.pk))) as (first,):
        gate.reached()
        monkeypatch.setitem(os.environ, "DATA_SYNC_TEST_PATIENCE", "0.1")
        with commands(("apply", str(changeset.pk)), ("pull", "Staging")) as (apply, pull):
            assert (apply.end(), pull.end()) == (1, 1)
            assert "is being applied by another worker" in apply.errors, "which it hears without waiting"
            assert "The database is busy" in pull.errors and "Try again" in pull.errors
            assert "Traceback" not in apply.errors + pull.errors and "migrate" not in pull.errors
        gate.open()
        assert first.end() == 0


def test_while_a_command_pulls_people_decide_and_keep_what_they_decided(
    gunicorn: Server, arrive: Arrive, differing: Environments
) -> None:
    older = differing.changeset()
    Tag.objects.using("source").create(name="one more")
    person = arrive(gunicorn)
    with Gate("reading") as gate, commands(("pull", "Staging", "--json")) as (pull,):
        gate.reached()
        review = person.visit(f"/admin/data_sync/changeset/{older.pk}/change/")
        assert "20 changes accepted." in person.press(review, "Accept 20 undecided").words
        gate.open()
        assert pull.end() == 2
    later = Changeset.objects.get(pk=pull.document["changeset"])
    older.refresh_from_db()
    assert (older.state, later.changes.filter(decision="accepted").count()) == ("superseded", 20)


def test_while_a_command_applies_people_read_and_decide(
    gunicorn: Server, arrive: Arrive, differing: Environments
) -> None:
    differing.add(Term, word="fire", meaning="hot", only="source")
    applied = differing.approved("testapp.tag", "testapp.product")
    other = differing.changeset("testapp.term")
    person = arrive(gunicorn)
    with ThreadPoolExecutor() as pool, Gate("products") as gate, commands(("apply", str(applied.pk))) as (apply,):
        gate.reached()
        assert "Being applied right now" in person.visit(f"/admin/data_sync/changeset/{applied.pk}/change/").words
        review = person.visit(f"/admin/data_sync/changeset/{other.pk}/change/")
        answer = pool.submit(person.press, review, "Accept 1 undecided")
        if connection.vendor != "sqlite":  # There, who wants to write waits for the transaction.
            answer.result()
        gate.open()
        assert "1 change accepted." in answer.result().words
        assert apply.end() == 0
    assert Change.objects.get(changeset=other).decision == "accepted"
