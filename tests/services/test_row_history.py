"""Where a row came from: its applied changes, through renames of it and of what its key names, whoever asks and how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from data_sync.core.errors import InvalidInput
from data_sync.models import Change, Changeset
from data_sync.services import actors, retention, row_history
from data_sync.services.typed_keys import find_key
from tests.admin import making
from tests.environments import Environments
from tests.management.conftest import Run, run
from tests.testapp.models import Customer, Detail, Product

__all__ = ["run"]

LABEL = "testapp.term"


def applied(*changes: Change, days_ago: float = 0, **values: Any) -> Changeset:
    stored = making.changeset(list(changes), state="applied", **values)
    at = timezone.now() - timedelta(days=days_ago)
    Changeset.objects.filter(pk=stored.pk).update(
        applied_at=at, approval_actor="mira", apply_actor="tomas", approved_at=at
    )
    stored.changes.update(outcome="applied")
    return stored


@pytest.mark.django_db(transaction=True)
def test_every_applied_change_of_a_row_the_latest_first(run: Run) -> None:
    first = applied(making.create(1, after="one"), making.create(2), days_ago=3)
    second = applied(making.update(1, "one", "two"), days_ago=2, source_name="Staging")
    making.changeset([making.update(1, "two", "never")], state="rejected")
    third = applied(making.delete(1, "two"), days_ago=1)
    second.changes.update(reverted_by=third.pk)
    document = run("show", "--key", LABEL, "word-1", "--json").document
    told = document["changes"]
    assert [row["changeset"] for row in told] == [third.pk, second.pk, first.pk]
    assert told[1]["fields"] == {"meaning": {"before": "one", "after": "two"}}
    assert (told[1]["approved_by"], told[1]["applied_by"], told[1]["reverted_by"]) == ("mira", "tomas", third.pk)
    assert [row["operation"] for row in told] == ["delete", "update", "create"]
    text = run("show", "--key", LABEL, "word-1").out
    assert "word-1: 3 applied changes." in text and "meaning: one → two" in text and "from Staging" in text
    for days, meaning in ((0, None), (1.5, "two"), (2.5, "one"), (9, None)):
        day = (timezone.now() - timedelta(days=days)).isoformat()
        then = run("show", "--key", LABEL, "word-1", "--at", day, "--json").document["at"]
        assert then["known"] and (then["fields"] or {}).get("meaning") == meaning
    assert run("show", "--key", LABEL, "word-1", "--at", "soon").code == 1
    assert run("show", "1", "--key", LABEL, "word-1").code == run("show").code == 1


@pytest.mark.django_db
def test_keys_are_found_however_they_are_written() -> None:
    applied(
        making.create(1, model="testapp.copy", key=["FR", "fr", "title"]),
        making.create(2, model="testapp.copy", key=["FR", "fr", "titles"]),
        making.create(3, model="testapp.price", key=["sku", 978]),
        making.create(4, key=["a · b"]),
        making.create(5, key=["7"]),
    )
    copy = ("FR", "fr", "title")
    for words in (copy, ["FR · fr · title"], ["FR·fr·title"], ['["FR","fr","title"]']):
        assert find_key("testapp.copy", list(words)).key == copy
    assert find_key("testapp.copy", ["FR"]).suggestions == ("FR · fr · title", "FR · fr · titles")
    assert find_key("testapp.copy", ["fr · fr · titles"]).key == ("FR", "fr", "titles")
    assert find_key("testapp.price", ["sku", "978"]).key == ("sku", 978)
    assert find_key(LABEL, ["a · b"]).key == ("a · b",)
    assert find_key(LABEL, ["7"]).key == ("7",)
    for label, words in ((LABEL, [" "]), ("testapp.nothing", ["a"])):
        with pytest.raises(InvalidInput):
            find_key(label, words)


def test_renames_are_followed_of_the_row_and_of_what_its_key_names(environments: Environments) -> None:
    there, here = environments.add(Product, sku="old", name="Chair")
    detail, _ = environments.add(Detail, product=(there, here), text=("one", "none"))
    labels = ("testapp.product", "testapp.detail")
    first = environments.sync(*labels)
    Product.objects.using("source").filter(pk=there.pk).update(sku="new")
    moved = environments.sync(*labels)
    assert (moved.renames, moved.changes.count()) == (1, 1)
    Detail.objects.using("source").filter(pk=detail.pk).update(text="two")
    last = environments.sync(*labels)
    spans = row_history.spans_of("testapp.detail", ("new",))
    assert [span.key for span in spans] == [("new",), ("old",)]
    found = row_history.changes_of("testapp.detail", spans)
    assert [change.changeset_id for change in found] == [last.pk, first.pk]
    found = row_history.changes_of("testapp.product", row_history.spans_of("testapp.product", ("new",)))
    assert [change.changeset_id for change in found] == [moved.pk]
    renamed = row_history.renamed_to("testapp.product", ("old",))
    assert renamed is not None and renamed.key == ["new"]


def test_redacted_fields_and_purged_values_are_not_told(environments: Environments, settings: Any) -> None:
    environments.add(Customer, name="ada", account=("secret-new", "secret-old"))
    environments.sync("testapp.customer")
    changes = list(row_history.changes_of("testapp.customer", row_history.spans_of("testapp.customer", ("ada",))))
    told = row_history.describe(changes[0])
    assert told["fields"] == {"account": {"redacted": True}}
    then = row_history.row_at(changes, timezone.now())
    assert then.is_known and "secret" not in repr((told, then.fields))
    settings.DATA_SYNC_RETENTION_DAYS = 1e-9
    retention.prune(actors.command_line())
    [change] = row_history.changes_of("testapp.customer", [row_history.Span(key=("ada",))])
    assert row_history.describe(change)["purged"] and row_history.describe(change)["fields"] == {}
    assert not row_history.row_at([change], timezone.now()).is_known


@pytest.mark.django_db
def test_the_page_takes_a_few_queries_however_many_changes_there_are(admin_client: Any) -> None:
    for number in range(60):
        applied(making.update(1, f"m{number}", f"m{number + 1}"), making.update(2), days_ago=100 - number)
    url = reverse("admin:data_sync_changeset_lookup")
    empty = len(_queries(admin_client, url))
    page = f"{url}?model={LABEL}&q=word-1"
    captured = _queries(admin_client, page)
    assert len(captured) - empty <= 5
    first = admin_client.get(page)
    assert "m59" in first.text and "m60" in first.text and "m1 " not in first.text
    assert first.text.count("<del") == first.text.count("<ins") == 50, "words are marked as in a review"
    older = first.context["older"]
    assert "m1" in admin_client.get(url + older).text
    assert "word-2" in admin_client.get(f"{url}?model={LABEL}&q=word").text, "what it may be"
    assert admin_client.get(f"{url}?model=no.model&q=x").status_code == 200


def _queries(client: Any, url: str) -> list[Any]:
    with CaptureQueriesContext(connection) as captured:
        client.get(url)
    return list(captured)
