"""`source` and `key`: secrets come in by standard input, go out once, and are nowhere else."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from data_sync.models import DataSource, DeleteLimit, Event, ExportKey
from data_sync.services import credentials
from tests.admin import making

from .conftest import Run

pytestmark = pytest.mark.django_db(databases="__all__")
URL = "https://staging.example.org/api"
KEY = "ds_0123456789ab.a-key-that-nobody-else-has-0123456789-abcdef"


def test_a_source_is_added_with_a_key_from_standard_input(run: Run) -> None:
    ran = run("source", "add", "Staging", URL, "--key", "-", given=f"{KEY}\n")
    assert ran.code == 0
    source = DataSource.objects.get()
    assert (source.name, source.url, credentials.reveal(source.key)) == ("Staging", URL, KEY)
    for output in (ran.out, ran.err, run("source", "list").out, run("source", "list", "--json").out):
        assert KEY not in output and source.key not in output


def test_a_source_is_added_with_a_key_in_a_variable(run: Run) -> None:
    """The variable need not exist: doctor says so, and a pull does."""
    added = run("source", "add", "Staging", URL, "--key", "env:STAGING_KEY", "--json")
    known = {"name": "Staging", "url": URL, "key": "env:STAGING_KEY", "google_audience": ""}
    assert (added.code, added.document) == (0, known)
    assert run("source", "list", "--json").document == {"sources": [added.document]}
    assert "env:STAGING_KEY; never pulled" in run("source", "list").out


def test_a_key_is_asked_for_at_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt: KEY)
    assert run("source", "add", "Staging", URL, terminal=True).code == 0
    assert credentials.reveal(DataSource.objects.get().key) == KEY


@pytest.mark.parametrize(
    ("words", "given", "reason"),
    [
        (["a", URL, "--key", KEY], "", "A key on the command line would stay in the shell's history."),
        (["a", URL], "", "Give --key env:VAR"),
        (["a", URL, "--key", "-"], "", "must be 1 to 1000 printable ASCII characters"),
        (["a", URL, "--key", "-"], "two words\n", "without spaces"),
        (["a", URL, "--key", "-"], "x" * 20_000, "must be 1 to 1000"),
        (["a", URL, "--key", "env:"], "", "the name of an environment variable"),
        (["", URL, "--key", "env:A"], "", "needs a name"),
        (["a\nb", URL, "--key", "env:A"], "", "needs a name"),
        (["a", "staging", "--key", "env:A"], "", "https://"),
        (["a", "http://staging.example.org", "--key", "env:A"], "", "http"),
        (["a", "https://user:secret@example.org", "--key", "env:A"], "", ""),
        (["Staging", URL, "--key", "env:A"], "", "There is a source named “Staging” already"),
    ],
)
def test_what_cannot_be_a_source_is_refused(run: Run, words: list[str], given: str, reason: str) -> None:
    making.source()
    ran = run("source", "add", *words, given=given)
    assert (ran.code, ran.out) == (1, "")
    assert reason in ran.err and KEY not in ran.err and "Traceback" not in ran.err
    assert DataSource.objects.count() == 1


def test_a_source_is_removed_and_its_changesets_stay(run: Run) -> None:
    source = making.source()
    changeset = making.changeset([making.update()], source=source)
    assert run("source", "remove", "Staging", "--json").document == {"removed": "Staging"}
    changeset.refresh_from_db()
    assert (DataSource.objects.count(), changeset.source, changeset.source_name) == (0, None, "Staging")
    again = run("source", "remove", "Staging")
    assert again.code == 1 and "There is no source named “Staging”" in again.err


def test_a_source_gets_another_key_and_keeps_the_rest(run: Run) -> None:
    source = making.source()
    run("source", "limit", "Staging", "--rows", "20")
    run("source", "trust", "Staging", "--models", "testapp.tag")
    ran = run("source", "change", "Staging", "--key", "-", given=f"{KEY}\n")
    assert ran.code == 0 and "ended trust" in ran.out and KEY not in ran.out + ran.err
    source.refresh_from_db()
    assert (source.name, credentials.reveal(source.key)) == ("Staging", KEY)
    assert "20 rows" in run("source", "limit", "Staging").out
    again = run("source", "change", "Staging", "--name", "Stage", "--key", "env:OTHER", "--json").document
    assert (again["name"], again["key"], again["url"]) == ("Stage", "env:OTHER", source.url)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["Staging"], "Say what to change"),
        (["Nothing", "--name", "New"], "Nothing"),
        (["Staging", "--url", "https://other.example.org/api"], "give the export key again"),
        (["Staging", "--key", KEY], "A key on the command line would stay in the shell's history."),
        (["Staging", "--name", ""], "needs a name"),
        (["Staging", "--name", "New", "--as", "ada"], "change_datasource"),
    ],
)
def test_a_change_that_makes_no_sense_or_is_not_allowed_is_refused(run: Run, words: list[str], reason: str) -> None:
    making.source()
    making.user("ada", "view_datasource")
    before = DataSource.objects.values().get()
    ran = run("source", "change", *words)
    assert ran.code == 1 and reason in ran.err and KEY not in ran.err
    assert DataSource.objects.values().get() == before


def test_a_source_that_is_being_pulled_from_is_not_removed(run: Run) -> None:
    source = making.source()
    making.pull(source=source, state="reading", active_source=source.pk)
    ran = run("source", "remove", "Staging")
    assert ran.code == 1 and "cancel it" in ran.err
    assert DataSource.objects.exists()


def test_limits_of_deletes_are_set_shown_and_taken_back(run: Run) -> None:
    source = making.source()
    assert run("source", "limit", "Staging", "--json").document == {
        "name": "Staging",
        "rows": 1000,
        "percent": 50,
        "models": {},
    }
    assert run("source", "limit", "Staging", "--rows", "20").code == 0
    words = ["--model", "testapp.Tag", "--percent", "0"]
    document = run("source", "limit", "Staging", *words, "--json").document
    assert (document["rows"], document["percent"]) == (20, 50)
    assert document["models"] == {"testapp.tag": {"rows": 20, "percent": 0}}
    shown = run("source", "limit", "Staging").out
    assert "20 rows or 0 % of testapp.tag" in shown and "20 rows or 50 % of any other model" in shown
    run("source", "limit", "Staging", "--model", "testapp.tag", "--percent", "default")
    assert run("source", "limit", "Staging", "--json").document["models"] == {}
    assert Event.objects.filter(chain=f"source:{source.pk}", action="limits_changed").count() == 3


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--percent", "101"], "from 0 to 100"),
        (["--rows", "-1"], "-1"),
        (["--rows", "many"], "neither a number"),
        (["--model", "testapp.nothing", "--rows", "1"], "no registered model"),
        (["--model", "testapp.tag"], "--rows N"),
        (["--rows", "1", "--as", "ada"], "change_datasource"),
    ],
)
def test_limits_that_make_no_sense_or_are_not_allowed_are_refused(run: Run, words: list[str], reason: str) -> None:
    making.source()
    making.user("ada", "view_datasource", "pull_datasource")
    ran = run("source", "limit", "Staging", *words)
    assert ran.code == 1 and reason in ran.err
    assert not Event.objects.exists() and not DeleteLimit.objects.exists()


def test_lists_say_how_to_begin(run: Run) -> None:
    assert "data_sync source add" in run("source", "list").out
    assert "data_sync key create" in run("key", "list").out
    assert "data_sync pull" in run("list").out


def test_a_key_is_printed_once_and_alone(run: Run) -> None:
    """`KEY=$(manage.py data_sync key create production)` gives the key."""
    ran = run("key", "create", "production")
    assert ran.code == 0 and "cannot be shown again" in ran.err
    text = ran.out.strip()
    assert making.readable(text) is not None
    secret = text.partition(".")[2]
    for words in (["key", "list"], ["key", "list", "--json"], ["key", "revoke", "production"]):
        later = run(*words)
        assert later.code == 0 and secret not in later.out + later.err


def test_a_key_may_be_limited_to_models_and_days(run: Run) -> None:
    words = ["--models", "testapp.Copy, testapp.tag,", "--expires", "30"]
    document = run("key", "create", "production", *words, "--json").document
    assert set(document) == {"name", "key"}
    key = ExportKey.objects.get()
    assert making.readable(document["key"]) == {"testapp.copy", "testapp.tag"}
    assert key.expires_at is not None and timedelta(29) < key.expires_at - timezone.now() <= timedelta(30)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["production"], "There is an export key named “production” already"),
        ([""], "needs a name"),
        (["a", "--models", "testapp.nothing"], "'testapp.nothing' is not registered"),
        (["a", "--expires", "0"], "1 to"),
        (["a", "--expires", "-3"], "1 to"),
        (["a", "--expires", "9999999999"], "1 to"),
    ],
)
def test_what_cannot_be_a_key_is_refused(run: Run, words: list[str], reason: str) -> None:
    run("key", "create", "production")
    ran = run("key", "create", *words)
    assert (ran.code, ran.out) == (1, "") and reason in ran.err
    assert ExportKey.objects.count() == 1


def test_a_revoked_key_is_refused_and_revoking_again_changes_nothing(run: Run) -> None:
    text = run("key", "create", "production").out.strip()
    first = run("key", "revoke", "production", "--json")
    assert first.document["state"] == "revoked"
    assert making.readable(text) is None
    again = run("key", "revoke", "production")
    assert again.code == 0 and "was revoked on" in again.out
    assert run("key", "list", "--json").document["keys"] == [first.document]
    assert run("key", "revoke", "another").code == 1


def test_the_list_of_keys_tells_their_state_in_80_columns(run: Run) -> None:
    run("key", "create", "for a consumer with a long name, 大阪 and others", "--models", "testapp.copy,testapp.tag")
    run("key", "create", "old", "--expires", "1")
    ExportKey.objects.filter(name="old").update(expires_at=timezone.now())
    out = run("key", "list").out
    assert "expired" in out and "active" in out
    assert max(map(len, out.splitlines())) < 80


def test_a_key_is_rotated_and_the_new_one_printed_once_and_alone(run: Run) -> None:
    """`KEY=$(manage.py data_sync key rotate production)` gives the new key."""
    old = run("key", "create", "production", "--models", "testapp.tag", "--expires", "365").out.strip()
    ran = run("key", "rotate", "production")
    new = ran.out.strip()
    assert ran.code == 0 and "cannot be shown again" in ran.err
    assert f"The old one, now named production (old, {old.partition('.')[0]}), is refused from" in ran.err
    assert making.readable(new) == making.readable(old) == {"testapp.tag"}
    listed = run("key", "list", "--json").document["keys"]
    assert {key["name"]: key["state"] for key in listed} == {
        "production": "active",
        f"production (old, {old.partition('.')[0]})": "expiring",
    }
    assert "expires soon" in run("key", "list").out
    assert new.partition(".")[2] not in run("key", "list", "--json").out


def test_who_revokes_a_rotated_key_hears_of_the_old_one_and_can_name_it(run: Run) -> None:
    old = run("key", "create", "production").out.strip()
    run("key", "rotate", "production")
    prefix = old.partition(".")[0]
    assert f"is still good. Revoke it, too: data_sync key revoke {prefix}" in run("key", "revoke", "production").out
    ran = run("key", "revoke", prefix)
    assert ran.code == 0 and "still good" not in ran.out
    assert making.readable(old) is None


def test_an_old_key_may_end_at_once(run: Run) -> None:
    old = run("key", "create", "production").out.strip()
    ran = run("key", "rotate", "production", "--expires", "30", "--overlap", "0", "--json")
    assert set(ran.document) == {"name", "key", "old"}
    assert (ran.document["name"], ran.document["old"]["state"]) == ("production", "expired")
    assert making.readable(old) is None and making.readable(ran.document["key"]) is not None
    key = ExportKey.objects.get(name="production")
    assert key.expires_at is not None and timedelta(29) < key.expires_at - timezone.now() <= timedelta(30)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["another"], "There is no export key named “another”"),
        (["production", "--overlap", "-1"], "after 0 to"),
        (["production", "--expires", "0"], "after 1 to"),
    ],
)
def test_what_cannot_be_rotated_is_refused(run: Run, words: list[str], reason: str) -> None:
    run("key", "create", "production")
    ran = run("key", "rotate", *words)
    assert (ran.code, ran.out) == (1, "") and reason in ran.err
    assert ExportKey.objects.count() == 1
