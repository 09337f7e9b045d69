"""What somebody has said of a row counts until somebody says otherwise, whatever its changes are."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from data_sync.core import canonical
from data_sync.core.states import ChangesetState, Operation
from data_sync.models import Change, Changeset, DataSource, Event
from data_sync.services.auto_facts import facts_of
from data_sync.services.content import key_digest
from data_sync.services.held_rows import Held, held_rows

pytestmark = pytest.mark.django_db

TAG, TERM = "testapp.tag", "testapp.term"


@pytest.fixture
def source() -> DataSource:
    return DataSource.objects.create(name="Staging", url="https://staging.example.org")


def stored(source: DataSource, *rows: dict[str, Any], state: str = "pending", **values: Any) -> Changeset:
    """A changeset with changes; somebody has decided in it if there is a decision."""
    changeset = Changeset.objects.create(
        source=source, source_name=source.name, state=state, model_labels=[TAG, TERM], **values
    )
    for number, row in enumerate(rows, start=1):
        Change.objects.create(changeset=changeset, number=number, **row)
    if any("decision" in row or "kept" in row for row in rows):
        said(changeset, "decided")
    return changeset


def said(changeset: Changeset, action: str, actor: str = "anna") -> None:
    number = changeset.events.count() + 1
    Event.objects.create(
        chain=f"changeset:{changeset.pk}",
        changeset=changeset,
        number=number,
        at="2026-01-01T00:00:00Z",
        actor=actor,
        action=action,
        hash="-",
    )


def row(name: str, *, model: str = TAG, previous: str = "", **values: Any) -> dict[str, Any]:
    operation = Operation.RENAME if previous else Operation.UPDATE
    return {
        "model": model,
        "operation": operation.value,
        "key": [name],
        "key_text": name,
        "key_digest": key_digest(canonical.dumps([name])),
        "previous_key": [previous] if previous else None,
        **values,
    }


NO = {"decision": "rejected"}
YES = {"decision": "accepted", "outcome": "applied"}
KEPT = {**YES, "kept": {"fields": ["title"], "waives": [], "holds": False}}


@pytest.mark.parametrize("state", ["pending", "superseded", "applied", "stale", "failed", "reverted"])
def test_a_rejection_holds_the_row_whatever_became_of_its_changeset(source: DataSource, state: str) -> None:
    stored(source, row("a", **NO), row("b"), state=state)
    assert held_rows(stored(source, row("a"), row("b"))) == Held(rejected=1)


def test_a_changeset_that_was_rejected_holds_all_its_rows(source: DataSource) -> None:
    stored(source, row("a"), row("b", decision="accepted"), state="rejected")
    assert held_rows(stored(source, row("a"), row("b"), row("c"))) == Held(rejected=2)


@pytest.mark.parametrize("state", ["pending", "superseded", "applied"])
def test_fields_that_were_kept_hold_the_row(source: DataSource, state: str) -> None:
    stored(source, row("a", **KEPT), row("b", **YES), state=state)
    assert held_rows(stored(source, row("a"), row("b"))) == Held(kept=1)


@pytest.mark.parametrize("word", [NO, KEPT])
def test_what_somebody_accepts_and_applies_later_ends_it(source: DataSource, word: dict[str, Any]) -> None:
    stored(source, row("a", **word), state="applied")
    stored(source, row("a", **YES), state="applied")
    assert held_rows(stored(source, row("a"))) == Held()


@pytest.mark.parametrize(
    ("later", "state", "values"),
    [
        ({"decision": "accepted"}, "pending", {}),
        ({"decision": "accepted"}, "superseded", {}),
        ({**YES, "outcome": "stale"}, "stale", {}),
        ({"decision": "undecided", "outcome": "skipped"}, "applied", {}),
        ({**YES, "decided_revision": 1}, "applied", {"auto_revision": 1}),
    ],
    ids=["accepted only", "superseded", "stale", "skipped", "applied without review"],
)
def test_what_does_not_end_it(source: DataSource, later: dict[str, Any], state: str, values: dict[str, Any]) -> None:
    stored(source, row("a", **NO), state="superseded")
    stored(source, row("a", **later), state=state, **values)
    assert held_rows(stored(source, row("a"))) == Held(rejected=1)


def test_a_later_no_counts_again(source: DataSource) -> None:
    for word, state in ((NO, "pending"), (YES, "applied"), (NO, "pending")):
        stored(source, row("a", **word), state=state)
    assert held_rows(stored(source, row("a"))) == Held(rejected=1)


def test_a_rename_is_of_both_its_keys(source: DataSource) -> None:
    stored(source, row("new", previous="old", **NO))
    for name in ("old", "new"):
        assert held_rows(stored(source, row(name))) == Held(rejected=1)
    assert held_rows(stored(source, row("other", previous="old"))) == Held(rejected=1)
    assert held_rows(stored(source, row("new", previous="other"))) == Held(rejected=1)
    assert held_rows(stored(source, row("other"))) == Held()


def test_a_rename_of_a_row_that_was_rejected_is_held(source: DataSource) -> None:
    stored(source, row("old", **NO))
    assert held_rows(stored(source, row("new", previous="old"))) == Held(rejected=1)


def test_a_rename_that_was_applied_ends_it_for_both_keys(source: DataSource) -> None:
    stored(source, row("old", **NO), row("new", **NO))
    stored(source, row("new", previous="old", **YES), state="applied")
    assert held_rows(stored(source, row("old"), row("new"))) == Held()


def test_other_models_sources_and_later_changesets_say_nothing(source: DataSource) -> None:
    other = DataSource.objects.create(name="Other", url="https://other.example.org")
    stored(other, row("a", **NO))
    stored(source, row("a", model=TERM, **NO))
    changeset = stored(source, row("a"))
    stored(source, row("a", **NO))
    assert held_rows(changeset) == Held()


def test_hundreds_of_changesets_take_no_more_queries_than_three(source: DataSource) -> None:
    """Nobody looks back over a window: an objection counts however many pulls came since."""
    stored(source, row("a", **NO), state="superseded")
    said(stored(source, row("b"), state="superseded"), "commented")
    said(stored(source, row("b"), state="superseded"), "commented")
    now = stored(source, *(row(f"r{number}") for number in range(5)), row("a"))
    with CaptureQueriesContext(connection) as few:
        facts = facts_of(now, None)
    assert (facts.rejected_before, len(facts.others_at_it)) == (1, 3)
    many(source, now, 300)
    later = stored(source, *(row(f"r{number}") for number in range(5)), row("a"))
    with CaptureQueriesContext(connection) as much:
        facts = facts_of(later, None)
    assert len(much) == len(few)
    assert (facts.rejected_before, len(facts.others_at_it)) == (1, 3)


def many(source: DataSource, like: Changeset, count: int) -> None:
    """Changesets of the same rows, in each of which something was said by somebody or applied without review."""
    made = [
        Changeset(source=source, source_name=source.name, state="superseded", model_labels=[TAG, TERM])
        for _ in range(count)
    ]
    first = Changeset.objects.order_by("pk").last()
    assert first is not None
    Changeset.objects.bulk_create(made)
    changesets = list(Changeset.objects.filter(pk__gt=first.pk))
    rows = list(like.changes.values())
    Change.objects.bulk_create(
        Change(**{**one, "id": None, "changeset_id": changeset.pk}) for changeset in changesets for one in rows
    )
    Event.objects.bulk_create(
        Event(
            chain=f"changeset:{changeset.pk}",
            changeset=changeset,
            number=number,
            at="2026-01-01T00:00:00Z",
            actor="auto-apply for anna",
            action=action,
            hash="-",
        )
        for changeset in changesets
        for number, action in enumerate(("pulled", "auto_approved", "approved", "applied"), start=1)
    )


@pytest.mark.parametrize("state", ["applied", "reverted", "rejected"])
def test_what_was_said_has_its_end_with_a_finished_changeset_of_the_models(source: DataSource, state: str) -> None:
    objection = stored(source, row("a"), state="superseded")
    said(objection, "commented")
    stored(source, row("b"), state="superseded")
    assert facts_of(stored(source, row("b")), None).others_at_it == (objection.pk,)
    Changeset.objects.create(source=source, source_name="Staging", state=state, model_labels=[TERM])
    assert facts_of(stored(source, row("b")), None).others_at_it == (objection.pk,)
    Changeset.objects.create(source=source, source_name="Staging", state=state, model_labels=[TAG])
    assert facts_of(stored(source, row("b")), None).others_at_it == ()


def test_what_was_approved_without_review_is_no_opinion(source: DataSource) -> None:
    changeset = stored(source, row("a"), state=ChangesetState.FAILED.value)
    for action in ("auto_approved", "approved"):
        said(changeset, action, "auto-apply for anna")
    assert facts_of(stored(source, row("a")), None).others_at_it == ()
    said(changeset, "approved", "ben")
    assert facts_of(stored(source, row("a")), None).others_at_it == (changeset.pk,)
