"""Export keys over HTTP: shown once, changed by nobody, rotated and revoked by who may."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from data_sync.models import Event, ExportKey
from data_sync.services import callers, export_events, keys
from data_sync.services.actors import Actor, of_user

from . import making
from .test_review import text

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor() -> Actor:
    return of_user(making.user("admin", "*"))


@pytest.fixture
def admin(client: Client, actor: Actor) -> Client:
    client.force_login(actor.user)
    return client


def url(name: str, *args: object) -> str:
    return reverse(f"admin:data_sync_exportkey_{name}", args=args)


def shown_key(page: Any) -> str:
    return str(re.findall(r"ds_[0-9a-f]{12}\.[A-Za-z0-9_-]{43}", page.content.decode())[0])


def stored(key: ExportKey) -> dict[str, Any]:
    return dict(ExportKey.objects.values().get(pk=key.pk))


def test_a_key_is_shown_once_on_the_answer_and_kept_nowhere(admin: Client) -> None:
    page = admin.post(url("add"), {"name": "Production", "models": ["testapp.term"], "expires_in_days": "30"})

    key = ExportKey.objects.get()
    shown = shown_key(page)
    assert making.readable(shown) == frozenset({"testapp.term"})
    assert page.headers["Cache-Control"].find("no-store") >= 0
    secret = shown.partition(".")[2]
    for later in (url("change", key.pk), url("changelist"), url("add"), url("rotate", key.pk), url("revoke", key.pk)):
        assert secret not in admin.get(later).content.decode()
        assert key.secret_hash not in admin.get(later).content.decode()
    assert secret not in str(dict(admin.session))


def test_no_form_sets_what_a_key_is_made_of(admin: Client, actor: Actor) -> None:
    other = making.user("other")
    forged = {
        "name": "Production",
        "prefix": "ds_mine",
        "secret_hash": "0" * 64,
        "created_by": str(other.pk),
        "revoked_at": "2020-01-01",
        "last_used_from": "192.0.2.9",
        "id": "4711",
        "pk": "4711",
    }

    shown = shown_key(admin.post(url("add"), forged))

    key = ExportKey.objects.get()
    assert making.readable(shown) is not None
    assert (key.prefix, key.created_by_id) == (shown.partition(".")[0], actor.user.pk)
    assert key.revoked_at is None and key.last_used_from == "" and key.pk != 4711
    before = stored(key)
    for page in (url("change", key.pk), url("changelist")):
        admin.post(page, {**forged, "name": "Mine", "_save": "Save", "action": "delete_selected"})
    assert admin.post(f"{url('changelist')}{key.pk}/delete/", {"post": "yes"}).status_code in (403, 404)
    assert stored(key) == before


def test_rotating_shows_a_second_key_of_the_same_models(admin: Client, actor: Actor) -> None:
    old, old_text = keys.create_key("Production", actor, model_labels=["testapp.term"], expires_in_days=365)

    question = admin.get(url("rotate", old.pk))
    page = admin.post(url("rotate", old.pk), {"expires_in_days": "", "overlap_days": "3"})

    new = ExportKey.objects.exclude(pk=old.pk).get()
    old.refresh_from_db()
    assert "The old key stays good for" in text(question)
    assert making.readable(shown_key(page)) == making.readable(old_text) == {"testapp.term"}
    assert (new.name, old.name) == ("Production", f"Production (old, {old.prefix})")
    assert old.name in text(page)
    assert old.expires_at is not None and abs(old.expires_at - timezone.now() - timedelta(3)) < timedelta(minutes=1)


def test_a_revoked_key_is_not_rotated(admin: Client, actor: Actor) -> None:
    key, _ = keys.create_key("Production", actor)
    keys.revoke_key(key, actor)

    page = admin.post(url("rotate", key.pk), {"overlap_days": "3"})

    assert "only one that is neither can be rotated" in text(page)
    assert ExportKey.objects.count() == 1
    assert "Rotate" not in text(admin.get(url("change", key.pk)))


def test_revoking_asks_first(admin: Client, actor: Actor) -> None:
    key, secret = keys.create_key("Production", actor)

    question = admin.get(url("revoke", key.pk))
    assert "Revoke Production ?" in text(question) and "never been used" in text(question)
    assert making.readable(secret) is not None
    page = admin.post(url("revoke", key.pk), follow=True)

    assert making.readable(secret) is None
    assert "revoked" in text(page) and "Revoke…" not in text(page)


def test_a_key_s_page_tells_its_state_its_use_and_its_events(admin: Client, actor: Actor) -> None:
    key, secret = keys.create_key("Production", actor, expires_in_days=13)
    caller = callers.authenticate(f"Bearer {secret}", "192.0.2.7")
    assert caller is not None
    export_events.record_some(caller, "files_read", {"checksum": "sha256:00", "size": 1}, None)
    keys.revoke_key(ExportKey.objects.create(name="Other", prefix="ds_other"), actor)

    shown = text(admin.get(url("change", key.pk)))

    assert "expires soon" in shown and "192.0.2.7" in shown and "Every registered model" in shown
    happened = re.findall(r"<strong>([^<]*)</strong>", admin.get(url("change", key.pk)).content.decode())
    assert happened[-2:] == ["Files read", "Created"]
    assert "admin" in shown and "export key Production" in shown and "Revoked" not in shown
    assert "expires soon" in text(admin.get(url("changelist")))


def test_a_page_of_many_events_has_the_latest_and_leads_to_the_earlier(admin: Client, actor: Actor) -> None:
    key, _ = keys.create_key("Production", actor)
    for _ in range(60):
        export_events.audit.record_of(keys.chain(key), actor, "exported", {"rows": {"testapp.term": 3}})

    page = admin.get(url("change", key.pk)).content.decode()
    earlier = admin.get(url("change", key.pk), {"before": "12"}).content.decode()

    assert re.findall(r'<li value="(\d+)"', page) == [str(number) for number in range(61, 11, -1)]
    assert 'href="?before=12"' in page
    assert re.findall(r'<li value="(\d+)"', earlier) == [str(number) for number in range(11, 0, -1)]
    assert "?before" not in earlier
    assert admin.get(url("change", key.pk), {"before": "x" * 99}).status_code == 200


@pytest.mark.parametrize("name", ["rotate", "revoke"])
def test_keys_need_their_permission(client: Client, actor: Actor, name: str) -> None:
    client.force_login(making.user("guest", "view_exportkey"))
    key, _ = keys.create_key("Production", actor)
    before = stored(key)

    assert client.get(url("change", key.pk)).status_code == 200
    assert client.get(url("add")).status_code == 403
    assert client.get(url(name, key.pk)).status_code == 403
    assert client.post(url(name, key.pk), {"overlap_days": "0"}).status_code == 403
    assert stored(key) == before and Event.objects.count() == 1


def test_a_name_that_is_taken_is_said_above_the_form(admin: Client, actor: Actor) -> None:
    keys.create_key("Production", actor)

    page = admin.post(url("add"), {"name": "Production"})

    assert "choose another name" in text(page)
