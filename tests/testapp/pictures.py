"""Small real pictures, of one colour each."""

from __future__ import annotations

import io

from PIL import Image


def picture(colour: str) -> bytes:
    """A PNG of 4 × 3 pixels."""
    stored = io.BytesIO()
    Image.new("RGB", (4, 3), colour).save(stored, "PNG")
    return stored.getvalue()
