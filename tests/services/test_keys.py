"""RELIABILITY 1: who may read from here holds a key, and the key says what."""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from data_sync import registry
from data_sync.core.errors import InvalidInput, NotPermitted
from data_sync.models import ExportKey
from data_sync.services import callers, keys
from data_sync.services.actors import Actor, command_line, of_user
from tests.admin import making

pytestmark = pytest.mark.django_db
TOKEN = "an-export-token-of-more-than-32-characters"
EVERY_LABEL = frozenset(registration.label for registration in registry.registrations())


@pytest.fixture
def actor() -> Actor:
    return command_line()


def labels_of(authorization: str | None) -> frozenset[str] | None:
    caller = callers.authenticate(authorization)
    return None if caller is None else caller.labels


def bearer(text: str) -> frozenset[str] | None:
    return making.readable(text)


def test_a_key_is_prefix_and_256_random_bits(actor: Actor) -> None:
    made = [keys.create_key(f"Consumer {number}", actor) for number in range(20)]
    for key, text in made:
        prefix, secret = text.split(".")
        assert prefix == key.prefix
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret)
    assert len({text for _, text in made}) == len({key.prefix for key, _ in made}) == 20


def test_the_database_has_the_hash_and_nothing_else_of_the_secret(actor: Actor) -> None:
    key, text = keys.create_key("Staging", actor)
    secret = text.partition(".")[2]
    stored = ExportKey.objects.values().get(pk=key.pk)
    assert secret not in str(stored)
    assert re.fullmatch(r"[0-9a-f]{64}", stored["secret_hash"])
    assert secret not in f"{key} {key!r} {vars(key)}"


def test_a_key_without_models_reads_every_registered_one(actor: Actor) -> None:
    _, text = keys.create_key("Staging", actor)
    assert bearer(text) == EVERY_LABEL


def test_each_key_reads_its_own_models_only(actor: Actor) -> None:
    _, countries = keys.create_key("A", actor, model_labels=["testapp.Country"])
    _, both = keys.create_key("B", actor, model_labels=["testapp.language", "testapp.country", "testapp.country"])
    assert bearer(countries) == {"testapp.country"}
    assert bearer(both) == {"testapp.country", "testapp.language"}


def test_a_key_whose_models_are_gone_reads_nothing_rather_than_all(actor: Actor) -> None:
    key, text = keys.create_key("Staging", actor, model_labels=["testapp.country"])
    ExportKey.objects.filter(pk=key.pk).update(model_labels=["gone.model"])
    assert bearer(text) == frozenset()


def test_two_keys_are_good_at_once_so_that_they_can_be_rotated(actor: Actor) -> None:
    old, old_text = keys.create_key("Old", actor)
    _, new_text = keys.create_key("New", actor)
    assert bearer(old_text) == bearer(new_text) == EVERY_LABEL
    keys.revoke_key(old, actor)
    assert bearer(old_text) is None
    assert bearer(new_text) == EVERY_LABEL


def test_a_revoked_key_stays_as_a_row_and_its_time_stays(actor: Actor) -> None:
    key, text = keys.create_key("Staging", actor)
    keys.revoke_key(key, actor)
    first = key.revoked_at
    keys.revoke_key(key, actor)
    assert first is not None
    assert ExportKey.objects.get(pk=key.pk).revoked_at == first
    assert bearer(text) is None


def test_a_key_expires_on_its_day(actor: Actor) -> None:
    key, text = keys.create_key("Staging", actor, expires_in_days=7)
    assert key.expires_at is not None
    assert abs(key.expires_at - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)
    assert bearer(text) == EVERY_LABEL
    ExportKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert bearer(text) is None


@pytest.mark.parametrize(
    "form",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "{key}",
        "Basic {key}",
        "Token {key}",
        "Bearer {prefix}",
        "Bearer {prefix}.",
        "Bearer .{secret}",
        "Bearer {secret}",
        "Bearer {key}x",
        "Bearer {key}.{secret}",
        "Bearer {key} {key}",
        "Bearer {key},",
        "Bearer {upper}",
        "Bearer {prefix}.{other}",
        "Bearer ds_000000000000.{secret}",
        "Bearer {prefix}\x00.{secret}",
        "Bearer {prefix}.{secret_hash}",
        "Bearer \ud800",
        "Bearer " + "x" * 100_000,
    ],
)
def test_whatever_is_not_the_key_is_refused(form: str | None, actor: Actor) -> None:
    key, text = keys.create_key("Staging", actor)
    _, other = keys.create_key("Other", actor)
    prefix, secret = text.split(".")
    parts = {"key": text, "prefix": prefix, "secret": secret, "upper": text.upper()}
    parts |= {"other": other.partition(".")[2], "secret_hash": key.secret_hash}
    assert labels_of(form and form.format(**parts)) is None


def test_the_scheme_s_case_does_not_matter(actor: Actor) -> None:
    _, text = keys.create_key("Staging", actor)
    assert labels_of(f"bearer  {text} ") == EVERY_LABEL


def test_malformed_keys_cost_no_query() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert bearer("x" * 43) is None
        assert bearer("ds_0.short") is None
    assert len(queries) == 0


def test_secrets_are_compared_in_constant_time_also_where_no_key_has_the_prefix(
    actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared = []
    real = callers.constant_time_compare
    monkeypatch.setattr(callers, "constant_time_compare", lambda a, b: compared.append((a, b)) or real(a, b))
    _, text = keys.create_key("Staging", actor)
    bearer(text)
    bearer("ds_000000000000." + text.partition(".")[2])
    assert len(compared) == 2


# The token from the environment.


def test_the_token_of_the_settings_reads_everything(settings: Any) -> None:
    settings.DATA_SYNC_EXPORT_TOKEN = TOKEN
    assert bearer(TOKEN) == EVERY_LABEL
    assert bearer(TOKEN + "x") is None
    assert bearer(TOKEN[:-1]) is None


def test_the_token_of_the_environment_reads_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_SYNC_EXPORT_TOKEN", TOKEN)
    assert bearer(TOKEN) == EVERY_LABEL


def test_an_empty_token_is_no_anonymous_mode(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.DATA_SYNC_EXPORT_TOKEN = ""
    for form in (None, "", "Bearer", "Bearer ", "Bearer  ", "Bearer x"):
        assert labels_of(form) is None
    assert caplog.text == ""


def test_a_token_short_enough_to_guess_is_refused_and_the_log_says_why(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DATA_SYNC_EXPORT_TOKEN = "hunter2"
    assert bearer("hunter2") is None
    assert "DATA_SYNC_EXPORT_TOKEN has fewer than 32 characters" in caplog.text
    assert "hunter2" not in caplog.text


# Last use.


def test_the_last_use_is_written_at_most_once_a_minute(actor: Actor) -> None:
    key, text = keys.create_key("Staging", actor)
    assert key.last_used_at is None
    bearer(text)
    first = ExportKey.objects.get(pk=key.pk).last_used_at
    assert first is not None
    with CaptureQueriesContext(connection) as queries:
        bearer(text)
    assert [query["sql"][:6] for query in queries] == ["SELECT"]
    ExportKey.objects.update(last_used_at=first - timedelta(minutes=2))
    bearer(text)
    assert ExportKey.objects.get(pk=key.pk).last_used_at >= first


def test_a_refused_key_is_not_noted_as_used(actor: Actor) -> None:
    key, text = keys.create_key("Staging", actor)
    keys.revoke_key(key, actor)
    bearer(text)
    assert ExportKey.objects.get(pk=key.pk).last_used_at is None


def test_reading_goes_on_where_the_use_cannot_be_noted(actor: Actor, caplog: pytest.LogCaptureFixture) -> None:
    _, text = keys.create_key("Staging", actor)

    def refuse_updates(execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise DatabaseError("the database is read-only")
        return execute(sql, *arguments)

    caplog.set_level(logging.DEBUG)
    with connection.execute_wrapper(refuse_updates):
        assert bearer(text) == EVERY_LABEL
    assert "could not be noted" in caplog.text
    assert text.partition(".")[2] not in caplog.text


# Who may make and revoke keys.


def test_only_who_holds_the_permission_makes_and_revokes_keys() -> None:
    user = User.objects.create_user("anna", is_staff=True)
    key, _ = keys.create_key("Staging", command_line())
    for call in (lambda: keys.create_key("Mine", of_user(user)), lambda: keys.revoke_key(key, of_user(user))):
        with pytest.raises(NotPermitted, match=r"anna lacks the permission data_sync\.manage_exportkey"):
            call()
    assert not ExportKey.objects.filter(name="Mine").exists()
    assert ExportKey.objects.get(pk=key.pk).revoked_at is None
    user.user_permissions.add(Permission.objects.get(codename="manage_exportkey"))
    holder = of_user(User.objects.get(pk=user.pk))
    made, _ = keys.create_key("Mine", holder)
    keys.revoke_key(made, holder)
    assert made.created_by == user


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": ""}, "needs a name"),
        ({"name": "  "}, "needs a name"),
        ({"name": "x" * 101}, "needs a name"),
        ({"name": " Taken "}, "named “Taken” already"),
        (
            {"model_labels": ["testapp.nothing"]},
            r"'testapp\.nothing' is not registered.*Registered: .*testapp\.country",
        ),
        ({"model_labels": ["auth.user"]}, "not registered"),
        ({"model_labels": [""]}, "not registered"),
        ({"expires_in_days": 0}, "after 1 to"),
        ({"expires_in_days": -1}, "after 1 to"),
        ({"expires_in_days": 10**9}, "after 1 to"),
    ],
)
def test_what_cannot_be_a_key_is_refused_with_a_sentence(options: dict[str, Any], sentence: str, actor: Actor) -> None:
    keys.create_key("Taken", actor)
    with pytest.raises(InvalidInput, match=sentence):
        keys.create_key(options.pop("name", "New"), actor, **options)
    assert ExportKey.objects.count() == 1


# Rotation.


def test_rotating_makes_a_second_active_key_and_has_the_old_one_end(actor: Actor) -> None:
    old, old_text = keys.create_key("Production", actor, model_labels=["testapp.copy"], expires_in_days=365)
    new, new_text = keys.rotate_key(old, actor)
    assert bearer(old_text) == bearer(new_text) == {"testapp.copy"}
    assert (new.name, old.name) == ("Production", f"Production (old, {old.prefix})")
    assert new.expires_at is not None and old.expires_at is not None
    assert abs(new.expires_at - timezone.now() - timedelta(days=365)) < timedelta(minutes=1)
    assert abs(old.expires_at - timezone.now() - timedelta(days=7)) < timedelta(minutes=1)
    ExportKey.objects.filter(pk=old.pk).update(expires_at=timezone.now())
    assert bearer(old_text) is None
    assert bearer(new_text) == {"testapp.copy"}


def test_the_name_stays_with_the_key_that_is_to_be_used(actor: Actor) -> None:
    key, _ = keys.create_key("x" * 100, actor)
    for _ in range(3):
        key, _ = keys.rotate_key(key, actor)
    names = list(ExportKey.objects.order_by("pk").values_list("name", flat=True))
    assert names[-1] == "x" * 100 and len(set(names)) == 4 and max(map(len, names)) == 100


@pytest.mark.parametrize(
    ("life", "expires", "overlap", "new_days", "old_days"),
    [
        (None, None, 7, None, 7),
        (None, 30, 0, 30, 0),
        (100, None, 7, 100, 7),
        (100, 30, 1, 30, 1),
        (3, None, 7, 3, 3),
    ],
)
def test_the_old_key_ends_after_the_overlap_and_never_later_than_it_would(
    actor: Actor, life: int | None, expires: int | None, overlap: int, new_days: int | None, old_days: int
) -> None:
    old, old_text = keys.create_key("Production", actor, expires_in_days=life)
    new, _ = keys.rotate_key(old, actor, expires_in_days=expires, overlap_days=overlap)
    now = timezone.now()
    assert old.expires_at is not None and abs(old.expires_at - now - timedelta(days=old_days)) < timedelta(minutes=1)
    assert (new.expires_at is None) is (new_days is None)
    if new.expires_at is not None and new_days is not None:
        assert abs(new.expires_at - now - timedelta(days=new_days)) < timedelta(minutes=1)
    assert (bearer(old_text) is None) is (overlap == 0)


def test_of_two_rotations_of_one_key_one_is_refused(actor: Actor) -> None:
    key, _ = keys.create_key("Production", actor)
    as_another_saw_it = ExportKey.objects.get(pk=key.pk)
    keys.rotate_key(key, actor)
    with pytest.raises(InvalidInput, match="just been rotated"):
        keys.rotate_key(as_another_saw_it, actor)
    assert ExportKey.objects.count() == 2


@pytest.mark.parametrize("options", [{"overlap_days": -1}, {"overlap_days": 10**6}, {"expires_in_days": 0}])
def test_a_rotation_that_cannot_be_is_refused_and_leaves_the_key_as_it_was(actor: Actor, options: Any) -> None:
    key, _ = keys.create_key("Production", actor)
    before = ExportKey.objects.values().get()
    with pytest.raises(InvalidInput, match=r"\d to 36500 days"):
        keys.rotate_key(key, actor, **options)
    assert ExportKey.objects.values().get() == before


def test_a_revoked_key_is_not_rotated_and_only_who_may_rotates(actor: Actor) -> None:
    key, _ = keys.create_key("Production", actor)
    with pytest.raises(NotPermitted, match="manage_exportkey"):
        keys.rotate_key(key, of_user(User.objects.create_user("anna")))
    keys.revoke_key(key, actor)
    with pytest.raises(InvalidInput, match="is revoked"):
        keys.rotate_key(key, actor)
    assert ExportKey.objects.count() == 1


@pytest.mark.parametrize(
    ("expires", "revoked", "state"),
    [
        (None, False, "active"),
        (timedelta(days=15), False, "active"),
        (timedelta(days=13), False, "expiring"),
        (timedelta(0), False, "expired"),
        (timedelta(days=13), True, "revoked"),
    ],
)
def test_a_key_says_what_it_is_good_for(expires: timedelta | None, revoked: bool, state: str) -> None:
    now = timezone.now()
    key = ExportKey(expires_at=None if expires is None else now + expires, revoked_at=now if revoked else None)
    assert keys.state_of(key) == state
