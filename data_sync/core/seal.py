"""Seals: digests that fix what a changeset says and what was approved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from . import canonical

content_digest = canonical.digest
"""Of one change's content, by its canonical text. It stands for the content once values are purged."""


def content_seal(changes: Iterable[Mapping[str, Any]]) -> str:
    """Over each change's content (a JSON-plain mapping), in number order."""
    return content_seal_of_texts(canonical.dumps(change) for change in changes)


def content_seal_of_texts(changes: Iterable[str]) -> str:
    """The same from canonical texts of the contents."""
    return content_seal_of_digests(map(content_digest, changes))


def content_seal_of_digests(digests: Iterable[str]) -> str:
    """The same from the contents' digests, which is what it covers."""
    sha = hashlib.sha256(b"data-sync content 2\n")
    for digest in digests:
        sha.update(f"{digest}\n".encode())
    return "sha256:" + sha.hexdigest()


class Decided(NamedTuple):
    """What was decided on a change: `kept` names the fields of an update that stay as they are here, `acknowledged`
    is the digest of the local row of a conflict that was seen, `rename` how a rename is written, else null."""

    number: int
    decision: str
    kept: Sequence[str] = ()
    acknowledged: str = ""
    rename: str | None = None

    def line(self) -> bytes:
        """What the approval seal covers of it."""
        return canonical.dumps(list(self)).encode() + b"\n"


def approval_seal(seal: str, decisions: Iterable[Decided]) -> str:
    """Over the content seal and what was decided on every change, in number order."""
    return approval_seal_of_lines(seal, (decided.line() for decided in decisions))


def approval_seal_of_lines(seal: str, lines: Iterable[bytes]) -> str:
    """The same from the lines of the decisions, or from blocks of these."""
    sha = hashlib.sha256(b"data-sync approval 2\n" + seal.encode() + b"\n")
    for line in lines:
        sha.update(line)
    return "sha256:" + sha.hexdigest()


class RemainsDigest:
    """Over the canonical text of each change as it is exported once its values are purged, in number order."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256(b"data-sync remains 1\n")

    def add(self, text: str) -> None:
        self._sha.update(text.encode() + b"\n")

    @property
    def digest(self) -> str:
        return "sha256:" + self._sha.hexdigest()


def event_hash(previous: str, event: Mapping[str, Any]) -> str:
    """A link of the audit chain: over the hash before it and the event (a JSON-plain mapping)."""
    return canonical.digest(canonical.dumps([previous, event]))


def mark_digest(previous: str, mark: Mapping[str, Any]) -> str:
    """A link of the ledger of chains: over the digest before it and the mark, `{"sequence", "chain", "number", "hash",
    "at"}`."""
    return canonical.digest(canonical.dumps([previous, mark]))


def proof_digest(before: str, key: str | None, mac: str | None) -> str:
    """Of an exported document: over the digest of every byte before its proof, and the rest of the proof."""
    return canonical.digest(canonical.dumps([before, key, mac]))
