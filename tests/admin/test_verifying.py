"""Verify in the admin: of a stored changeset and of a file; and exports of several at once."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from data_sync.models import Change, Changeset, Event
from tests.core.test_verification import EXPORTED, document, written

from . import making

pytestmark = pytest.mark.django_db

FILE = "admin:data_sync_changeset_verify_file"


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(making.user("viewer", "view_changeset"))
    return client


@pytest.fixture
def stored() -> Changeset:
    return making.pulled(making.changeset([making.update(1)]))


def told(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_history_offers_it_and_it_answers_that_all_matches_or_where_it_does_not(
    viewer: Client, stored: Changeset
) -> None:
    address = reverse("admin:data_sync_changeset_verify", args=(stored.pk,))
    assert f'action="{address}"' in told(viewer.get(reverse("admin:data_sync_changeset_history", args=(stored.pk,))))
    assert "What is stored matches." in told(viewer.post(address))
    Change.objects.update(after={"word": "word-1", "meaning": "<i>another</i>"})
    answer = told(viewer.post(address))
    assert "What is stored does not match." in answer
    assert "change 1: after_digest" in answer and "change 1: content_digest" in answer
    assert Event.objects.count() == 1


def upload(client: Client, content: bytes) -> Any:
    return client.post(reverse(FILE), {"file": SimpleUploadedFile("<b>changeset.json", content)})


def test_a_file_matches_or_is_said_where_it_does_not(viewer: Client) -> None:
    assert reverse(FILE) in told(viewer.get(reverse("admin:data_sync_changeset_changelist")))
    answer = told(upload(viewer, EXPORTED))
    assert "The file matches: it is changeset 1, as it was exported." in answer
    assert "What could not be told" in answer and "is not in DATA_SYNC_AUDIT_KEYS" in answer
    assert "&lt;b&gt;changeset.json" in answer
    altered = document()
    altered["events"][1]["actor"] = "<script>"
    answer = told(upload(viewer, written(altered)))
    assert "The file does not match." in answer and "event 2: hash" in answer
    answer = told(upload(viewer, EXPORTED.replace(b'"format_version":"1.0"', b'"format_version":"2.0"')))
    assert "only 1.x is known here" in answer and 'type="file"' in answer


def test_chosen_changesets_come_in_one_zip_file_and_each_says_so(client: Client) -> None:
    client.force_login(making.user("auditor", "view_changeset", "export_changeset"))
    made = [making.changeset([making.create(1)]) for _ in range(3)]
    chosen = [made[0].pk, made[2].pk]
    answer = client.post(
        reverse("admin:data_sync_changeset_changelist"), {"action": "export_json", "_selected_action": chosen}
    )
    assert answer.headers["Content-Type"] == "application/zip"
    archive = zipfile.ZipFile(io.BytesIO(b"".join(answer)))
    assert archive.namelist() == [f"changeset-{pk}.json" for pk in chosen]
    for pk in chosen:
        assert json.loads(archive.read(f"changeset-{pk}.json"))["changeset"]["number"] == pk
    assert list(Event.objects.order_by("changeset").values_list("changeset", "action", "actor")) == [
        (pk, "exported", "auditor") for pk in chosen
    ]


def test_the_action_is_for_those_who_may_export(viewer: Client) -> None:
    stored = making.changeset([making.create(1)])
    listed = reverse("admin:data_sync_changeset_changelist")
    assert "export_json" not in told(viewer.get(listed))
    viewer.post(listed, {"action": "export_json", "_selected_action": [stored.pk]})
    assert not Event.objects.exists()
