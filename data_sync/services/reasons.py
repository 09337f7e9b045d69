"""Reasons that people give and that the audit trail keeps."""

from __future__ import annotations

import unicodedata

from data_sync.core.errors import InvalidInput
from data_sync.core.visible import is_invisible

LONGEST = 2000
"""Characters of a reason."""
_REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Bidi controls, which have a text read as another one."""


def sound_reason(text: str) -> str:
    """A reason without what surrounds it. Raises `InvalidInput` where nothing can be read, it is too long, or it holds
    control characters other than line feeds and tabs."""
    text = text.replace("\r\n", "\n").strip()
    if all(character.isspace() or is_invisible(character) for character in text):
        raise InvalidInput("Say why the guard does not apply here; the reason is kept with the changeset.")
    if len(text) > LONGEST:
        raise InvalidInput(f"The reason has {len(text)} characters, and {LONGEST} is the most. Shorten it.")
    for character in text:
        if character in _REORDERING or (unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"):
            raise InvalidInput(f"The reason holds the character U+{ord(character):04X}. Leave that out.")
    return text
