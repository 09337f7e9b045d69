"""Trusting a source over HTTP: by its own page alone, by who may, and what "Pull and apply" leads to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from data_sync import tasks
from data_sync.models import Changeset, DataPull, DataSource, Trust
from data_sync.services import sources, trust
from data_sync.services.actors import command_line
from data_sync.services.pull import run_pull
from tests.environments import Environments
from tests.testapp.models import Term

from . import making
from .test_review import text

pytestmark = pytest.mark.django_db
SHELL = command_line()
FORM = {
    "models": ["testapp.term"],
    "operations": ["create", "update"],
    "max_changes": "50",
    "max_deletes": "5",
    "when": "click",
    "name": "staging",
}
"""The name is compared as people type it."""


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(making.user("admin", "*"))
    return client


def url(name: str, *args: object, model: str = "datasource") -> str:
    return reverse(f"admin:data_sync_{model}_{name}", args=args)


def trusted(source: DataSource, **values: Any) -> Trust:
    return trust.switch_on(source, SHELL, **{"models": ["testapp.term"], **values})


# Switching it on, and off


def test_the_page_says_what_it_means_and_chooses_no_model(admin: Client) -> None:
    page = admin.get(url("trust", making.source().pk))
    assert "Changes will apply without review." in text(page) and "To confirm that, type “Staging”." in text(page)
    form = page.context["form"]
    assert (form["models"].value() or [], form["operations"].value()) == ([], ["create", "update"])
    assert not Trust.objects.exists()


def test_a_source_is_trusted_with_what_was_chosen(admin: Client) -> None:
    source = making.source()
    page = admin.post(url("trust", source.pk), FORM | making.seen(admin, url("trust", source.pk)), follow=True)
    made = Trust.objects.get()
    assert (made.is_on, made.model_labels, made.operations) == (True, ["testapp.term"], ["create", "update"])
    assert (made.max_changes, made.max_deletes, made.unattended, made.actor) == (50, 0, False, "admin")
    assert "“Pull and apply” applies without review." in text(page) and "Pull and apply" in text(page)
    assert "“Staging” is trusted from now on." in text(page)
    assert "one click" in text(admin.get(url("changelist")))


def test_trust_that_is_changed_does_not_begin_anew_in_words(admin: Client) -> None:
    source = making.source()
    trusted(source)
    page = admin.post(url("trust", source.pk), FORM | making.seen(admin, url("trust", source.pk)), follow=True)
    assert "Trust in “Staging” was changed. It rests on your authority now." in text(page)
    assert "from now on" not in text(page)


def test_the_page_says_that_the_setting_holds_up_and_ends_nothing(admin: Client, settings: Any) -> None:
    source = making.source()
    trusted(source, unattended=True)
    assert "DATA_SYNC_AUTO_APPLY = False does not end it" in text(admin.get(url("trust", source.pk)))
    held_up = "Nothing is applied without review now, from any source: DATA_SYNC_AUTO_APPLY is off."
    for is_off in (False, True):
        settings.DATA_SYNC_AUTO_APPLY = not is_off
        for name in ("trust", "change"):
            assert (held_up in text(admin.get(url(name, source.pk)))) is is_off, name
    assert Trust.objects.get().is_on


def test_adding_a_pull_says_of_which_sources_it_does_not_wait_for_review(admin: Client, settings: Any) -> None:
    page = url("add", model="datapull")
    trusted(making.source("One click"))
    ended = making.source("Ended")
    trusted(ended, unattended=True)
    trust.switch_off(ended, SHELL)
    assert "Not so with" not in text(admin.get(page))
    for number in range(1, 8):
        trusted(making.source(f"By itself {number}"), unattended=True)
    named = ", ".join(f"“By itself {number}”" for number in range(1, 6))
    assert f"Not so with {named} and 2 more: what differs there applies without review" in text(admin.get(page))
    settings.DATA_SYNC_AUTO_APPLY = False
    assert "Not so with" not in text(admin.get(page))


def test_the_page_shows_which_environment_would_be_trusted_and_by_which_door(admin: Client) -> None:
    source = making.source()
    page = text(admin.get(url("trust", source.pk)))
    assert f"URL {source.url} Export key env:DATA_SYNC_KEY_STAGING" in page and "Google audience" not in page
    sources.change_source(source, SHELL, key="k" * 43, google_audience="https://staging.example.org")
    page = admin.get(url("trust", source.pk))
    assert "Export key stored encrypted Google audience https://staging.example.org" in text(page)
    assert source.key not in page.content.decode()


@pytest.mark.parametrize(
    "change",
    [
        {"url": "https://evil.example.com/api", "key": "x" * 43},
        {"url": "https://staging.example.org/other"},
        {"key": "env:DATA_SYNC_KEY_OTHER"},
        {"google_audience": "https://elsewhere.example.org"},
        {"name": "staging"},
        {},
    ],
    ids=str,
)
def test_what_the_page_did_not_show_is_not_trusted(admin: Client, change: dict[str, Any]) -> None:
    """Somebody sets another URL between the page and its answer."""
    source = making.source()
    seen = making.seen(admin, url("trust", source.pk)) if change else {}
    sources.change_source(source, SHELL, **change)
    answer = admin.post(url("trust", source.pk), FORM | seen)
    source.refresh_from_db()
    assert answer.status_code == 409 and not Trust.objects.exists()
    assert "The source was changed meanwhile" in text(answer) and f"URL {source.url} " in text(answer)
    again = FORM | {"seen": answer.context["form"]["seen"].value()}
    assert admin.post(url("trust", source.pk), again).status_code == 302 and Trust.objects.get().is_on


@pytest.mark.parametrize(
    "given",
    [
        {"name": ""},
        {"name": "Production"},
        {"models": []},
        {"models": ["testapp.nothing"]},
        {"operations": []},
        {"operations": ["drop"]},
        {"max_changes": "0"},
        {"max_changes": ""},
        {"operations": ["delete"], "max_deletes": "0"},
        {"when": ""},
        {"when": "always"},
    ],
    ids=str,
)
def test_what_is_not_filled_in_well_trusts_nobody(admin: Client, given: dict[str, Any]) -> None:
    page = url("trust", making.source().pk)
    page = admin.post(page, FORM | making.seen(admin, page) | given)
    assert page.status_code == 200 and page.context["form"].errors
    assert not Trust.objects.exists()


@pytest.mark.parametrize("missing", [name.partition(".")[2] for name in trust.NEEDED])
def test_it_takes_every_permission(client: Client, missing: str) -> None:
    source = making.source()
    needed = [name.partition(".")[2] for name in trust.NEEDED]
    client.force_login(making.user("guest", "view_datasource", *(name for name in needed if name != missing)))
    assert client.get(url("trust", source.pk)).status_code == 403
    assert client.post(url("trust", source.pk), FORM).status_code == 403
    assert "Trust this source" not in text(client.get(url("change", source.pk)))
    assert not Trust.objects.exists()


def test_no_other_form_switches_it_on(admin: Client) -> None:
    """A forged POST to the pages that add, change or list sources, with every name that the trust page knows."""
    source = making.source()
    forged = {**FORM, "is_on": "on", "unattended": "on", "trust-is_on": "on", "trust": "on", "_save": "Save"}
    change = {"name": source.name, "url": source.url, "key": ""}
    admin.post(url("edit", source.pk), forged | change | making.seen(admin, url("edit", source.pk)))
    admin.post(url("change", source.pk), forged | change)
    admin.post(url("add"), forged | {"name": "Other", "url": source.url, "key": "env:DATA_SYNC_KEY_X"})
    row = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": str(source.pk), "form-0-trust": "on"}
    admin.post(url("changelist"), forged | row | {"_save": "Save"})
    admin.get(url("trust", source.pk), FORM)
    assert DataSource.objects.count() == 2
    assert not Trust.objects.exists()


def test_trust_ends_by_a_button_and_not_by_an_address(admin: Client) -> None:
    source = making.source()
    trusted(source, unattended=True)
    page = admin.get(url("change", source.pk))
    assert "Each complete pull applies without review, “Pull now” included." in text(page)
    admin.get(url("untrust", source.pk))
    assert Trust.objects.get().is_on
    page = admin.post(url("untrust", source.pk), follow=True)
    assert not Trust.objects.get().is_on
    assert "Ended by admin." in text(page) and "waits for review" in text(page)


def test_another_url_ends_it_and_the_page_says_so(admin: Client) -> None:
    source = making.source()
    trusted(source)
    change = {"name": source.name, "url": source.url + "/v2", "key": ""}
    assert "Another URL, key or audience ends that." in text(admin.get(url("edit", source.pk)))
    page = admin.post(url("edit", source.pk), change | making.seen(admin, url("edit", source.pk)), follow=True)
    assert "“Staging” is not trusted any more: what is pulled waits for review." in text(page)
    assert "admin changed the source&#x27;s URL." in admin.get(url("change", source.pk)).content.decode()
    assert "Pull and apply" not in text(admin.get(url("change", source.pk)))


def test_another_name_ends_nothing_and_nothing_is_said_of_it(admin: Client) -> None:
    source = making.source()
    trusted(source)
    change = {"name": "Stage", "url": source.url, "key": ""}
    page = admin.post(url("edit", source.pk), change | making.seen(admin, url("edit", source.pk)), follow=True)
    assert "was saved" in text(page) and "not trusted any more" not in text(page)
    trust.switch_off(source, SHELL)
    assert "ends that" not in text(admin.get(url("edit", source.pk)))


def test_the_page_is_filled_in_with_what_the_source_was_trusted_with(admin: Client) -> None:
    source = making.source()
    trusted(source, operations=["delete"], max_changes=7, max_deletes=3, unattended=True)
    trust.switch_off(source, SHELL)
    form = admin.get(url("trust", source.pk)).context["form"]
    assert [form[name].value() for name in ("models", "operations", "max_changes", "max_deletes", "when")] == [
        ["testapp.term"],
        ["delete"],
        7,
        3,
        "unattended",
    ]


# Pull and apply


@pytest.fixture
def agreed(environments: Environments) -> Environments:
    environments.add(Term, word="boots", meaning="of 2025")
    environments.pull()
    Term.objects.using("source").update(meaning="of 2026")
    trusted(environments.source)
    return environments


def test_one_click_leads_to_the_result(admin: Client, agreed: Environments) -> None:
    page = admin.post(url("pull_and_apply", agreed.source.pk), follow=True)
    changeset = Changeset.objects.get()
    assert page.redirect_chain[-1][0] == url("result", changeset.pk, model="changeset")
    assert "by auto-apply for command line" in text(page) and "Applied without review" in text(page)
    assert Term.objects.get().meaning == "of 2026"
    assert "approved by itself" in text(admin.get(url("changelist", model="changeset")))
    history = text(admin.get(url("history", changeset.pk, model="changeset")))
    assert "All changes accepted without review" in history and "at most 100 changes" in history


def test_one_click_leads_to_the_review_where_something_is_in_the_way(admin: Client, agreed: Environments) -> None:
    Term.objects.update(meaning="edited here")
    page = admin.post(url("pull_and_apply", agreed.source.pk), follow=True)
    changeset = Changeset.objects.get()
    assert page.redirect_chain[-1][0] == url("change", changeset.pk, model="changeset")
    sentence = "1 conflict: rows that were changed here, too."
    assert "Not applied by itself: " + sentence in text(page)
    assert sentence in text(admin.get(url("history", changeset.pk, model="changeset")))
    assert sentence in admin.get(url("changelist", model="changeset")).content.decode()


def test_the_pull_itself_can_be_looked_at_later(admin: Client, agreed: Environments) -> None:
    admin.post(url("pull_and_apply", agreed.source.pk))
    page = admin.get(url("change", DataPull.objects.latest("pk").pk, model="datapull"))
    assert page.status_code == 200 and "Applied without review" in text(page)
    assert url("result", Changeset.objects.get().pk, model="changeset") in page.content.decode()
    assert "Review changeset" not in text(page)
    Changeset.objects.update(state="approved", applied_at=None)
    page = admin.get(url("change", DataPull.objects.latest("pk").pk, model="datapull"))
    assert "Approved without review" in text(page)


def test_a_queued_one_is_followed_through_both_stages(
    admin: Client, agreed: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "submit", lambda *_: None)
    page = admin.post(url("pull_and_apply", agreed.source.pk), follow=True)
    asked = DataPull.objects.latest("pk")
    here, there = page.redirect_chain[-1][0], url("status", asked.pk, model="datapull")
    assert here == url("change", asked.pk, model="datapull") + "?applying=1"
    assert admin.get(there).json()["stage"] == "queued"
    run_pull(asked.pk)
    assert admin.get(there).json()["stage"] == "settling"
    assert "Looking whether it applies without review" in text(admin.get(here))
    tasks.run("apply", Changeset.objects.get().pk)
    assert admin.get(there).json()["stage"] == "done"
    assert admin.get(here).url == url("result", Changeset.objects.get().pk, model="changeset")


def test_what_nobody_looks_at_says_what_to_do(
    admin: Client, agreed: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "submit", lambda *_: None)
    asked = agreed.pull()
    Changeset.objects.update(auto_state="due", created_at=timezone.now() - timedelta(minutes=5))
    page = admin.get(url("change", asked.pk, model="datapull"))
    assert "Nobody has looked yet" in text(page) and "data_sync sweep" in text(page)


def test_a_source_that_is_not_trusted_is_not_even_pulled(admin: Client) -> None:
    source = making.source()
    assert "is not trusted. Nothing was pulled." in text(admin.post(url("pull_and_apply", source.pk), follow=True))
    assert not DataPull.objects.exists()


@pytest.mark.parametrize("missing", ["pull_datasource", "apply_changeset"])
def test_the_click_takes_both_permissions(client: Client, missing: str) -> None:
    source = making.source()
    trusted(source)
    person = making.user("guest", "view_datasource", "pull_datasource", "apply_changeset")
    person.user_permissions.remove(Permission.objects.get(codename=missing))
    client.force_login(person)
    assert client.post(url("pull_and_apply", source.pk)).status_code == 403
    assert ">Pull and apply</button>" not in client.get(url("change", source.pk)).content.decode()
    assert not DataPull.objects.exists()


def test_the_list_of_sources_asks_as_often_for_many_as_for_one(admin: Client, django_assert_max_num_queries) -> None:
    for number in range(5):
        trusted(making.source(f"Source {number}"))
    with django_assert_max_num_queries(7):
        admin.get(url("changelist"))
