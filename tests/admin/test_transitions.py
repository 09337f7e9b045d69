"""Approving, applying, withdrawing, rejecting and overriding over HTTP."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from data_sync import tasks
from data_sync.models import Changeset, ExportKey
from data_sync.services import approval, audit, review
from data_sync.services.actors import command_line
from tests.leasing import beat
from tests.testapp.models import Term

from . import making
from .making import changeset, create, update
from .test_review import text

ALL = ("view_changeset", "approve_changeset", "apply_changeset", "add_term", "change_term", "delete_term")


@pytest.fixture
def boss(client: Client, db: Any) -> Client:
    client.force_login(making.user("mira", *ALL))
    return client


def url(stored: Changeset, name: str) -> str:
    return reverse(f"admin:data_sync_changeset_{name}", args=(stored.pk,))


def test_the_confirmation_says_what_happens_and_what_stays_out(boss):
    cascade = {"model": "auth.group", "pk": "1", "label": "editors", "effect": "delete", "column": "x"}
    pks = {number: Term.objects.create(word=f"word-{number}", meaning="old").pk for number in (2, 5)}
    stored = changeset(
        [
            create(1, decision="accepted"),
            update(2, decision="accepted", local_pk=pks[2]),
            update(3, decision="rejected"),
            update(4),
            making.delete(5, decision="accepted", cascades=[cascade], local_pk=pks[5]),
        ]
    )

    shown = text(boss.get(url(stored, "confirm")))

    assert "3 accepted changes will be written" in shown
    assert "1 rejected" in shown and "1 undecided: skipped, too" in shown
    assert "Also deletes 1 row of group: editors" in shown
    assert "Approve and apply 3 changes" in shown and "Approve only" in shown


def test_unmet_requirements_name_both_sides_and_offer_no_button(boss):
    stored = changeset([create(1, decision="rejected"), create(2, decision="accepted", requires=[1])])

    page = boss.get(url(stored, "confirm"))

    assert "#1 Added word-1 ⊘ rejected is needed by 1 accepted change: #2 word-2" in text(page)
    assert f"{url(stored, 'change')}?number=1" in page.content.decode()
    assert b'name="do"' not in page.content


@pytest.mark.parametrize(
    ("resolve", "words", "accepted"),
    [("accepted", "1 change accepted.", [*range(1, 9)]), ("rejected", "7 changes rejected.", [8])],
)
def test_unmet_requirements_are_listed_whole_and_resolved_at_once(boss, resolve, words, accepted):
    needing = [create(number, requires=[1], decision="accepted") for number in range(2, 9)]
    needing[-1].requires = []
    stored = changeset([create(1, decision="rejected"), *needing, create(9, requires=[1], decision="accepted")])

    page = boss.get(url(stored, "confirm"))
    answer = boss.post(url(stored, "resolve"), {"resolve": resolve, "revision": "0"}, follow=True)
    again = boss.post(url(stored, "resolve"), {"resolve": resolve, "revision": "0"})

    assert "and 2 more #7 , #9" in text(page)
    assert "Accept the 1 that is needed" in text(page) and "Reject the 7 that need them" in text(page)
    assert words in text(answer) and "Approve and apply" in text(answer)
    found = stored.changes.filter(decision="accepted", number__lt=9).order_by("number")
    assert list(found.values_list("number", flat=True)) == accepted
    assert again.status_code == 409


def test_resolving_needs_its_permission_and_a_decision(client, boss):
    stored = changeset([create(1), create(2, requires=[1], decision="accepted")])
    assert boss.post(url(stored, "resolve"), {"resolve": "undecided", "revision": "0"}).status_code == 404
    client.force_login(making.user("guest", "view_changeset"))

    page = client.get(url(stored, "confirm"))
    answer = client.post(url(stored, "resolve"), {"resolve": "accepted", "revision": "0"})

    assert "that is needed" not in text(page)
    assert (answer.status_code, stored.changes.get(number=1).decision) == (403, "undecided")


@pytest.mark.parametrize("state", ["stale", "failed"])
def test_what_was_not_written_can_be_pulled_again(client, db, state):
    client.force_login(making.user("admin", "*"))
    source = making.source()
    changes = [create(1, decision="accepted", outcome=state, outcome_reason="It moved. Pull again."), create(2)]
    stored = changeset(changes, state=state, state_reason="It moved.", source=source)

    page = client.get(url(stored, "result"))

    content = page.content.decode()
    assert reverse("admin:data_sync_datasource_pull", args=(source.pk,)) in content
    assert reverse("admin:data_sync_datasource_change", args=(source.pk,)) in content
    assert "Your decisions are kept for what the next pull finds just as it was" in text(page)
    assert text(page).count("Pull again, and review") == (state == "stale")
    assert "All 1 accepted" in text(page)

    client.force_login(making.user("guest", "view_changeset"))
    content = client.get(url(stored, "result")).content.decode()
    assert "datasource" not in content


def test_nothing_accepted_and_nothing_rejected_are_not_said_to_be(boss):
    shown = text(boss.get(url(changeset([create(1), create(2)]), "confirm")))

    assert "Nothing is accepted yet" in shown and "will be written" not in shown
    assert "2 undecided: skipped" in shown and "skipped, too" not in shown


def test_a_superseded_changeset_gives_its_reason_once(boss):
    shown = text(boss.get(url(changeset([create(1)], state="superseded", state_reason="Superseded by 7."), "change")))

    assert "Superseded by 7. · This page is read-only." in shown and "by a later pull" not in shown


def test_a_superseded_changeset_leads_to_the_one_that_took_its_place(boss):
    stored = changeset([create(1)], state="superseded", state_reason="Superseded by changeset 7.")
    audit.record(stored.pk, command_line(), "superseded", {"by": 7, "pull": 1})

    page = boss.get(url(stored, "change"))

    assert text(page).count("Superseded by changeset 7") == 1
    assert reverse("admin:data_sync_changeset_change", args=(7,)) in page.content.decode()


def test_an_applied_changeset_warns_of_nothing(boss):
    cascade = {"model": "auth.group", "pk": "1", "label": "editors", "effect": "delete", "column": "x"}
    stored = [changeset([making.delete(1, cascades=[cascade])], state=state) for state in ("pending", "applied")]

    assert ["⚠" in text(boss.get(url(one, "change"))) for one in stored] == [True, False]


def test_times_name_their_zone(client, db, settings):
    settings.TIME_ZONE = "Europe/Prague"
    client.force_login(making.user("admin", "*"))
    stored = changeset([create(1)])
    at = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    Changeset.objects.update(created_at=at)
    source = making.source()
    making.pull(source=source, finished_at=at)
    ExportKey.objects.create(name="Production", prefix="ds_x", secret_hash="x", expires_at=at)

    assert "July 2, 2026, 12:30 a.m. CEST by" in text(client.get(url(stored, "change")))
    for name in ("changeset", "datapull", "datasource", "exportkey"):
        assert re.search(r"[ap]\.m\. CES?T", text(client.get(reverse(f"admin:data_sync_{name}_changelist")))), name


@pytest.mark.django_db(transaction=True)
def test_approve_and_apply_writes_the_accepted_changes_and_shows_each_outcome(boss):
    stored = changeset([create(1, "a word", decision="accepted"), create(2)])

    answer = boss.post(url(stored, "approve"), {"do": "both", "revision": "0"}, follow=True)

    stored.refresh_from_db()
    assert (stored.state, stored.apply_actor) == ("applied", "mira"), stored.state_reason
    assert list(Term.objects.values_list("word", "meaning")) == [("word-1", "a word")]
    assert "applied 1" in text(answer) and "skipped 1" in text(answer)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_is_no_longer_what_was_reviewed_stops_it_and_is_named(boss):
    row = Term.objects.create(word="word-1", meaning="old")
    stored = changeset([update(1, decision="accepted", local_pk=row.pk)])
    boss.post(url(stored, "approve"), {"do": "approve", "revision": "0"})
    Term.objects.update(meaning="changed meanwhile")

    answer = boss.post(url(stored, "approve"), {"do": "apply", "revision": "0"}, follow=True)

    stored.refresh_from_db()
    assert stored.state == "stale"
    assert Term.objects.get().meaning == "changed meanwhile"
    assert "Nothing was written" in text(answer) and "Pull again, and review what differs now." in text(answer)


def test_approve_only_waits_for_an_apply(boss):
    stored = changeset([create(1, decision="accepted")])

    answer = boss.post(url(stored, "approve"), {"do": "approve", "revision": "0"}, follow=True)

    stored.refresh_from_db()
    assert stored.state == "approved"
    assert "Apply 1 change" in text(answer) and "Withdraw the approval" in text(answer)
    assert not Term.objects.exists()


def test_who_may_approve_but_not_apply_is_offered_and_allowed_the_first_only(client, db):
    client.force_login(making.user("mira", "view_changeset", "approve_changeset"))
    stored = changeset([create(1, decision="accepted")])

    page = client.get(url(stored, "confirm"))
    answer = client.post(url(stored, "approve"), {"do": "both", "revision": "0"})

    stored.refresh_from_db()
    assert b'value="both"' not in page.content and b'value="approve"' in page.content
    assert (answer.status_code, stored.state) == (403, "pending")


def test_applying_needs_the_models_own_permission_and_approves_nothing_without(client, db):
    client.force_login(making.user("mira", "view_changeset", "approve_changeset", "apply_changeset"))
    stored = changeset([create(1, decision="accepted")])

    answer = client.post(url(stored, "approve"), {"do": "both", "revision": "0"})

    stored.refresh_from_db()
    assert (answer.status_code, stored.state) == (403, "pending")


def test_decisions_changed_meanwhile_stop_the_approval(boss):
    stored = changeset([create(1, decision="accepted")], revision=2)

    answer = boss.post(url(stored, "approve"), {"do": "both", "revision": "1"})

    stored.refresh_from_db()
    assert (answer.status_code, stored.state) == (409, "pending")


def test_an_apply_of_another_approval_than_the_one_shown_is_stopped(boss):
    stored = changeset([create(1, decision="accepted")], state="approved", revision=5, approved_revision=5)

    answer = boss.post(url(stored, "approve"), {"do": "apply", "revision": "4"})

    stored.refresh_from_db()
    assert (answer.status_code, stored.apply_requested_at) == (409, None)


def test_after_a_failure_the_same_decisions_can_be_approved_again(boss):
    stored = changeset([create(1, decision="accepted")], state="failed", state_reason="The disk was full.")

    page = boss.get(url(stored, "confirm"))
    boss.post(url(stored, "approve"), {"do": "approve", "revision": "0"})

    stored.refresh_from_db()
    assert "The disk was full." in text(page) and "Approve and apply 1 change" in text(page)
    assert stored.state == "approved"


def test_nothing_accepted_is_told_and_not_approved(boss):
    stored = changeset([create(1)])

    answer = boss.post(url(stored, "approve"), {"do": "approve", "revision": "0"}, follow=True)

    assert "accept some, or reject it" in text(answer)
    stored.refresh_from_db()
    assert stored.state == "pending"


def test_a_decision_after_the_approval_takes_it_back(boss):
    stored = changeset([create(1, decision="accepted")])
    boss.post(url(stored, "approve"), {"do": "approve", "revision": "0"})

    boss.post(url(stored, "decide"), {"number": "1", "decide": "rejected", "revision": "0"})

    stored.refresh_from_db()
    assert (stored.state, stored.approval_seal) == ("pending", "")


def test_an_approval_can_be_withdrawn(boss):
    stored = changeset([create(1, decision="accepted")])
    boss.post(url(stored, "approve"), {"do": "approve", "revision": "0"})

    boss.post(url(stored, "withdraw"))

    stored.refresh_from_db()
    assert stored.state == "pending"


def test_a_changeset_is_rejected_with_a_reason_that_stays_readable(boss):
    stored = changeset([create(1)])

    answer = boss.post(url(stored, "reject"), {"reason": "Wrong week."}, follow=True)

    assert "Rejected as a whole by mira ·" in text(answer) and "Wrong week." in text(answer)
    assert "Wrong week." in text(boss.get(url(stored, "history")))


def test_a_blocked_changeset_says_why_and_is_let_through_with_a_reason_only(client, db):
    client.force_login(making.user("mira", "view_changeset", "override_changeset_guard"))
    guard = {"code": "empty_side", "model": "testapp.term", "message": "The source has no rows."}
    stored = changeset([making.delete(1)], state="blocked", guards=[guard])

    page = client.get(url(stored, "change"))
    without = client.post(url(stored, "override"), {"reason": " ", "revision": "0"})
    stored.refresh_from_db()
    state_without = stored.state
    client.post(url(stored, "override"), {"reason": "It was emptied on purpose.", "revision": "0"})
    stored.refresh_from_db()

    assert "The source has no rows." in text(page)
    assert (without.status_code, state_without, stored.state) == (200, "blocked", "pending")


@pytest.mark.parametrize("name", ["approve", "withdraw", "reject", "override"])
def test_each_transition_needs_its_permission(client, db, name):
    client.force_login(making.user("guest", "view_changeset"))
    stored = changeset([create(1, decision="accepted")], state="blocked" if name == "override" else "pending")

    answer = client.post(url(stored, name), {"do": "approve", "revision": "0", "reason": "x"})

    assert answer.status_code == 403


def test_views_that_move_a_changeset_stay_outside_of_atomic_requests(boss):
    from django.urls import resolve

    stored = changeset([create(1)])
    for name in ("decide", "approve", "withdraw", "reject", "override", "confirm", "change"):
        view = resolve(url(stored, name)).func
        assert "default" in view._non_atomic_requests, name


def test_the_export_is_one_json_document_for_those_who_may(boss, client):
    stored = changeset([create(1)])
    denied = boss.post(url(stored, "export"))
    client.force_login(making.user("auditor", "view_changeset", "export_changeset"))

    answer = client.post(url(stored, "export"))

    assert denied.status_code == 403
    assert answer.headers["Content-Disposition"] == f'attachment; filename="changeset-{stored.pk}.json"'
    assert b"".join(answer).startswith(b'{"changes":[')


def test_the_export_needs_its_permission_before_the_answer_begins(client, db):
    client.force_login(making.user("guest", "view_changeset"))

    assert client.post(url(changeset([create(1)]), "export")).status_code == 403


# Applying again


def applying(lease: timedelta) -> Changeset:
    """A changeset that another worker has claimed."""
    stored = changeset([create(1, "a word", decision="accepted")])
    approval.approve(stored.pk, command_line(), revision=0)
    Changeset.objects.update(state="applying", apply_requested_at=timezone.now(), attempt=1)
    beat(stored, lease.total_seconds())
    return stored


@pytest.mark.django_db(transaction=True)
def test_an_apply_whose_worker_is_gone_can_be_resumed(boss):
    stored = applying(timedelta(seconds=-1))

    page = boss.get(url(stored, "result"))
    status = boss.get(url(stored, "status")).json()
    answer = boss.post(url(stored, "approve"), {"do": "apply", "revision": "0"}, follow=True)

    stored.refresh_from_db()
    assert "Apply again" in text(page) and "<progress" not in page.content.decode()
    assert status["stage"] == "abandoned"
    assert stored.state == "applied" and Term.objects.get().meaning == "a word", text(answer)


def test_an_apply_that_somebody_is_at_is_followed_and_not_resumed(boss):
    stored = applying(timedelta(minutes=1))

    page = boss.get(url(stored, "result"))
    answer = boss.post(url(stored, "approve"), {"do": "apply", "revision": "0"}, follow=True)

    stored.refresh_from_db()
    assert "Apply again" not in text(page) and "data-ds-poll" in page.content.decode()
    assert "being applied by another worker" in text(answer)
    assert (stored.state, stored.attempt) == ("applying", 1)


def test_resuming_is_offered_to_those_who_may_apply(client, db):
    client.force_login(making.user("guest", "view_changeset"))

    shown = text(client.get(url(applying(timedelta(seconds=-1)), "result")))

    assert "Nobody is applying this any more" in shown and "Apply again" not in shown


# A database that is locked


def locked(*_: Any, **__: Any) -> None:
    raise OperationalError("database is locked")


def test_a_locked_database_is_told_where_a_step_was_tried(boss, monkeypatch):
    monkeypatch.setattr(approval, "approve", locked)
    stored = changeset([create(1, decision="accepted")])

    answer = boss.post(url(stored, "approve"), {"do": "approve", "revision": "0"}, follow=True)

    assert answer.status_code == 200
    assert "The database is busy; nothing was changed. Try again." in text(answer)


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_locked_when_the_work_begins_leads_to_the_result(boss, monkeypatch):
    monkeypatch.setattr(tasks, "run_apply", locked)
    stored = changeset([create(1, decision="accepted")])

    answer = boss.post(url(stored, "approve"), {"do": "both", "revision": "0"}, follow=True)

    assert (answer.status_code, answer.redirect_chain[0][0]) == (200, url(stored, "result"))
    assert "The database is busy" in text(answer)


def test_a_locked_database_is_an_answer_of_503_for_pages_and_scripts(boss, monkeypatch):
    monkeypatch.setattr(review, "decide", locked)
    stored = changeset([create(1)])
    given = {"number": "1", "decide": "accepted", "revision": "0"}

    page = boss.post(url(stored, "decide"), given)
    script = boss.post(url(stored, "decide"), given, headers={"Accept": "application/json"})

    assert (page.status_code, script.status_code) == (503, 503)
    assert "The database is busy; nothing was changed. Try again." in text(page)
    assert "The database is busy" in json.loads(script.content)["error"]


def test_a_database_that_gives_nothing_at_all_is_told_in_plain_text(boss, monkeypatch):
    from django.contrib import admin

    monkeypatch.setattr(review, "decide", locked)
    monkeypatch.setattr(admin.site, "each_context", locked)

    answer = boss.post(url(changeset([create(1)]), "decide"), {"number": "1", "decide": "accepted", "revision": "0"})

    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "text/plain; charset=utf-8")


def test_a_locked_database_leaves_other_errors_as_they_are(boss, monkeypatch):
    def mistake(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(review, "decide", mistake)
    with pytest.raises(ZeroDivisionError):
        boss.post(url(changeset([create(1)]), "decide"), {"number": "1", "decide": "accepted", "revision": "0"})


@pytest.mark.django_db(transaction=True)
def test_what_nobody_foresaw_while_it_is_applied_is_a_result_and_no_server_error(boss, monkeypatch, caplog):
    from data_sync.services import apply

    def mistake(*_: Any) -> None:
        raise ZeroDivisionError("pass-word")

    monkeypatch.setattr(apply, "write_rows", mistake)
    stored = changeset([create(1, decision="accepted")])

    answer = boss.post(url(stored, "approve"), {"do": "both", "revision": "0"}, follow=True)

    stored.refresh_from_db()
    assert (answer.status_code, stored.state) == (200, "failed")
    assert "Unexpected ZeroDivisionError; " in text(answer) and "under the reference" in text(answer)
    told = text(answer) + str(stored.events.values_list("detail")) + stored.state_reason
    assert "pass-word" not in told, "nor in the log, as there are models that redact"
    assert stored.state_reason.rstrip(".").rpartition(" ")[2] in caplog.text


# Many deletes


def many_deletes() -> Changeset:
    """Four rows go: two deletes, of which one takes two more along."""
    row = {"model": "auth.group", "label": "editors", "effect": "delete", "column": "x"}
    cascades = [row | {"pk": "1"}, row | {"pk": "2"}, row | {"pk": "3", "effect": "null"}]
    return changeset([making.delete(1, decision="accepted", cascades=cascades), making.delete(2, decision="accepted")])


@pytest.mark.parametrize("do", ["approve", "both"])
@pytest.mark.parametrize("typed", [None, "", "Changeset", "Changeset 0"])
def test_many_deletes_take_the_changesets_name(boss, settings, do, typed):
    settings.DATA_SYNC_CONFIRM_DELETES = 3
    stored = many_deletes()
    name = f"Changeset {stored.pk}"
    assert f"4 rows are deleted. To confirm that, type {name} :" in text(boss.get(url(stored, "confirm")))

    given = {"revision": "0", "do": do} | ({} if typed is None else {"name": typed})
    page = boss.post(url(stored, "approve"), given, follow=True)

    assert page.redirect_chain == [(url(stored, "confirm"), 302)]
    assert f"Nothing was done: to have these rows deleted, type “{name}”." in text(page)
    stored.refresh_from_db()
    assert stored.state == "pending"
    boss.post(url(stored, "approve"), {"revision": "0", "do": "approve", "name": f"  changeset  {stored.pk} "})
    stored.refresh_from_db()
    assert stored.state == "approved"
    assert boss.post(url(stored, "approve"), {"revision": "0", "do": "apply"}).url == url(stored, "confirm")
    stored.refresh_from_db()
    assert stored.apply_requested_at is None


def test_few_deletes_take_a_click(boss, settings):
    settings.DATA_SYNC_CONFIRM_DELETES = 4
    stored = many_deletes()
    assert b'name="name"' not in boss.get(url(stored, "confirm")).content

    boss.post(url(stored, "approve"), {"revision": "0", "do": "approve"})

    stored.refresh_from_db()
    assert stored.state == "approved"
