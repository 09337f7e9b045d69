"""The exported document is of one moment, and costs a slow reader's moment nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from data_sync.core.errors import NotPermitted
from data_sync.core.states import Decision, RenameChoice
from data_sync.models import Changeset
from data_sync.services import actors, document, review
from data_sync.services.document import changeset_document
from tests.admin import making
from tests.reviewing import HERE, make

pytestmark = pytest.mark.django_db(transaction=True)

ACTOR = actors.command_line()


@pytest.fixture
def changeset() -> Changeset:
    return making.changeset([making.create(1, "naïve 𝄞\nline\u2028separator"), making.create(2)])


def decide(changeset: Changeset) -> None:
    review.decide(changeset.pk, review.Selection(), Decision.ACCEPTED, ACTOR, revision=None)


def test_what_is_decided_while_somebody_reads_is_not_in_it(changeset: Changeset) -> None:
    pieces = changeset_document(changeset, ACTOR)
    read = [next(pieces)]
    decide(changeset)
    found = json.loads("".join([*read, *pieces]))
    assert found["changeset"]["revision"] == 0
    assert [change["decision"] for change in found["changes"]] == ["undecided"] * 2
    assert [event["action"] for event in found["events"]] == ["exported"]


def test_the_head_is_of_the_same_moment_as_the_rest_and_not_of_the_row_given(changeset: Changeset) -> None:
    decide(changeset)
    found = json.loads("".join(changeset_document(changeset, ACTOR)))
    assert found["changeset"]["revision"] == found["events"][0]["detail"]["revision"] == 1


def test_all_of_it_is_read_in_one_snapshot_that_has_ended_when_reading_begins(
    changeset: Changeset, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    snapshot, head, separated = document.snapshot, document._head, document._items

    @contextmanager
    def noted(using: str) -> Iterator[None]:
        happened.append("begins")
        with snapshot(using):
            yield
        happened.append("ends")

    def noted_head(row: Changeset) -> dict[str, Any]:
        happened.append("head")
        return head(row)

    def noted_rows(rows: Any) -> Iterator[str]:
        happened.append("rows")
        return separated(rows)

    monkeypatch.setattr(document, "snapshot", noted)
    monkeypatch.setattr(document, "_head", noted_head)
    monkeypatch.setattr(document, "_items", noted_rows)
    pieces = changeset_document(changeset, ACTOR)
    assert happened == ["begins", "rows", "head", "rows", "ends"]
    assert not connection.in_atomic_block
    if connection.vendor == "sqlite":
        assert not connection.connection.in_transaction
    assert json.loads("".join(pieces))["changes"][0]["after"]["meaning"] == "naïve 𝄞\nline\u2028separator"


def test_what_is_known_and_decided_of_conflicts_and_renames_is_in_it() -> None:
    changeset = make("update?", "rename", "create", omitted={"testapp.tag": ["colour"]}, renames=1, conflicts=1)
    found = exported(changeset)
    assert found["changeset"]["counts"] == {"create": 0, "update": 0, "delete": 0, "rename": 1}
    assert (found["changeset"]["conflicts"], found["changeset"]["omitted"]) == (1, {"testapp.tag": ["colour"]})
    conflict, rename, create = found["changes"]
    assert conflict["conflict"] == {"kind": "changed", "by": "", "at": ""}
    assert (conflict["base_digest"], conflict["base"], conflict["acknowledged_digest"]) == ("b" * 32, None, "")
    assert (rename["natural_key"], rename["previous_key"], rename["rename_choice"]) == (["K2"], ["old 2"], "rename")
    assert (create["rename_choice"], create["kept_fields"], create["warnings"], create["left_scope"]) == (
        None,
        [],
        [],
        False,
    )
    options = {"acknowledge": True, "rename_choice": RenameChoice.REPLACE}
    review.decide(changeset.pk, review.Selection(), Decision.ACCEPTED, ACTOR, revision=None, **options)
    conflict, rename, _ = exported(changeset)["changes"]
    assert (conflict["acknowledged_digest"], rename["rename_choice"]) == (HERE, "replace")


def exported(changeset: Changeset) -> dict[str, Any]:
    return json.loads("".join(changeset_document(changeset, ACTOR)))


def test_the_permission_is_asked_for_at_once(changeset: Changeset) -> None:
    nobody = actors.of_user(get_user_model().objects.create(username="ada"))
    with pytest.raises(NotPermitted, match="export_changeset"):
        changeset_document(changeset, nobody)
