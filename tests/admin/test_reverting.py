"""The screens of a revert: asked for on the result page, followed, reviewed, and told of where it happened."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from data_sync.models import Changeset, DataPull
from tests.admin import making
from tests.environments import Environments
from tests.testapp.models import Comment, Product, Tag, Visit

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(making.user("boss", "*"))
    return client


@pytest.fixture
def done(environments: Environments) -> Changeset:
    product = environments.add(Product, sku="p", name="P", only="default")[1]
    Comment.objects.create(product=product, text="Nice")
    Visit.objects.create(product=product)
    for name in "ab":
        environments.add(Tag, name=name, only="source")
    return environments.sync()


def url(name: str, *args: object) -> str:
    return reverse(f"admin:data_sync_changeset_{name}", args=args)


def test_a_revert_is_asked_for_followed_and_reviewed(boss: Client, done: Changeset, environments: Environments) -> None:
    page = boss.get(url("result", done.pk)).content.decode()
    assert url("revert", done.pk) in page
    asking = boss.get(url("revert", done.pk)).content.decode()
    assert "tag: 2 added" in asking.lower() and "checked" in asking
    sent = {"kinds": ["testapp.product delete", "testapp.tag create"], "numbers": ""}
    answer = boss.post(url("revert", done.pk), sent, follow=True)
    pull = DataPull.objects.get(kind="revert")
    assert answer.request["PATH_INFO"] == reverse("admin:data_sync_datapull_change", args=(pull.pk,))
    assert pull.options == {"numbers": None} and pull.state == "done"
    assert f"Revert of changeset {done.pk}" in answer.content.decode()
    made = Changeset.objects.get(reverts=done)
    card = boss.get(url("change", made.pk)).content.decode()
    assert f"Revert of changeset {done.pk}" in card and "Also brings back 1 row of" in card
    assert "Puts product back in 1 row of" in card
    environments.let_through(made)
    environments.accept_all(made)
    assert "Also brings back 1 row of" in boss.get(url("confirm", made.pk)).content.decode()
    environments.apply(environments.approve(made))
    page = boss.get(url("result", done.pk)).content.decode()
    assert f"Its revert: changeset {made.pk}" in page and url("revert", done.pk) not in page
    assert f"Reverted by changeset {made.pk}" in boss.get(url("history", done.pk)).content.decode()
    assert f"Made as the revert of changeset {done.pk}" in boss.get(url("history", made.pk)).content.decode()
    listed = boss.get(url("changelist"), {"kind__exact": "revert"}).content.decode()
    assert url("change", made.pk) in listed and url("change", done.pk) not in listed
    refused = boss.get(url("revert", done.pk), follow=True).content.decode()
    assert "there is nothing of it to revert" in refused


def test_some_kinds_or_single_changes_are_chosen(boss: Client, done: Changeset) -> None:
    boss.post(url("revert", done.pk), {"kinds": ["testapp.tag create"], "numbers": ""})
    of_tags = sorted(done.changes.filter(model="testapp.tag").values_list("number", flat=True))
    assert DataPull.objects.get(kind="revert").options == {"numbers": of_tags}
    boss.post(url("revert", done.pk), {"kinds": ["testapp.tag create"], "numbers": f"#{of_tags[0]}"})
    assert DataPull.objects.filter(kind="revert").first().options == {"numbers": of_tags[:1]}  # type: ignore[union-attr]
    for numbers, words in (("x", "Write numbers"), ("99", "has no change #99"), ("", "Choose at least one")):
        page = boss.post(url("revert", done.pk), {"numbers": numbers})
        assert page.status_code == 200 and words in page.content.decode()
    assert DataPull.objects.filter(kind="revert").count() == 2
