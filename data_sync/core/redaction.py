"""Redacted fields: hashed apart, in one keyed leaf, so that digests can be shown and checked, but not guessed.

Whoever sees a plain digest of a record whose other fields he knows can try values of the hidden ones until it comes
out; an account number is found in seconds. Of a record with redacted fields the digest is therefore that of

    [model, key, the other fields, files, leaf]

and the leaf is the HMAC-SHA256 of `[model, key, the redacted fields]` under a key that never leaves the database. Who
has the leaf recomputes the digest; who has not the key learns nothing from either.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import canonical
from .diff import diff_fields
from .equality import same
from .records import Record, RecordText, canonical_record

KEY_BYTES = 32


def new_key() -> bytes:
    """A key for the leaves of one changeset."""
    return secrets.token_bytes(KEY_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What is redacted, by model label, and the key of the leaves. Of models that are not among `names`, digests are
    plain ones. Raises `ValueError` for names without a key: leaves that anybody can make hide nothing."""

    names: Mapping[str, Collection[str]] = field(default_factory=dict)
    key: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if any(self.names.values()) and len(self.key) != KEY_BYTES:
            raise ValueError(f"The leaves of redacted fields need a key of {KEY_BYTES} bytes.")

    def __bool__(self) -> bool:
        return any(self.names.values())

    def of(self, label: str) -> Collection[str]:
        """The redacted fields of a model."""
        return self.names.get(label, ())

    def leaf(self, record: Record) -> str:
        """`hmac-sha256:<hex>` over a record's redacted fields."""
        names = self.of(record.model)
        hidden = {name: value for name, value in record.fields.items() if name in names}
        return f"hmac-sha256:{self._mac([record.model, list(record.key), hidden])}"

    def digest(self, record: Record) -> str:
        """The record's digest; of a model with redacted fields over its other fields and the leaf."""
        names = self.of(record.model)
        if not names:
            return record.digest()
        text = canonical_record(record.model, record.key, shown(record.fields, names), record.files, self.leaf(record))
        return canonical.digest(text)

    def digest_of(self, label: str, text: RecordText) -> str:
        """The same of a record of this model that has not been parsed."""
        return self.digest(text.record()) if self.of(label) else text.digest()

    def token(self, label: str, digest: str) -> str:
        """What stands for a record of which nothing but its plain digest (hex) is known: itself where nothing is
        redacted, else as many digits that tell whether two are the same, and no more."""
        return self._mac([label, digest])[: len(digest)] if self.of(label) else digest

    def _mac(self, content: list[Any]) -> str:
        return hmac.new(self.key, canonical.dumps(content).encode(), hashlib.sha256).hexdigest()


def shown(fields: Mapping[str, Any], names: Collection[str]) -> Mapping[str, Any]:
    """The fields but the redacted ones."""
    return {name: value for name, value in fields.items() if name not in names} if names else fields


def diff_rows(before: Mapping[str, Any], after: Mapping[str, Any], names: Collection[str] = ()) -> list[dict[str, Any]]:
    """How two records' fields differ, as plain rows of `core.diff`. Of a redacted field one row says that it does, and
    nothing of what it holds: `{"path": [name], "kind": …, "redacted": true}`."""
    rows = [row.to_plain() for row in diff_fields(shown(before, names), shown(after, names))]
    for name in names:
        kind = _kind(before, after, name)
        if kind:
            rows.append({"path": [name], "kind": kind, "redacted": True})
    return sorted(rows, key=lambda row: str(row["path"][0])) if names else rows


def _kind(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> str:
    match name in before, name in after:
        case True, True:
            return "" if same(before[name], after[name]) else "changed"
        case True, False:
            return "removed"
        case False, True:
            return "added"
        case _:
            return ""
