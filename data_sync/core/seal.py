"""Seals: digests that fix what a changeset says and what was approved."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

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


def approval_seal(seal: str, decisions: Iterable[tuple[int, str]]) -> str:
    """Over the content seal and every change's number and decision, in number order."""
    sha = hashlib.sha256(b"data-sync approval 1\n" + seal.encode() + b"\n")
    for number, decision in decisions:
        sha.update(f"{number} {decision}\n".encode())
    return "sha256:" + sha.hexdigest()


def event_hash(previous: str, event: Mapping[str, Any]) -> str:
    """A link of the audit chain: over the hash before it and the event (a JSON-plain mapping)."""
    return canonical.digest(canonical.dumps([previous, event]))
