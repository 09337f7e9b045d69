"""The page that takes a file: what is wrong with it stands beside the field, what is right leads to its pull."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from data_sync.core.states import PullKind
from data_sync.models import Changeset, DataPull
from data_sync.orm.read import LocalSource
from tests import bundling
from tests.testapp.models import Tag

from . import making
from .test_review import text

pytestmark = pytest.mark.django_db(transaction=True)

URL = "admin:data_sync_datapull_upload"
TAG = "testapp.tag"


@pytest.fixture
def puller(client: Client, settings: Any, tmp_path: Any) -> Client:
    settings.DATA_SYNC_STAGING_ROOT = str(tmp_path)
    client.force_login(making.user("pat", "pull_datasource", "view_changeset"))
    return client


def tags(*names: str) -> bytes:
    manifest = LocalSource([TAG]).manifest().to_plain()
    lines = [f'[{{}},["{TAG}",["{name}"],{{"name":"{name}"}},{{}}]]' for name in names]
    return bundling.bundle(
        head=bundling.HEAD | {"models": [TAG], "manifest": manifest}, records=bundling.stream([TAG], *lines)
    )


def sent(client: Client, content: bytes, name: str = "staging.zip", **data: str) -> Any:
    given = {"file": SimpleUploadedFile(name, content), **data}
    return client.post(reverse(URL), given, follow=True)


def test_a_bundle_leads_to_its_pull_and_on_to_the_review(puller: Client) -> None:
    page = puller.get(reverse(URL)).content.decode()
    assert 'enctype="multipart/form-data"' in page and "not who made it" in page
    answer = sent(puller, tags("new"))
    done = DataPull.objects.get()
    assert answer.redirect_chain == [(reverse("admin:data_sync_datapull_change", args=(done.pk,)), 302)]
    assert "staging.zip" in text(answer) and "bundle" in text(answer) and done.upload_checksum in text(answer)
    changeset = Changeset.objects.get(pull=done)
    assert f"Review changeset {changeset.pk}" in text(answer)
    assert "bundle" in text(puller.get(reverse("admin:data_sync_changeset_change", args=(changeset.pk,))))
    assert not Tag.objects.exists()


def test_a_sheet_leads_to_the_review_with_the_deletes_that_were_asked_for(puller: Client) -> None:
    Tag.objects.create(name="gone")
    for data, operations in (({}, {"create"}), ({"deletes": "on", "format": "csv"}, {"create", "delete"})):
        sent(puller, b"name\nnew\n", "tags.csv", model=TAG, **data)
        done = DataPull.objects.latest("pk")
        assert (done.kind, done.model_labels) == (PullKind.SHEET, [TAG])
        changeset = Changeset.objects.get(pull=done)
        assert set(changeset.changes.values_list("operation", flat=True)) == operations
        review = text(puller.get(reverse("admin:data_sync_changeset_change", args=(changeset.pk,))))
        assert "tags.csv" in review


@pytest.mark.parametrize(
    ("content", "data", "words"),
    [
        (b"", {}, "The submitted file is empty"),
        (b"name\nnew\n", {}, "is no bundle"),
        (tags, {"model": TAG}, "for spreadsheets"),
        (bundling.bundle()[:-3], {}, "cut short"),
        (b"name,colour\nnew,red\n", {"model": TAG, "format": "csv"}, "has no column “colour”"),
    ],
)
def test_what_is_wrong_with_a_file_stands_on_the_form(puller: Client, content: Any, data: Any, words: str) -> None:
    answer = sent(puller, content() if callable(content) else content, **data)
    assert (answer.status_code, answer.redirect_chain) == (200, [])
    assert words in " ".join(answer.context["form"].errors["file"]) and words in text(answer)
    assert not DataPull.objects.exists()


def test_the_lists_lead_to_the_page_and_say_what_came_of_files(puller: Client) -> None:
    given = {"source_name": "prices.zip", "kind": PullKind.BUNDLE.value}
    making.changeset([making.create(1)], pull=making.pull(**given), **given)
    for model in ("datapull", "changeset"):
        page = puller.get(reverse(f"admin:data_sync_{model}_changelist"))
        assert reverse(URL) in page.content.decode()
        assert "prices.zip (bundle)" in text(page)
    puller.force_login(making.user("vera", "view_changeset", "view_datapull"))
    for model in ("datapull", "changeset"):
        assert reverse(URL) not in puller.get(reverse(f"admin:data_sync_{model}_changelist")).content.decode()
