"""Pictures drawn from the catalogue's own data.

The same words give the same bytes: nothing random, no system font, no date in the file.
"""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

Kind = Literal["book", "calendar", "coin", "landscape"]
WIDTH, HEIGHT = 240, 160
INK, PAPER = (38, 42, 51), (250, 248, 243)
Colour = tuple[int, int, int]


def draw(kind: Kind, code: str, *, edition: int = 1, first_weekday: int = 0) -> bytes:
    """A PNG of 240 × 160 pixels. Another `edition` of the same thing has other colours."""
    seed = hashlib.sha256(f"{kind} {code} {edition}".encode()).digest()
    picture = _sky(_pastel(seed[0]), _pastel(seed[1]))
    pen = ImageDraw.Draw(picture)
    match kind:
        case "book":
            _book(pen, code, _deep(seed[2]))
        case "calendar":
            _calendar(pen, code, _deep(seed[2]), first_weekday)
        case "coin":
            _coin(pen, code, _deep(seed[2]))
        case "landscape":
            _landscape(pen, code, seed)
    out = BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _pastel(byte: int) -> Colour:
    red, green, blue = _hue(byte)
    return (196 + red * 50 // 255, 196 + green * 50 // 255, 196 + blue * 50 // 255)


def _deep(byte: int) -> Colour:
    red, green, blue = _hue(byte)
    return (44 + red * 84 // 255, 44 + green * 84 // 255, 44 + blue * 84 // 255)


def _hue(byte: int) -> Colour:
    sector, rest = divmod(byte * 6, 256)
    rising, falling = rest, 255 - rest
    wheel = ((255, rising, 0), (falling, 255, 0), (0, 255, rising))
    return (*wheel, (0, falling, 255), (rising, 0, 255), (255, 0, falling))[sector]


def _sky(top: Colour, bottom: Colour) -> Image.Image:
    mask = Image.linear_gradient("L").resize((WIDTH, HEIGHT))
    return Image.composite(Image.new("RGB", (WIDTH, HEIGHT), bottom), Image.new("RGB", (WIDTH, HEIGHT), top), mask)


def _label(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, size: int, colour: Colour) -> None:
    font = ImageFont.load_default(size)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    pen.text((at[0] - (left + right) / 2, at[1] - (top + bottom) / 2), text, font=font, fill=colour)


def _book(pen: ImageDraw.ImageDraw, code: str, colour: Colour) -> None:
    pen.rectangle((78, 20, 170, 144), fill=PAPER)
    pen.rectangle((70, 16, 164, 140), fill=colour)
    pen.rectangle((70, 16, 80, 140), fill=INK)
    _label(pen, (122, 66), code, 28 if len(code) < 4 else 20, PAPER)
    pen.line((94, 96, 150, 96), fill=PAPER, width=2)
    pen.line((104, 106, 140, 106), fill=PAPER, width=2)


def _calendar(pen: ImageDraw.ImageDraw, code: str, colour: Colour, first_weekday: int) -> None:
    pen.rectangle((60, 18, 180, 144), fill=PAPER)
    pen.rectangle((60, 18, 180, 44), fill=colour)
    _label(pen, (120, 31), code, 18, PAPER)
    for day in range(31):
        # Where the week starts is the country's own: the grid shifts with it.
        row, column = divmod(day + 6 - first_weekday, 7)
        x, y = 68 + column * 15, 54 + row * 15
        pen.rectangle((x, y, x + 10, y + 9), fill=colour if column == 6 - first_weekday else (208, 204, 196))


def _coin(pen: ImageDraw.ImageDraw, code: str, colour: Colour) -> None:
    for radius, fill in ((62, INK), (59, colour), (50, PAPER), (47, colour)):
        pen.ellipse((120 - radius, 80 - radius, 120 + radius, 80 + radius), fill=fill)
    _label(pen, (120, 80), code, 30, PAPER)


def _landscape(pen: ImageDraw.ImageDraw, code: str, seed: bytes) -> None:
    sun = 20 + seed[3] * 180 // 255
    pen.ellipse((sun, 18, sun + 36, 54), fill=PAPER)
    for layer, base in enumerate((88, 108, 128)):
        heights = [base + seed[4 + layer * 7 + step] % 26 - 13 for step in range(7)]
        ridge = [(step * 40, height) for step, height in enumerate(heights)]
        shade = _deep(seed[25 + layer])
        pen.polygon([*ridge, (WIDTH, HEIGHT), (0, HEIGHT)], fill=shade)
    _label(pen, (40, 146), code, 16, PAPER)
