"""Sources are added with care, changed without giving their keys away, and tried step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError

from data_sync.core.errors import DataSyncError, InvalidInput, InvalidTransition, NotPermitted
from data_sync.core.states import PullState
from data_sync.models import Baseline, DataPull, DataSource, Event
from data_sync.orm.read import LocalSource
from data_sync.services import credentials, source_checks, sources
from data_sync.services.actors import Actor, command_line, of_user
from data_sync.sources import google_tokens
from data_sync.sources.http import HttpSource
from tests import google
from tests.environments import Environments
from tests.sources.hostile import Authority, Server, http, sends
from tests.testapp.models import Country

pytestmark = pytest.mark.django_db
URL = "https://staging.example.com/api"
KEY = "ds_0123456789ab.canarycanarycanarycanarycanarycanarycanary1"
SHELL = command_line()


def person(*permissions: str) -> Actor:
    user = User.objects.create_user("anna", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return of_user(User.objects.get(pk=user.pk))


def active_pull(source: DataSource) -> DataPull:
    return DataPull.objects.create(source=source, source_name=source.name, active_source=source.pk)


# Adding.


def test_a_source_is_stored_with_its_key_encrypted() -> None:
    source = sources.add_source(" Staging ", URL + "/", KEY, SHELL)
    stored = DataSource.objects.values().get(pk=source.pk)
    assert (stored["name"], stored["url"]) == ("Staging", URL)
    assert "canary" not in str(stored)
    assert credentials.reveal(stored["key"]) == KEY


@pytest.mark.parametrize(
    ("name", "url", "key"),
    [
        ("", URL, KEY),
        ("x" * 101, URL, KEY),
        ("two\nlines", URL, KEY),
        ("Taken", URL, KEY),
        ("New", "http://staging.example.com", KEY),
        ("New", "https://user:pw@staging.example.com", KEY),
        ("New", "https://169.254.169.254", KEY),
        ("New", URL, ""),
        ("New", URL, "two words"),
    ],
)
def test_what_cannot_be_a_source_is_refused(name: str, url: str, key: str) -> None:
    sources.add_source("Taken", URL, KEY, SHELL)
    with pytest.raises(InvalidInput):
        sources.add_source(name, url, key, SHELL)
    assert DataSource.objects.count() == 1


def test_each_service_asks_for_its_own_permission() -> None:
    source = sources.add_source("Staging", URL, KEY, SHELL)
    calls: dict[str, Callable[[Actor], Any]] = {
        "add_datasource": lambda actor: sources.add_source("New", URL, KEY, actor),
        "change_datasource": lambda actor: sources.change_source(source, actor, name="Other"),
        "delete_datasource": lambda actor: sources.remove_source(source, actor),
    }
    for needed, call in calls.items():
        User.objects.all().delete()
        with pytest.raises(NotPermitted, match=f"data_sync.{needed}"):
            call(person(*(set(calls) - {needed}), "pull_datasource", "view_datasource"))
        User.objects.all().delete()
        call(person(needed))


@pytest.mark.parametrize("variable", ["DATABASE_URL", "SECRET_KEY", "DATA_SYNC_EXPORT_TOKEN", "data_sync_key_x"])
def test_a_person_cannot_have_any_secret_of_the_environment_sent_away(variable: str) -> None:
    actor = person("add_datasource", "change_datasource")
    with pytest.raises(InvalidInput, match="begin with DATA_SYNC_KEY_"):
        sources.add_source("Mine", "https://mine.example", f" env:{variable}", actor)
    source = sources.add_source("Mine", "https://mine.example", "env:DATA_SYNC_KEY_MINE", actor)
    with pytest.raises(InvalidInput, match="begin with DATA_SYNC_KEY_"):
        sources.change_source(source, actor, key=f"env:{variable}")
    assert sources.add_source("Shell", URL, f"env:{variable}", SHELL).key == f"env:{variable}"


@pytest.mark.parametrize("url", ["https://mine.example/api", "https://staging.example.com:8443/api"])
def test_a_reference_of_one_host_is_not_put_on_another_by_a_person(url: str) -> None:
    """Its name stands on the source's page, and whoever reads it there need not know the key."""
    actor = person("add_datasource", "change_datasource")
    source = sources.add_source("Staging", URL, "env:DATA_SYNC_KEY_STAGING", SHELL)
    for attempt in (
        lambda: sources.change_source(source, actor, url=url, key=" env:DATA_SYNC_KEY_STAGING"),
        lambda: sources.add_source("Mine", url, "env:DATA_SYNC_KEY_STAGING", actor),
    ):
        with pytest.raises(InvalidInput, match=r"the key of a source at another host.*source change"):
            attempt()
    assert DataSource.objects.get().url == URL
    # The same host, a variable that no source has had, and a key that is typed.
    sources.change_source(source, actor, url=URL + "/v2", key="env:DATA_SYNC_KEY_STAGING")
    sources.add_source("Again", URL, "env:DATA_SYNC_KEY_STAGING", actor)
    sources.change_source(source, actor, url=url, key="env:DATA_SYNC_KEY_NEW")
    sources.change_source(source, actor, url=URL, key="ds_typed.key")
    # The command line puts any anywhere, and then it is that host's, too.
    sources.add_source("Other", "https://other.example.com", "env:DATA_SYNC_KEY_STAGING", SHELL)
    sources.change_source(source, actor, url="https://other.example.com/x", key="env:DATA_SYNC_KEY_STAGING")


def test_a_reference_that_a_source_has_had_stays_its_host_s() -> None:
    """Changed away and removed: the audit trail knows."""
    actor = person("add_datasource", "change_datasource", "delete_datasource")
    source = sources.add_source("Staging", URL, "env:DATA_SYNC_KEY_FIRST", actor)
    sources.change_source(source, actor, key="env:DATA_SYNC_KEY_SECOND")
    sources.change_source(source, actor, url="https://other.example.com", key="env:DATA_SYNC_KEY_THIRD")
    sources.remove_source(source, actor)
    for name, host in (("FIRST", URL), ("SECOND", URL), ("THIRD", "https://other.example.com")):
        with pytest.raises(InvalidInput, match="the key of a source at another host"):
            sources.add_source("Mine", "https://mine.example", f"env:DATA_SYNC_KEY_{name}", actor)
        sources.add_source(name, f"{host}/there", f"env:DATA_SYNC_KEY_{name}", actor)


def test_looking_for_the_hosts_of_a_reference_takes_as_many_queries_for_many(
    django_assert_num_queries: Callable[[int], Any],
) -> None:
    actor = person("add_datasource")
    for number in range(3):
        sources.add_source(f"Staging {number}", f"{URL}/{number}", "env:DATA_SYNC_KEY_STAGING", SHELL)
    actor.may("data_sync.add_datasource")
    with django_assert_num_queries(2), pytest.raises(InvalidInput):
        sources.add_source("Mine", "https://mine.example", "env:DATA_SYNC_KEY_STAGING", actor)


# Changing.


def test_what_is_not_given_stays() -> None:
    source = sources.add_source("Staging", URL, KEY, SHELL)
    sources.change_source(source, SHELL, name="Stage")
    assert (source.name, source.url, credentials.reveal(source.key)) == ("Stage", URL, KEY)
    sources.change_source(source, SHELL, key="ds_new.key")
    assert (source.name, source.url, credentials.reveal(source.key)) == ("Stage", URL, "ds_new.key")
    sources.change_source(source, SHELL, url="https://staging.example.com/other/")
    assert (source.url, credentials.reveal(source.key)) == ("https://staging.example.com/other", "ds_new.key")


@pytest.mark.parametrize(
    "url",
    ["https://mine.example/api", "https://staging.example.com:8443/api", "https://staging.example.com.mine.example"],
)
def test_a_stored_key_is_not_sent_to_another_host(url: str) -> None:
    source = sources.add_source("Staging", URL, KEY, SHELL)
    with pytest.raises(InvalidInput, match="give the export key again"):
        sources.change_source(source, SHELL, url=url)
    assert DataSource.objects.get(pk=source.pk).url == URL
    sources.change_source(source, SHELL, url=url, key="ds_other.key")
    assert DataSource.objects.get(pk=source.pk).url == url


def test_a_change_that_fails_changes_nothing() -> None:
    sources.add_source("Taken", URL, KEY, SHELL)
    source = sources.add_source("Staging", URL, KEY, SHELL)
    with pytest.raises(InvalidInput, match="“Taken” already"):
        sources.change_source(source, SHELL, name="Taken", url=URL + "/other")
    with pytest.raises(InvalidInput):
        sources.change_source(source, SHELL, name="Fine", key="")
    stored = DataSource.objects.get(pk=source.pk)
    assert (stored.name, stored.url) == (source.name, source.url) == ("Staging", URL)


def test_a_source_that_is_being_read_keeps_its_url_and_what_was_agreed_on() -> None:
    """The pull would store as agreed with the new environment what it reads from the old one."""
    source = sources.add_source("Staging", URL, KEY, SHELL)
    pull = active_pull(source)
    Baseline.objects.create(source=source, model="testapp.country", first=0, shape="a", entries=b"")
    with pytest.raises(InvalidTransition, match=rf"Pull {pull.pk} is reading the source Staging \(queued\)"):
        sources.change_source(source, SHELL, name="Other", url=URL + "/other", key="ds_new.key")
    stored = DataSource.objects.get(pk=source.pk)
    assert (stored.name, stored.url, credentials.reveal(stored.key)) == ("Staging", URL, KEY)
    assert Baseline.objects.exists()
    sources.change_source(source, SHELL, name="Other", url=URL, key="ds_new.key")
    DataPull.objects.update(state=PullState.DONE.value, active_source=None)
    sources.change_source(source, SHELL, url=URL + "/other")
    assert DataSource.objects.get(pk=source.pk).url == URL + "/other"


# Removing.


def test_what_is_done_to_a_source_is_recorded_and_outlives_it() -> None:
    source = sources.add_source("Staging", URL, KEY, SHELL)
    sources.change_source(source, SHELL, url="https://other.example.com/api", key="env:DATA_SYNC_KEY_OTHER")
    chain = f"source:{source.pk}"
    sources.remove_source(source, SHELL)
    first = {"name": "Staging", "url": URL, "key": "stored encrypted", "google_audience": ""}
    last = first | {"url": "https://other.example.com/api", "key": "env:DATA_SYNC_KEY_OTHER"}
    assert list(Event.objects.filter(chain=chain).values_list("number", "actor", "action", "detail")) == [
        (1, SHELL.label, "source_added", first),
        (2, SHELL.label, "source_changed", {"before": first, "after": last, "new_key": True}),
        (3, SHELL.label, "source_removed", last),
    ]


def test_a_change_that_cannot_be_recorded_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    source = sources.add_source("Staging", URL, KEY, SHELL)
    monkeypatch.setattr("data_sync.services.audit._append", mock.Mock(side_effect=DatabaseError("no room")))
    for attempt in (
        lambda: sources.add_source("Other", URL, KEY, SHELL),
        lambda: sources.change_source(source, SHELL, name="Another"),
        lambda: sources.remove_source(source, SHELL),
    ):
        with pytest.raises(DatabaseError, match="no room"):
            attempt()
    assert list(DataSource.objects.values_list("name", flat=True)) == ["Staging"]


def test_a_removed_source_leaves_its_pulls() -> None:
    source = sources.add_source("Staging", URL, KEY, SHELL)
    pull = active_pull(source)
    DataPull.objects.filter(pk=pull.pk).update(state=PullState.DONE.value, active_source=None)
    sources.remove_source(source, SHELL)
    assert not DataSource.objects.exists()
    kept = DataPull.objects.get(pk=pull.pk)
    assert (kept.source, kept.source_name) == (None, "Staging")


def test_a_source_that_is_being_read_stays() -> None:
    source = sources.add_source("Staging", URL, KEY, SHELL)
    pull = active_pull(source)
    with pytest.raises(InvalidTransition, match=rf"Pull {pull.pk} is reading the source Staging \(queued\)"):
        sources.remove_source(source, SHELL)
    assert DataSource.objects.filter(pk=source.pk).exists()


# Opening and trying.


def test_opening_gives_a_reader_and_contacts_nobody() -> None:
    source = sources.open_source(sources.add_source("Staging", URL, KEY, SHELL))
    assert isinstance(source, HttpSource)
    assert "canary" not in repr(source)


def test_a_source_whose_key_is_missing_says_which_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATA_SYNC_KEY_STAGING", raising=False)
    source = sources.add_source("Staging", URL, "env:DATA_SYNC_KEY_STAGING", SHELL)
    with pytest.raises(DataSyncError, match="DATA_SYNC_KEY_STAGING"):
        sources.open_source(source)
    (check,) = source_checks.check_source(source)
    assert (check.name, check.ok) == ("settings", False)
    assert "DATA_SYNC_KEY_STAGING" in check.message


def test_a_source_whose_url_the_settings_no_longer_allow_says_so(settings: Any) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = ["intranet"]
    source = sources.add_source("Staging", "http://intranet", KEY, SHELL)
    settings.DATA_SYNC_ALLOWED_HOSTS = []
    (check,) = source_checks.check_source(source)
    assert (check.name, check.ok) == ("settings", False)
    with pytest.raises(InvalidInput, match="give the export key again"):
        sources.change_source(source, SHELL, url="https://intranet")
    sources.change_source(source, SHELL, url="https://intranet", key=KEY)


@pytest.fixture
def tried(settings: Any) -> Iterator[Callable[..., list[tuple[str, bool]]]]:
    """Tries a source that gives this answer: the checks' names and results, and `messages` of the last try."""
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    servers: list[Server] = []

    def check(answer: bytes, tls: Any = None) -> list[tuple[str, bool]]:
        servers.append(Server(sends(answer), tls))
        source = DataSource(name="Staging", url=servers[-1].url, key=credentials.protect(KEY))
        found = source_checks.check_source(source)
        check.messages = {one.name: one.message for one in found}  # type: ignore[attr-defined]
        assert "canary" not in str(found)
        return [(one.name, one.ok) for one in found]

    yield check
    for server in servers:
        server.close()


def manifest(**changes: Any) -> dict[str, Any]:
    return {**LocalSource().manifest().to_plain(), **changes}


def test_a_sound_source_passes_every_check(tried: Any) -> None:
    document = manifest()
    document["models"]["testapp.tag"]["count"] = 1
    found = tried(http("200 OK", json.dumps(document).encode(), Date=format_datetime(datetime.now(UTC), usegmt=True)))
    labels = list(LocalSource().manifest().models)
    names = ["reachable", "TLS", "key accepted", "protocol", "clock", *labels]
    assert found == [(name, True) for name in names]
    assert "Plain http" in tried.messages["TLS"]
    assert "Same on both sides; 0 rows there." == tried.messages["testapp.country"]
    assert "Same on both sides; 1 row there." == tried.messages["testapp.tag"]


@pytest.mark.parametrize(
    ("scoped", "alone"), [(True, " It has a queryset at the source alone."), (False, ""), (None, "")]
)
def test_a_scope_that_one_side_alone_has_is_said_and_no_fault(scoped: bool | None, alone: str, tried: Any) -> None:
    document = manifest()
    tag = document["models"]["testapp.tag"]
    del tag["scoped"]
    if scoped is not None:
        tag["scoped"] = scoped
    assert ("testapp.tag", True) in tried(http("200 OK", json.dumps(document).encode()))
    assert tried.messages["testapp.tag"] == f"Same on both sides; 0 rows there.{alone}"


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (http("401 Unauthorized"), ["reachable", "TLS", "key accepted"]),
        (http("403 Forbidden"), ["reachable", "TLS", "key accepted"]),
        (http("404 Not Found"), ["reachable", "TLS", "answer"]),
        (http("302 Found", Location="https://elsewhere.example"), ["reachable", "TLS", "answer"]),
        (http("200 OK", b"<html>", Content_Type="text/html"), ["reachable", "TLS", "answer"]),
        (http("200 OK", b"{}"), ["reachable", "TLS", "key accepted", "protocol"]),
        (
            http("200 OK", b'{"format":"data-sync-manifest","protocol":99,"models":{}}'),
            ["reachable", "TLS", "key accepted", "protocol"],
        ),
    ],
)
def test_the_last_check_is_the_one_that_failed(answer: bytes, names: list[str], tried: Any) -> None:
    found = tried(answer)
    assert [name for name, _ in found] == names
    assert [ok for _, ok in found] == [True] * (len(names) - 1) + [False]


def test_a_bad_certificate_fails_at_tls(tried: Any, tmp_path: Path) -> None:
    assert tried(http("200 OK"), Authority(tmp_path).context("127.0.0.1")) == [("reachable", True), ("TLS", False)]


def test_an_unreachable_source_fails_at_once(settings: Any) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = ["127.0.0.1"]
    server = Server(sends(b""))
    server.close()
    source = DataSource(name="Staging", url=server.url, key=credentials.protect(KEY))
    assert [(check.name, check.ok) for check in source_checks.check_source(source)] == [("reachable", False)]


@pytest.mark.parametrize(
    ("ahead", "ok", "words"), [(0, True, "agree"), (90, False, "s ahead of"), (-90, False, "s behind")]
)
def test_clocks_that_differ_by_more_than_a_minute_are_told(ahead: int, ok: bool, words: str, tried: Any) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    found = dict(tried(http("200 OK", json.dumps(manifest()).encode(), Date=date)))
    assert found["clock"] is ok
    assert words in tried.messages["clock"]


def test_schema_differences_are_told_per_model(tried: Any) -> None:
    theirs = manifest()
    del theirs["models"]["testapp.language"]
    theirs["models"]["testapp.country"]["fields"]["extra"] = {"type": "CharField"}
    theirs["models"]["other.model"] = {"key": ["a"], "fields": {}, "files": {}, "count": 0}
    found = dict(tried(http("200 OK", json.dumps(theirs).encode())))
    assert found["testapp.language"] is True
    assert "a pull leaves it alone" in tried.messages["testapp.language"]
    assert found["testapp.country"] is False
    assert tried.messages["testapp.country"] == "extra is only at the source."
    assert found["testapp.copy"] is True
    assert found["other.model"] is False
    assert tried.messages["other.model"] == "is not registered here."


def test_with_another_url_what_was_agreed_on_is_forgotten(environments: Environments) -> None:
    """It was agreed on with another environment."""
    environments.add(Country, code="FR")
    environments.pull("testapp.country")
    assert Baseline.objects.filter(source=environments.source).exists()
    sources.change_source(environments.source, environments.actor, name="Renamed")
    assert Baseline.objects.filter(source=environments.source).exists()
    sources.change_source(environments.source, environments.actor, url=f"{environments.url}/elsewhere")
    assert not Baseline.objects.exists()


def test_trying_says_whether_a_google_token_can_be_got(
    tried: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    settings.DATA_SYNC_CA_BUNDLE = authority.file
    server = Server(sends(http("200 OK", json.dumps(manifest()).encode())), authority.context("127.0.0.1"))
    source = DataSource(name="Run", url=server.url, google_audience=server.url)
    with google.on_google(google.Account(), monkeypatch) as metadata:
        found = source_checks.check_source(source)
        assert [(check.name, check.ok) for check in found][:3] == [
            ("Google token", True),
            ("reachable", True),
            ("TLS", True),
        ]
        google_tokens.forget()
        metadata.silent = True
        monkeypatch.setattr(google_tokens, "LONGEST_SECONDS", 0.3)
        [check] = source_checks.check_source(source)
    assert (check.name, check.ok) == ("Google token", False)
    server.close()
