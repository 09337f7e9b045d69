"""Data sources and data pulls over HTTP."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from data_sync import tasks
from data_sync.core.errors import SourceUnavailable
from data_sync.models import DataPull, DataSource
from data_sync.orm.read import LocalSource
from data_sync.services import credentials, source_checks, sources
from tests.leasing import beat

from . import making
from .test_review import text

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(making.user("admin", "*"))
    return client


def url(model: str, name: str, *args: object) -> str:
    return reverse(f"admin:data_sync_{model}_{name}", args=args)


# Sources


def test_a_source_is_added_and_its_key_never_shown(admin):
    given = {"name": "Staging", "url": "https://staging.example.org/api", "key": "ds_secret-text"}

    page = admin.post(url("datasource", "add"), given, follow=True)

    source = DataSource.objects.get()
    edit = admin.get(url("datasource", "edit", source.pk))
    assert credentials.reveal(source.key) == "ds_secret-text"
    for shown in (page, edit):
        assert "ds_secret-text" not in shown.content.decode() and source.key not in shown.content.decode()
    assert "stored encrypted" in text(page)


def test_the_form_says_which_variables_may_hold_a_key(admin):
    page = admin.get(url("datasource", "add"))

    assert f"env:{sources.REFERENCE_PREFIX}STAGING" in page.content.decode()


def test_an_empty_key_keeps_the_stored_one(admin):
    source = sources.add_source("Staging", "https://staging.example.org/api", "env:DATA_SYNC_KEY_STAGING", keys_actor())

    page = url("datasource", "edit", source.pk)
    admin.post(page, {"name": "Stage", "url": source.url, "key": ""} | making.seen(admin, page))

    source.refresh_from_db()
    assert (source.name, source.key) == ("Stage", "env:DATA_SYNC_KEY_STAGING")


@pytest.mark.parametrize("sent", ["what it was made from", "nothing", "something"])
def test_a_form_of_a_source_that_was_changed_meanwhile_takes_nothing_back(admin, sent):
    source = sources.add_source("Staging", "https://staging.example.org/api", "env:DATA_SYNC_KEY_STAGING", keys_actor())
    page = url("datasource", "edit", source.pk)
    seen = {"what it was made from": making.seen(admin, page), "nothing": {}, "something": {"seen": "x"}}[sent]
    sources.change_source(source, keys_actor(), url="https://staging.example.org/v2")

    answer = admin.post(page, {"name": "Stage", "url": "https://staging.example.org/api", "key": ""} | seen)

    source.refresh_from_db()
    assert (answer.status_code, source.name, source.url) == (409, "Staging", "https://staging.example.org/v2")
    assert "The source was changed meanwhile" in text(answer)
    again = answer.context["form"]
    assert (again["name"].value(), again["url"].value()) == ("Staging", "https://staging.example.org/v2")
    given = {"name": "Stage", "url": source.url, "key": "", "seen": again["seen"].value()}
    assert admin.post(page, given).status_code == 302


def test_a_google_audience_is_kept_shown_and_in_place_of_a_key(admin):
    given = {"name": "Run", "url": "https://staging.example.org/api", "key": "", "google_audience": ""}

    refused = admin.post(url("datasource", "add"), given)
    elsewhere = admin.post(url("datasource", "add"), {**given, "google_audience": "https://other.example.org"})
    page = admin.post(
        url("datasource", "add"), {**given, "google_audience": "https://staging.example.org"}, follow=True
    )

    assert "This field is required" in text(refused)
    assert "takes any, such as the client ID of IAP" in text(elsewhere)
    source = DataSource.objects.get()
    assert (source.key, source.google_audience) == ("", "https://staging.example.org")
    assert "Google audience https://staging.example.org" in text(page)
    assert 'value="https://staging.example.org"' in admin.get(url("datasource", "edit", source.pk)).content.decode()


def keys_actor() -> Any:
    from data_sync.services.actors import command_line

    return command_line()


def test_what_is_wrong_with_a_source_is_said_above_the_form(admin):
    page = admin.post(url("datasource", "add"), {"name": "X", "url": "ftp://x.example/", "key": "k"})
    again = admin.post(url("datasource", "add"), {"name": "X", "url": "http://10.0.0.1/api", "key": "k"})

    assert page.status_code == again.status_code == 200
    assert not DataSource.objects.exists()
    assert "errorlist" in page.content.decode() and "errorlist" in again.content.decode()


def test_a_connection_test_says_each_check_in_words(admin, monkeypatch):
    found = [
        source_checks.Check(name="reachable", ok=True, message="It answers."),
        source_checks.Check(name="key accepted", ok=False, message="Refused: <b>make a new key</b>."),
    ]
    monkeypatch.setattr(source_checks, "check_source", lambda source: found)
    source = making.source()

    page = admin.post(url("datasource", "test", source.pk))

    assert "✓ Passed: reachable It answers." in text(page)
    assert "✗ Failed: key accepted" in text(page) and "<b>make" not in page.content.decode()
    assert admin.get(url("datasource", "test", source.pk)).url == url("datasource", "change", source.pk)


@pytest.mark.parametrize(("scheme", "sign"), [("https", "✓ Passed:"), ("http", "⚠ Warning:")])
def test_a_connection_without_encryption_is_warned_of(admin, monkeypatch, scheme, sign):
    source = making.source()
    DataSource.objects.update(url=f"{scheme}://staging.example.org/api")
    monkeypatch.setattr(
        source_checks, "check_source", lambda source: [source_checks.Check(name="TLS", ok=True, message="So.")]
    )

    assert f"{sign} TLS So." in text(admin.post(url("datasource", "test", source.pk)))


def test_a_source_is_removed_but_not_while_it_is_read(admin):
    source = making.source()
    making.pull(source=source, state="reading", active_source=source.pk)

    refused = admin.post(url("datasource", "delete", source.pk), {"post": "yes"}, follow=True)
    DataPull.objects.update(state="failed", active_source=None)
    admin.post(url("datasource", "delete", source.pk), {"post": "yes"})

    assert "is reading the source" in text(refused)
    assert not DataSource.objects.exists()


@pytest.mark.parametrize(("name", "verb"), [("add", "get"), ("edit", "get"), ("pull", "post"), ("test", "post")])
def test_who_may_only_view_sources_can_do_nothing_to_them(client, name, verb):
    client.force_login(making.user("guest", "view_datasource"))
    source = making.source()
    args = () if name == "add" else (source.pk,)

    assert getattr(client, verb)(url("datasource", name, *args)).status_code == 403
    assert client.get(url("datasource", "change", source.pk)).status_code == 200


def test_the_list_of_sources_costs_the_same_for_many(admin, django_assert_max_num_queries):
    for number in range(20):
        making.pull(source=making.source(f"Source {number}"))

    with django_assert_max_num_queries(7):
        assert "staging.example.org" in text(admin.get(url("datasource", "changelist")))


# Pulls


@pytest.mark.django_db(transaction=True)
def test_saving_a_pull_runs_it_and_shows_that_nothing_differs(admin, monkeypatch):
    monkeypatch.setattr(sources, "open_source", lambda source: LocalSource())
    source = making.source()

    page = admin.post(url("datapull", "add"), {"source": source.pk, "models": ["testapp.term"]}, follow=True)

    assert DataPull.objects.get().state == "done"
    assert "Nothing differs. 0 rows compared" in text(page)


@pytest.mark.django_db(transaction=True)
def test_what_a_source_did_wrong_is_on_the_pulls_page(admin, monkeypatch):
    def unavailable(source: DataSource) -> Any:
        raise SourceUnavailable("The source is <asleep>. Wake it.")

    monkeypatch.setattr(sources, "open_source", unavailable)

    page = admin.post(url("datasource", "pull", making.source().pk), follow=True)

    assert "The pull failed" in text(page) and "The source is &lt;asleep&gt;. Wake it." in page.content.decode()


def test_a_second_pull_of_a_source_is_refused_by_name(admin):
    source = making.source()
    first = making.pull(source=source, state="reading", active_source=source.pk)

    page = admin.post(url("datasource", "pull", source.pk), follow=True)

    assert f"Pull {first.pk}" in text(page) and DataPull.objects.count() == 1


def test_a_schema_difference_is_a_table(admin):
    differences = [
        {"model": "testapp.term", "field": "meaning", "difference": "is only here"},
        {"model": "testapp.term", "field": "colour", "difference": "is only there"},
        {"model": "testapp.tag", "field": "", "difference": "is not there"},
    ]
    models = [{"label": "testapp.term", "compared": 3, "create": 0, "update": 1, "delete": 0, "rename": 2}]
    row = making.pull(report={"schema": differences, "models": models})

    shown = text(admin.get(url("datapull", "change", row.pk)))

    assert "Term testapp.term meaning is only here colour is only there" in shown
    assert "Tag testapp.tag The whole model was not compared. is not there" in shown
    assert "Term testapp.term 3 0 1 2 0" in shown


@pytest.mark.parametrize("finds", [True, False])
def test_a_pull_looks_for_renames_unless_told_otherwise(admin, monkeypatch, finds):
    monkeypatch.setattr(tasks, "submit", lambda *_: None)
    given = {"source": making.source().pk} | ({"find_renames": "on"} if finds else {})

    form = admin.get(url("datapull", "add")).content.decode()
    admin.post(url("datapull", "add"), given)

    assert re.search('name="find_renames"[^>]* checked', form)
    assert DataPull.objects.get().find_renames is finds


def test_progress_can_be_asked_for(admin):
    row = making.pull(state="reading")
    beat(row, phase="rows", done=40, total=100)

    answer = admin.get(url("datapull", "status", row.pk)).json()
    page = admin.get(url("datapull", "change", row.pk)).content.decode()

    words = "Reading both sides: 40 rows read"
    assert answer == {"stage": "reading", "words": words, "phase": "rows", "value": 40, "max": 100}
    assert '<progress value="40" max="100"' in page and ">Refresh</a>" in page


def test_a_pull_is_cancelled(admin):
    row = making.pull(state="queued")

    page = admin.post(url("datapull", "cancel", row.pk), follow=True)

    row.refresh_from_db()
    assert (row.state, row.error) == ("cancelled", "Cancelled by admin.")
    assert "Cancelled by admin." in text(page)


def test_pulling_needs_its_permission(client):
    client.force_login(making.user("guest", "view_datapull"))
    row = making.pull()

    assert client.get(url("datapull", "change", row.pk)).status_code == 200
    assert client.get(url("datapull", "add")).status_code == 403
    assert client.post(url("datapull", "cancel", row.pk)).status_code == 403


def test_the_list_of_pulls_tells_what_came_of_each(admin, django_assert_max_num_queries):
    making.pull(compared=8120)
    making.pull(state="failed", error="The source said no.")
    stored = making.changeset([making.update(1)], pull=making.pull())

    with django_assert_max_num_queries(7):
        shown = text(admin.get(url("datapull", "changelist")))

    assert "nothing differs" in shown and "The source said no." in shown and f"Changeset {stored.pk}" in shown
