"""Thumbnails and dimensions of raster pictures, made with Pillow where the project has it.

A picture comes from another environment: nothing is decoded before its kind, its dimensions and its size in bytes
are known to be harmless.
"""

from __future__ import annotations

import io
import logging
import time
from typing import IO, TYPE_CHECKING, Any

from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from data_sync.core.records import MISSING, FileValue
from data_sync.models import Change

from .cells import FilePlace, Trouble
from .files import POLICY, content_of, file_of

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

NAMES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
KINDS = ("PNG", "JPEG", "GIF", "WEBP")
MOST_BYTES = 20_000_000
MOST_PIXELS = 25_000_000
"""What is decoded at most, which takes some 200 MB for a moment."""
MOST_PIXELS_OF_JPEG = 100_000_000
"""Of a JPEG that is not progressive: it is decoded at an eighth of its size, line by line."""
BOX = (256, 192)
SECONDS = 0.2
"""How long one page may look into pictures that it has not seen yet."""
logger = logging.getLogger("data_sync")
REMEMBERED = 7 * 24 * 3600

Found = tuple[int, int, Trouble]
"""Width, height, and why there is no thumbnail, if there is none."""


class Pictures:
    """Where the files of a page are, and what is known of those that are pictures."""

    def __init__(self, admin: ChangesetAdmin, changeset_pk: int) -> None:
        self._admin = admin
        self._changeset_pk = changeset_pk
        self._until = time.monotonic() + SECONDS

    def place(self, row_change: Change, field: str, side: str) -> FilePlace:
        arguments = (self._changeset_pk, row_change.number, field, side)
        url = self._admin.url("file", *arguments)
        described = row_change.files[field].get(side)
        if described is None or described["checksum"] == MISSING:
            return FilePlace()
        if not described["name"].lower().endswith(NAMES) or not _has_pillow():
            return FilePlace(url=url)
        width, height, trouble = self._found(row_change, field, side, FileValue(**described))
        thumbnail = "" if trouble else self._admin.url("thumbnail", *arguments)
        return FilePlace(url=url, thumbnail=thumbnail, width=width, height=height, trouble=trouble)

    def _found(self, row_change: Change, field: str, side: str, file: FileValue) -> Found:
        if file.size > MOST_BYTES:
            return 0, 0, "too_large"
        name = f"data_sync.picture.{file.checksum}"
        try:
            known: Found | None = cache.get(name)
            if known is not None:
                return known
            if time.monotonic() > self._until:
                return 0, 0, ""  # The thumbnail will tell.
            # The bytes are compared first: the storage may have another picture under the name by now.
            with content_of(row_change, field, side, file) as content:
                found = measured(content)
            cache.set(name, found, REMEMBERED)
        except Http404:
            return 0, 0, "other"
        except Exception:  # Storages and caches raise what they like, and the page is about more than a picture.
            logger.warning("The picture %s could not be looked into.", file.name, exc_info=True)
            return 0, 0, ""
        return found


def _has_pillow() -> bool:
    try:
        from PIL import Image  # noqa: F401
    except ImportError:
        return False
    return True


def measured(content: IO[bytes]) -> Found:
    """Reads the head of a picture; nothing is decoded."""
    from PIL import Image

    try:
        image = Image.open(content, formats=KINDS)
        width, height = image.size
        is_simple_jpeg = image.format == "JPEG" and not image.info.get("progressive")
    except Image.DecompressionBombError:
        return 0, 0, "too_large"
    except Exception:  # Whatever a decoder makes of a stranger's bytes.
        return 0, 0, "broken"
    most = MOST_PIXELS_OF_JPEG if is_simple_jpeg else MOST_PIXELS
    return width, height, "too_large" if width * height > most else ""


def thumbnail(admin: ChangesetAdmin, request: HttpRequest, pk: int, number: int, field: str, side: str) -> HttpResponse:
    """A small copy of a raster picture; 404 where there can be none, with the reason."""
    admin.require_view(request)
    row_change, file = file_of(pk, number, field, side)
    if file.size > MOST_BYTES or not _has_pillow():
        raise Http404(_("There is no thumbnail: the picture is too large, or Pillow is not installed here."))
    with content_of(row_change, field, side, file) as content:
        small, kind = _shrunk(content)
    return HttpResponse(
        small,
        content_type=kind,
        headers={
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": POLICY,
            # A change's content never alters.
            "Cache-Control": f"private, max-age={REMEMBERED}, immutable",
        },
    )


def _shrunk(content: IO[bytes]) -> tuple[bytes, str]:
    """A picture within `BOX`, turned as its camera says, and its media type. Raises `Http404`."""
    from PIL import Image, ImageOps

    if measured(content)[2]:
        raise Http404(_("There is no thumbnail: the picture is too large, or it cannot be read."))
    content.seek(0)
    out = io.BytesIO()
    try:
        image: Any = Image.open(content, formats=KINDS)
        image.draft("RGB", BOX)
        is_opaque = image.mode in ("L", "RGB", "CMYK", "YCbCr") and "transparency" not in image.info
        if image.mode not in ("P", "1"):  # Which have no colours in between.
            image.thumbnail((2 * max(BOX), 2 * max(BOX)))
        ImageOps.exif_transpose(image, in_place=True)
        image = image.convert("RGB" if is_opaque else "RGBA")
        image.thumbnail(BOX)
        image.save(out, "JPEG" if is_opaque else "PNG")
    except Exception as error:  # Whatever a decoder makes of a stranger's bytes.
        raise Http404(_("There is no thumbnail: the picture cannot be read.")) from error
    return out.getvalue(), "image/jpeg" if is_opaque else "image/png"
