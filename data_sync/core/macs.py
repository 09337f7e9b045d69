"""Message authentication codes of the audit trail: who has not the key can make none, and who has it can check them.

HMAC-SHA256 under one of a list of keys. Each use has a first line of its own, so that a code made for one thing never
passes for another's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from . import canonical

ID_DIGITS = 16
SHORTEST = 32
"""Bytes of a key."""


@dataclass(frozen=True, slots=True)
class MacKey:
    """A key, and the short name under which what is made with it is stored: it tells nothing of the key."""

    secret: bytes = field(repr=False)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        if len(self.secret) < SHORTEST:
            raise ValueError(f"A key of the audit trail needs {SHORTEST} bytes.")
        name = hashlib.sha256(b"data-sync audit key 1\n" + self.secret).hexdigest()[:ID_DIGITS]
        object.__setattr__(self, "id", name)

    def _mac(self, use: str, *parts: str | int) -> str:
        text = f"data-sync {use} 1\n{canonical.dumps(list(parts))}"
        return "hmac-sha256:" + hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()

    def of_event(self, chain: str, number: int, hash_: str) -> str:
        """Of an event: which chain it belongs to, where in it, and its hash."""
        return self._mac("event", chain, number, hash_)

    def of_mark(self, digest: str) -> str:
        """Of an entry of the ledger."""
        return self._mac("mark", digest)

    def of_document(self, digest: str) -> str:
        """Of an exported document, by the digest of every byte before its proof."""
        return self._mac("document", digest)


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that are known, the newest first. It makes codes; all of them check."""

    keys: Sequence[MacKey] = ()

    def __bool__(self) -> bool:
        return bool(self.keys)

    @property
    def newest(self) -> MacKey | None:
        return self.keys[0] if self.keys else None

    def get(self, id_: str) -> MacKey | None:
        return next((key for key in self.keys if key.id == id_), None)


def same(one: str, other: str) -> bool:
    """Whether two codes are the same; takes as long for those that nearly are."""
    return hmac.compare_digest(one.encode(), other.encode())
