"""Thumbnails: small, made of harmless pictures only, and honest about the others."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.urls import reverse
from PIL import Image

from data_sync.admin import pictures
from data_sync.core.records import FileValue
from data_sync.orm.staging import stage

from . import making
from .test_files import described

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.DATA_SYNC_STAGING_ROOT = tmp_path / "staged"
    cache.clear()


@pytest.fixture
def viewer(client):
    client.force_login(making.user("guest", "view_changeset"))
    return client


def picture(size=(1200, 800), kind="PNG", mode="RGB", **options) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, 128 if mode in "LP" else (200, 30, 30, 90)[: len(mode)]).save(out, kind, **options)
    return out.getvalue()


def huge_png(width: int, height: int) -> bytes:
    """A few bytes that claim to be an enormous picture."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def stored(before: bytes | None, after: bytes, name: str = "a.png"):
    """A change of a file; the one here is in the field's storage, the other one staged."""
    values = {"before": None, "after": described(name, after)}
    stage(FileValue(**values["after"]), [after])
    if before is not None:
        default_storage.save(name, ContentFile(before))
        values["before"] = described(name, before)
    return making.changeset([making.change(1, before={}, after={}, model="testapp.copy", files={"thumbnail": values})])


def thumbnail(viewer, changeset, side="after"):
    return viewer.get(reverse("admin:data_sync_changeset_thumbnail", args=(changeset.pk, 1, "thumbnail", side)))


def review(viewer, changeset) -> str:
    return viewer.get(reverse("admin:data_sync_changeset_change", args=(changeset.pk,))).content.decode()


def test_both_sides_have_a_thumbnail_and_their_dimensions(viewer):
    changeset = stored(picture((640, 480)), picture((1200, 800)))

    page = review(viewer, changeset)

    assert page.count('class="ds-thumbnail"') == 2
    assert "640 × 480 pixels" in page and "1200 × 800 pixels" in page
    for side, size in (("before", (256, 192)), ("after", (256, 171))):
        answer = thumbnail(viewer, changeset, side)
        assert Image.open(io.BytesIO(answer.content)).size == size
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"].startswith("private, max-age=")


@pytest.mark.parametrize(
    ("kind", "mode", "options", "media_type"),
    [
        ("PNG", "RGBA", {}, "image/png"),
        ("PNG", "P", {}, "image/png"),
        ("PNG", "L", {}, "image/jpeg"),
        ("JPEG", "CMYK", {}, "image/jpeg"),
        ("GIF", "P", {"save_all": True, "append_images": [Image.new("P", (300, 300), 3)] * 50}, "image/png"),
        ("WEBP", "RGBA", {}, "image/png"),
        ("WEBP", "RGB", {}, "image/jpeg"),
    ],
)
def test_every_kind_of_raster_picture(viewer, kind, mode, options, media_type):
    answer = thumbnail(viewer, stored(None, picture((300, 300), kind, mode, **options), f"a.{kind.lower()}"))

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    assert Image.open(io.BytesIO(answer.content)).size == (192, 192)


def test_a_picture_is_turned_as_its_camera_says(viewer):
    exif = Image.Exif()
    exif[0x0112] = 6
    answer = thumbnail(viewer, stored(None, picture((400, 200), "JPEG", exif=exif), "a.jpg"))

    assert Image.open(io.BytesIO(answer.content)).size == (96, 192)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (huge_png(20_000, 20_000), "too large for a thumbnail"),
        (huge_png(6_000, 6_000), "6000 × 6000 pixels · too large for a thumbnail"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "not a picture that can be read"),
        (b"", "not a picture that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture that can be read"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture that can be read"),
        (b"BM" + b"\0" * 60, "not a picture that can be read"),
    ],
)
def test_what_is_no_harmless_picture_is_never_decoded_and_said_to_be_none(viewer, monkeypatch, content, words):
    changeset = stored(None, content)
    Image.init()  # One of Pillow's plugins decodes a picture of its own when it is first imported.
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))

    page = review(viewer, changeset)

    assert words in page and 'class="ds-thumbnail"' not in page
    assert thumbnail(viewer, changeset).status_code == 404


def test_a_name_that_promises_no_raster_picture_is_taken_at_its_word(viewer):
    page = review(viewer, stored(None, picture(), "a.svg"))

    assert 'class="ds-thumbnail"' not in page and "pixels" not in page and "a.svg" in page


def test_a_progressive_jpeg_counts_with_all_its_pixels(viewer):
    """What a decoder holds of it is not an eighth, but all."""
    many = picture((5200, 5200), "JPEG", progressive=True)

    assert "5200 × 5200 pixels · too large for a thumbnail" in review(viewer, stored(None, many, "a.jpg"))


@pytest.mark.parametrize("broken", ["storage", "cache", "field"])
def test_no_storage_or_cache_takes_the_page_down(viewer, monkeypatch, broken):
    changeset = stored(picture((640, 480)), picture())

    def fail(*_, **__):
        raise RuntimeError("away")

    match broken:
        case "storage":
            monkeypatch.setattr(pictures, "content_of", fail)
        case "cache":
            monkeypatch.setattr(pictures.cache, "get", fail)
        case _:
            files = {"gone": changeset.changes.get().files["thumbnail"]}
            changeset.changes.update(files=files)

    assert "a.png" in review(viewer, changeset)


def test_what_a_storage_has_by_now_says_nothing_of_the_other_side(viewer):
    content = picture((640, 480))
    changeset = stored(content, content)
    default_storage.delete("a.png")
    default_storage.save("a.png", ContentFile(picture((10, 10))))
    Change = changeset.changes.model
    Change.objects.update(diff=[], files={"thumbnail": {"before": None, **changeset.changes.get().files["thumbnail"]}})

    review(viewer, changeset)

    assert thumbnail(viewer, changeset).status_code == 200
    assert "640 × 480 pixels" in review(viewer, changeset)


def test_a_picture_that_ends_early_has_no_thumbnail(viewer):
    assert thumbnail(viewer, stored(None, picture(mode="RGBA")[:300])).status_code == 404


def test_a_large_jpeg_is_decoded_small(viewer):
    answer = thumbnail(viewer, stored(None, picture((9000, 6000), "JPEG"), "a.jpg"))

    assert Image.open(io.BytesIO(answer.content)).size == (256, 171)


def test_a_file_of_many_bytes_is_not_even_opened(viewer, monkeypatch):
    monkeypatch.setattr(pictures, "MOST_BYTES", 100)
    monkeypatch.setattr(pictures, "content_of", lambda *_: pytest.fail("opened"))
    changeset = stored(None, picture())

    assert "too large for a thumbnail" in review(viewer, changeset)
    assert thumbnail(viewer, changeset).status_code == 404


def test_each_picture_is_looked_into_once_and_no_page_waits_for_all(viewer, monkeypatch):
    changeset = stored(picture((640, 480)), picture())
    monkeypatch.setattr(pictures, "SECONDS", -1)
    page = review(viewer, changeset)
    assert page.count('class="ds-thumbnail"') == 2 and "pixels" not in page

    monkeypatch.undo()
    assert "640 × 480 pixels" in review(viewer, changeset)
    monkeypatch.setattr(pictures, "content_of", lambda *_: pytest.fail("opened again"))
    assert "640 × 480 pixels" in review(viewer, changeset)


def test_without_pillow_there_are_names_sizes_and_downloads(viewer, monkeypatch):
    changeset = stored(None, picture())
    for name in ("PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, name, None)

    assert 'class="ds-thumbnail"' not in review(viewer, changeset)
    assert thumbnail(viewer, changeset).status_code == 404


def test_a_picture_that_was_replaced_since_is_not_passed_off_as_the_one_compared(viewer):
    changeset = stored(picture((640, 480)), picture())
    default_storage.delete("a.png")
    default_storage.save("a.png", ContentFile(picture((10, 10))))

    assert thumbnail(viewer, changeset, "before").status_code == 404
    page = review(viewer, changeset)
    assert "no longer the file that was compared" in page and "10 × 10 pixels" not in page


def test_thumbnails_are_for_those_who_see_the_changeset(client):
    changeset = stored(None, picture())
    assert thumbnail(client, changeset).status_code == 302
    client.force_login(making.user("other", "view_datasource"))
    assert thumbnail(client, changeset).status_code == 403
