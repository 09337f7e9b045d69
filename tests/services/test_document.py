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
from data_sync.core.states import Decision
from data_sync.models import Changeset
from data_sync.services import actors, document, review
from data_sync.services.document import changeset_document
from tests.admin import making

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
    assert found["events"] == []


def test_the_head_is_of_the_same_moment_as_the_rest_and_not_of_the_row_given(changeset: Changeset) -> None:
    decide(changeset)
    found = json.loads("".join(changeset_document(changeset, ACTOR)))
    assert found["changeset"]["revision"] == found["events"][0]["detail"]["revision"] == 1


def test_all_of_it_is_read_in_one_snapshot_that_has_ended_when_reading_begins(
    changeset: Changeset, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    snapshot, head, separated = document.snapshot, document._head, document._separated

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
    monkeypatch.setattr(document, "_separated", noted_rows)
    pieces = changeset_document(changeset, ACTOR)
    assert happened == ["begins", "rows", "head", "rows", "ends"]
    assert not connection.in_atomic_block
    if connection.vendor == "sqlite":
        assert not connection.connection.in_transaction
    assert json.loads("".join(pieces))["changes"][0]["after"]["meaning"] == "naïve 𝄞\nline\u2028separator"


def test_the_permission_is_asked_for_at_once(changeset: Changeset) -> None:
    nobody = actors.of_user(get_user_model().objects.create(username="ada"))
    with pytest.raises(NotPermitted, match="export_changeset"):
        changeset_document(changeset, nobody)
