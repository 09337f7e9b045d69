"""The admin as people have it: behind gunicorn or uvicorn, with `ATOMIC_REQUESTS`, by its own forms."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from django.db import connection

from data_sync.models import Changeset
from tests.environments import Environments
from tests.serving.gates import Gate
from tests.serving.person import Person
from tests.serving.processes import Server, eventually

Arrive = Callable[[Server], Person]


def test_somebody_pulls_reviews_and_applies(server: Server, arrive: Arrive, differing: Environments) -> None:
    person = arrive(server)
    source = person.visit(f"/admin/data_sync/datasource/{differing.source.pk}/change/")

    pulled = person.press(source, "Pull now")
    changeset = Changeset.objects.get()
    review = person.follow(pulled, f"Review changeset {changeset.pk}")
    accepted = person.press(review, "Accept 20 undecided")
    assert "20 changes accepted." in accepted.words
    question = person.visit(f"/admin/data_sync/changeset/{changeset.pk}/apply/")
    result = person.press(question, "Approve and apply 20 changes")

    assert result.url.endswith(f"/changeset/{changeset.pk}/result/") and "by mira" in result.words, result.words
    assert [event.action for event in changeset.events.order_by("pk")][-1] == "applied"
    differing.assert_equal()


def test_others_are_answered_while_an_apply_is_in_its_transaction(
    server: Server, arrive: Arrive, differing: Environments
) -> None:
    """On SQLite, which lets nobody else write meanwhile, they hear that it goes on; elsewhere also how far it is."""
    pk = differing.approved().pk
    status = f"/admin/data_sync/changeset/{pk}/status/"
    applier = arrive(server)
    other = Person(server.url)
    other.log_in()
    question = applier.visit(f"/admin/data_sync/changeset/{pk}/apply/")

    with ThreadPoolExecutor() as pool, Gate("tags") as tags, Gate("products") as products:
        answer = pool.submit(applier.press, question, "Apply 20 changes")
        tags.reached()
        assert other.see(status)["stage"] == "applying"
        if connection.vendor != "sqlite":
            expected = "Writing, all of it or nothing: 0 of 20"
            eventually(lambda: other.see(status)["words"] == expected)
        tags.open()
        products.reached()
        if connection.vendor != "sqlite":
            eventually(lambda: other.see(status)["value"] == 10)
        assert "Applied" not in other.visit(f"/admin/data_sync/changeset/{pk}/result/").words
        assert not Changeset.objects.filter(state="applied").exists(), "nobody sees half of it"
        products.open()
        assert "Applied" in answer.result().words
    assert (other.see(status)["stage"], other.see(status)["words"]) == ("applied", "applied")
    differing.assert_equal()


def test_of_two_people_who_apply_at_once_one_does_and_the_other_is_told(
    server: Server, arrive: Arrive, differing: Environments
) -> None:
    changeset = differing.approved()
    early = arrive(server)
    late = Person(server.url)
    late.log_in()
    path = f"/admin/data_sync/changeset/{changeset.pk}/apply/"
    questions = [person.visit(path) for person in (early, late)]

    with ThreadPoolExecutor() as pool, Gate("asked") as asked, Gate("claimed") as claimed:
        told = pool.submit(late.press, questions[1], "Apply 20 changes")
        asked.reached()
        done = pool.submit(early.press, questions[0], "Apply 20 changes")
        claimed.reached()
        asked.open()
        assert told.result().status == 200
        assert f"Changeset {changeset.pk} is being applied by another worker." in told.result().words
        claimed.open()
        assert "Applied" in done.result().words
    assert changeset.events.filter(action="applied").count() == 1
