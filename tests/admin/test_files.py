"""The bytes of a change's files: for whom, and as what."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

from data_sync.admin.files import picture_type
from data_sync.core.records import FileValue
from data_sync.orm.staging import stage

from . import making

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 40
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.DATA_SYNC_STAGING_ROOT = tmp_path / "staged"


def described(name: str, content: bytes) -> dict[str, Any]:
    return {"name": name, "size": len(content), "checksum": "sha256:" + hashlib.sha256(content).hexdigest()}


def url_of(files: dict[str, Any], side: str, field: str = "thumbnail") -> str:
    stored = making.changeset([making.change(1, before={}, after={}, model="testapp.copy", files=files)])
    return reverse("admin:data_sync_changeset_file", args=(stored.pk, 1, field, side))


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(making.user("guest", "view_changeset"))
    return client


def test_both_sides_of_a_picture_are_shown(viewer):
    other = PNG + b"other"
    default_storage.save("a.png", ContentFile(PNG))
    after = described("a.png", other)
    stage(FileValue(**after), [other])
    files = {"thumbnail": {"before": described("a.png", PNG), "after": after}}

    here, incoming = viewer.get(url_of(files, "before")), viewer.get(url_of(files, "after"))

    assert (here.getvalue(), incoming.getvalue()) == (PNG, other)
    assert here.headers["Content-Type"] == "image/png"
    assert here.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in here.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("name", "content"), [("a.svg", SVG), ("a.png", SVG), ("a.html", b"<html>"), ("a.pdf", b"%PDF")]
)
def test_anything_but_a_raster_picture_is_a_download_whatever_its_name(viewer, name, content):
    after = described(name, content)
    stage(FileValue(**after), [content])

    answer = viewer.get(url_of({"thumbnail": {"before": None, "after": after}}, "after"))

    assert answer.getvalue() == content
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_file_that_was_replaced_since_is_not_passed_off_as_the_one_compared(viewer):
    default_storage.save("a.png", ContentFile(PNG + b"newer"))

    answer = viewer.get(url_of({"thumbnail": {"before": described("a.png", PNG), "after": None}}, "before"))

    assert answer.status_code == 404


@pytest.mark.parametrize(("side", "field"), [("after", "thumbnail"), ("sideways", "thumbnail"), ("before", "value")])
def test_what_a_change_does_not_have_is_not_found(viewer, side, field):
    assert viewer.get(url_of({"thumbnail": {"before": None, "after": None}}, side, field)).status_code == 404


def test_a_missing_file_is_not_found(viewer):
    assert (
        viewer.get(url_of({"thumbnail": {"before": described("gone.png", PNG), "after": None}}, "before")).status_code
        == 404
    )


def test_files_are_for_those_who_may_view_changesets(client):
    client.force_login(making.user("other", "view_datasource"))

    assert client.get(url_of({"thumbnail": {"before": None, "after": None}}, "after")).status_code == 403


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (PNG[:16], "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", None),
        (SVG[:16], None),
        (b"", None),
    ],
)
def test_pictures_are_known_by_their_first_bytes(start, kind):
    assert picture_type(start) == kind
