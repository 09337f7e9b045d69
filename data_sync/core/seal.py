"""Seals: digests that fix what a changeset says and what was approved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from . import canonical


def content_seal(changes: Iterable[Mapping[str, Any]]) -> str:
    """Over each change's content (a JSON-plain mapping), in number order."""
    return content_seal_of_texts(canonical.dumps(change) for change in changes)


def content_seal_of_texts(changes: Iterable[str]) -> str:
    """The same from canonical texts of the contents."""
    sha = hashlib.sha256(b"data-sync content 1\n")
    for change in changes:
        sha.update(change.encode())
        sha.update(b"\n")
    return "sha256:" + sha.hexdigest()


class Decided(NamedTuple):
    """What was decided on a change: `kept` names the fields of an update that stay as they are here, `acknowledged`
    is the digest of the local row of a conflict that was seen, `rename` how a rename is written, else null."""

    number: int
    decision: str
    kept: Sequence[str] = ()
    acknowledged: str = ""
    rename: str | None = None


def approval_seal(seal: str, decisions: Iterable[Decided]) -> str:
    """Over the content seal and what was decided on every change, in number order."""
    sha = hashlib.sha256(b"data-sync approval 2\n" + seal.encode() + b"\n")
    for decided in decisions:
        sha.update(canonical.dumps(list(decided)).encode() + b"\n")
    return "sha256:" + sha.hexdigest()


def event_hash(previous: str, event: Mapping[str, Any]) -> str:
    """A link of the audit chain: over the hash before it and the event (a JSON-plain mapping)."""
    return canonical.digest(canonical.dumps([previous, event]))
