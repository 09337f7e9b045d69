"""Stored keys are encrypted anew in one command, which can be repeated and names what it could not do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from data_sync.core.errors import DataSyncError, InvalidInput, NotPermitted
from data_sync.models import DataSource, Event
from data_sync.services import credentials, rotation, sources
from data_sync.services.actors import command_line
from tests.management.conftest import run as run
from tests.services.test_sources import person

pytestmark = pytest.mark.django_db
URL = "https://staging.example.com/api"
KEY = "ds_0123456789ab.canarycanarycanarycanarycanarycanarycanary1"
OLD, NEW = "old-" + "a" * 32, "new-" + "b" * 32
SHELL = command_line()


@pytest.fixture
def three(settings: Any) -> None:
    """Staging's key under the old text, QA's under one that is lost, and Local's in a variable."""
    settings.DATA_SYNC_ENCRYPTION_KEYS = ["lost-" + "c" * 32]
    sources.add_source("QA", URL, KEY, SHELL)
    settings.DATA_SYNC_ENCRYPTION_KEYS = [OLD]
    sources.add_source("Staging", URL, KEY, SHELL)
    sources.add_source("Local", URL, "env:DATA_SYNC_KEY_LOCAL", SHELL)
    settings.DATA_SYNC_ENCRYPTION_KEYS = [NEW, OLD]


def test_each_key_is_encrypted_anew_once_and_what_fails_stays(three: None, settings: Any) -> None:
    lost = DataSource.objects.get(name="QA").key
    first = rotation.rotate_keys(SHELL)
    assert (first.rotated, first.current, first.failed) == (("Staging",), ("Local",), ("QA",))
    again = rotation.rotate_keys(SHELL)
    assert (again.rotated, again.current, again.failed) == ((), ("Local", "Staging"), ("QA",))
    settings.DATA_SYNC_ENCRYPTION_KEYS = [NEW]
    staging = DataSource.objects.get(name="Staging")
    assert credentials.reveal(staging.key) == KEY
    assert DataSource.objects.get(name="QA").key == lost
    assert [event.chain for event in Event.objects.filter(action="key_rotated")] == [f"source:{staging.pk}"]


def test_a_key_that_is_given_meanwhile_is_not_written_over(three: None, monkeypatch: pytest.MonkeyPatch) -> None:
    renew = credentials.renew

    def meanwhile(stored: str) -> str:
        monkeypatch.setattr(credentials, "renew", renew)
        sources.change_source(DataSource.objects.get(name="Staging"), SHELL, key="ds_given.meanwhile")
        return renew(stored)

    monkeypatch.setattr(credentials, "renew", meanwhile)
    rotation.rotate_keys(SHELL, DataSource.objects.get(name="Staging"))
    assert credentials.reveal(DataSource.objects.get(name="Staging").key) == "ds_given.meanwhile"


def test_rotating_needs_the_permission_to_change_sources(three: None) -> None:
    with pytest.raises(NotPermitted, match="change_datasource"):
        rotation.rotate_keys(person("view_datasource", "add_datasource"))


def test_the_command_says_how_many_and_fails_by_name(three: None, run: Callable[..., Any]) -> None:
    ran = run("source", "rotate", "Staging")
    assert (ran.code, ran.out) == (0, "Encrypted 1 key anew; 0 needed nothing.\n")
    ran = run("source", "rotate")
    assert ran.code == 1
    assert ran.out == "Encrypted 0 keys anew; 2 needed nothing.\n"
    assert "1 key cannot be decrypted" in ran.err and "QA" in ran.err and "canary" not in ran.err
    ran = run("source", "rotate", "--json")
    assert (ran.code, ran.document) == (1, {"rotated": [], "current": ["Local", "Staging"], "failed": ["QA"]})
    assert run("source", "rotate", "Nobody").code == 1


def test_unsound_keys_rotate_nothing(three: None, settings: Any) -> None:
    settings.DATA_SYNC_ENCRYPTION_KEYS = ["short"]
    with pytest.raises(DataSyncError, match="fewer than 32"):
        rotation.rotate_keys(SHELL)


# Google's audience.

RUN = "https://source-abc-ew.a.run.app"
IAP = "123-abc.apps.googleusercontent.com"


def test_a_source_may_have_an_audience_in_place_of_a_key() -> None:
    source = sources.add_source("Run", f"{RUN}/api", "", SHELL, google_audience=f" {RUN} ")
    assert (source.key, source.google_audience) == ("", RUN)
    with pytest.raises(InvalidInput, match="export key"):
        sources.change_source(source, SHELL, google_audience="")
    sources.change_source(source, SHELL, google_audience="", key=KEY)
    assert credentials.reveal(DataSource.objects.get().key) == KEY


@pytest.mark.parametrize("audience", ["two words", "x" * 501, "schlüssel", "a\r\nX: 1"])
def test_an_audience_is_one_word(audience: str) -> None:
    with pytest.raises(InvalidInput, match="Google audience"):
        sources.add_source("Run", URL, KEY, SHELL, google_audience=audience)


def test_a_token_is_never_sent_over_plain_http(settings: Any) -> None:
    settings.DATA_SYNC_ALLOWED_HOSTS = ["intranet"]
    with pytest.raises(InvalidInput, match="https only"):
        sources.add_source("Run", "http://intranet", KEY, SHELL, google_audience=IAP)
    source = sources.add_source("Run", "https://intranet", KEY, SHELL, google_audience=IAP)
    with pytest.raises(InvalidInput, match="https only"):
        sources.change_source(source, SHELL, url="http://intranet", key=KEY, google_audience=IAP)


@pytest.mark.parametrize(
    "audience", [IAP, "https://other.run.app", "https://staging.example.com:8443", "http://[", "x"]
)
def test_a_person_cannot_have_tokens_for_another_service_sent_to_a_host_of_their_own(audience: str) -> None:
    actor = person("add_datasource", "change_datasource")
    with pytest.raises(InvalidInput, match="--google-audience"):
        sources.add_source("Mine", URL, KEY, actor, google_audience=audience)
    source = sources.add_source("Mine", URL, KEY, actor, google_audience="https://staging.example.com/x")
    with pytest.raises(InvalidInput, match="--google-audience"):
        sources.change_source(source, actor, google_audience=audience)
    source = sources.add_source("Set by the operator", URL, KEY, SHELL, google_audience=audience)
    sources.change_source(source, actor, name="Renamed", url=f"{URL}/v2", google_audience=audience)
    with pytest.raises(InvalidInput, match="--google-audience"):
        sources.change_source(source, actor, url="https://mine.example", key=KEY, google_audience=audience)


def test_another_host_needs_the_audience_again() -> None:
    source = sources.add_source("Run", URL, KEY, SHELL, google_audience=IAP)
    with pytest.raises(InvalidInput, match="give the Google audience again"):
        sources.change_source(source, SHELL, url="https://mine.example", key=KEY)
    sources.change_source(source, SHELL, url="https://mine.example", key=KEY, google_audience="")
    assert DataSource.objects.get().google_audience == ""


def test_the_command_adds_a_source_with_an_audience_and_without_a_key(run: Callable[..., Any]) -> None:
    ran = run("source", "add", "Run", RUN, "--google-audience", IAP, "--json")
    assert (ran.code, ran.document["google_audience"], ran.document["key"]) == (0, IAP, "none")
    assert f"Google audience: {IAP}" in run("source", "list").out
    assert run("source", "add", "Both", RUN, "--google-audience", IAP, "--key", "env:A").code == 0
