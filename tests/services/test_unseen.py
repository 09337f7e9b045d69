"""Nothing is written or deleted that the reviewer did not see, wherever it hides and whenever it comes."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import DatabaseError, connection, models
from django.db.models.signals import pre_delete

from data_sync.core.states import ChangesetState, Outcome
from data_sync.models import Changeset
from tests.environments import Environments
from tests.testapp.models import Comment, Draft, Footnote, Page, Person, Product, Slot, Vote


def refused_as_stale(environments: Environments, changeset: Changeset, reason: str) -> None:
    with environments.untouched():
        stale = environments.apply(changeset)
    assert stale.state == ChangesetState.STALE
    assert reason in stale.state_reason


def test_a_row_hidden_by_the_base_manager_is_seen(environments: Environments) -> None:
    environments.add(Draft, slug="x", deleted=True, only="default")
    environments.add(Draft, slug="x", title="from the source", only="source")
    change = environments.changeset().changes.get()
    assert change.operation == "update"
    assert change.before["deleted"] is True


def test_a_delete_of_a_row_that_has_left_the_scope_is_stale(environments: Environments) -> None:
    environments.add(Page, slug="gone", only="default")
    environments.add(Page, slug="other", title=("new", "old"))
    changeset = environments.approved()
    models.QuerySet(Page).filter(slug="gone").update(published=False)
    refused_as_stale(environments, changeset, "has left the registration's queryset")


def test_a_twin_of_an_updated_row_is_stale(environments: Environments) -> None:
    environments.add(Draft, slug="x", title=("new", "old"))
    changeset = environments.approved()
    environments.add(Draft, slug="x", title="twin", only="default")
    refused_as_stale(environments, changeset, "another row")


def test_a_deleted_row_that_was_added_again_is_stale(environments: Environments) -> None:
    environments.add(Product, sku="stays", name="same")
    environments.add(Product, sku="again", name="old", only="default")
    changeset = environments.approved()
    Product.objects.filter(sku="again").delete()
    Product.objects.create(sku="takes the freed key")
    environments.add(Product, sku="again", name="old", only="default")
    refused_as_stale(environments, changeset, "another row")


def test_another_primary_key_in_the_stored_change_is_refused(environments: Environments) -> None:
    environments.add(Product, sku="a", name=("new", "old"))
    _, other = environments.add(Product, sku="b", name="same")
    changeset = environments.approved()
    changeset.changes.update(local_pk=other.pk)
    refused_as_stale(environments, changeset, "another row")


def test_rows_that_are_never_deleted_forbid_the_delete_of_what_they_hang_on(environments: Environments) -> None:
    environments.add(Page, slug="stays")
    _, page = environments.add(Page, slug="gone", only="default")
    environments.add(Footnote, name="note", page=page, only="default")
    change = environments.changeset("testapp.page").changes.get()
    assert [problem["code"] for problem in change.problems] == ["protected"]
    assert 'deletes="never"' in change.problems[0]["message"]


def test_the_halves_of_a_symmetrical_link_require_each_other(environments: Environments) -> None:
    ann, _ = environments.add(Person, name="ann")
    bob, _ = environments.add(Person, name="bob")
    ann.friends.add(bob)
    changeset = environments.changeset()
    assert dict(changeset.changes.values_list("number", "requires")) == {1: [2], 2: [1]}
    environments.accept_all(changeset)
    environments.apply(environments.approve(changeset))
    environments.assert_equal()


def test_rows_that_meet_only_when_written_together_are_written_one_by_one(environments: Environments) -> None:
    """In the order of primary keys, b takes its place before a has left it."""
    environments.add(Slot, name="b", place=(2, 1))
    environments.add(Slot, name="a", place=(3, 2))
    environments.sync()
    environments.assert_equal()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")
def test_nothing_can_be_added_below_what_a_delete_takes_along(environments: Environments) -> None:
    environments.add(Product, sku="stays", name="same")
    _, product = environments.add(Product, sku="gone", only="default")
    comment = Comment.objects.create(product=product, text="shown")
    changeset = environments.approved()
    refused: list[bool] = []

    def vote() -> None:
        with connection.cursor() as cursor:
            postgresql = connection.vendor == "postgresql"
            cursor.execute("SET lock_timeout = '1s'" if postgresql else "SET innodb_lock_wait_timeout = 1")
        try:
            Vote.objects.create(comment=comment)
            refused.append(False)
        except DatabaseError:
            refused.append(True)
        finally:
            connection.close()

    def meanwhile(**_: Any) -> None:
        voter = threading.Thread(target=vote)
        voter.start()
        voter.join()

    pre_delete.connect(meanwhile, sender=Product)
    try:
        applied = environments.apply(changeset)
    finally:
        pre_delete.disconnect(meanwhile, sender=Product)
    assert applied.state == ChangesetState.APPLIED
    assert refused == [True]


def test_a_row_that_is_deleted_already_is_unchanged(environments: Environments) -> None:
    environments.add(Product, sku="stays", name="same")
    environments.add(Product, sku="gone", only="default")
    changeset = environments.approved()
    Product.objects.filter(sku="gone").delete()
    applied = environments.apply(changeset)
    assert applied.state == ChangesetState.APPLIED
    assert applied.changes.get().outcome == Outcome.UNCHANGED
