"""Changes as exports have them, put together from the stored texts as they are.

To read them as JSON and write them again would take five times as long. Whoever alters a stored text gives the export
another one, which its digest does not fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from data_sync.core import canonical
from data_sync.core.redaction import Redaction, shown
from data_sync.models import Change, Changeset
from data_sync.models.fields import CanonicalJSONField, as_stored

from .content import CONTENT, change_content
from .redaction import redaction_of
from .seals import kept_of, rename_of

_DECIDED = (
    "decision",
    "kept",
    "acknowledged_digest",
    "seen",
    "rename_choice",
    "outcome",
    "outcome_reason",
    "content_digest",
    "restores",
    "undoes",
)
_COLUMNS = [*dict.fromkeys([*CONTENT.values(), *_DECIDED])]
_FIELDS = [Change._meta.get_field(column) for column in _COLUMNS]
_JSON = {field.name for field in _FIELDS if isinstance(field, CanonicalJSONField)}


def exported_changes(changeset: Changeset) -> Iterator[str]:
    """The canonical text of each change, in number order."""
    is_purged = changeset.purged_at is not None
    redaction = Redaction() if is_purged else redaction_of(changeset)
    raw = [as_stored(column) if column in _JSON else column for column in _COLUMNS]
    changes = changeset.changes.order_by("number").values_list(*raw)
    for row in changes.iterator(chunk_size=500):
        stored = dict(zip(_COLUMNS, row, strict=True))
        yield _text(stored, redaction, is_purged=is_purged)


def _text(stored: dict[str, Any], redaction: Redaction, *, is_purged: bool) -> str:
    texts = {member: _as_text(column, stored[column]) for member, column in CONTENT.items()}
    names = redaction.of(stored["model"])
    if names:
        texts |= _without_redacted(stored, redaction)
    if stored["undoes"] is not None or stored["restores"] != "[]":
        texts |= {"restores": stored["restores"], "undoes": canonical.dumps(stored["undoes"])}
    decision, operation = stored["decision"], stored["operation"]
    texts["acknowledged_digest"] = _quoted(stored["acknowledged_digest"])
    texts["content_digest"] = _quoted(stored["content_digest"])
    texts["decision"] = _quoted(decision)
    texts["kept_fields"] = (
        "[]" if stored["kept"] == "{}" else canonical.dumps(kept_of(decision, canonical.loads(stored["kept"])))
    )
    texts["outcome"] = _quoted(stored["outcome"]) if stored["outcome"] else "null"
    texts["outcome_reason"] = _quoted(stored["outcome_reason"])
    texts["rename_choice"] = canonical.dumps(rename_of(operation, stored["rename_choice"]))
    texts["seen_fields"] = "null" if stored["seen"] == "{}" else _seen(stored, names)
    if is_purged:
        texts["purged"] = "true"
    return _form(frozenset(texts)) % texts


@cache
def _form(members: frozenset[str]) -> str:
    """Where the text of each member goes. There are few sets of them."""
    return "{" + ",".join(f"{canonical.quote(member)}:%({member})s" for member in sorted(members)) + "}"


def _as_text(column: str, value: Any) -> str:
    return _TO_TEXT[column](value)


def _as_it_is(text: str | None) -> str:
    return "null" if text is None else text


def _to_text(field: Any) -> Callable[[Any], str]:
    if isinstance(field, CanonicalJSONField):
        return _as_it_is
    return canonical.dumps


_quoted = canonical.quote
_TO_TEXT = {field.name: _to_text(field) for field in _FIELDS}


def _without_redacted(stored: Mapping[str, Any], redaction: Redaction) -> dict[str, str]:
    """The members that a model with redacted fields has otherwise, or besides."""
    values = {
        column: canonical.loads(stored[column]) if column in _JSON and stored[column] is not None else stored[column]
        for column in CONTENT.values()
    }
    content = change_content(Change(**values), redaction)
    return {member: canonical.dumps(content[member]) for member in ("before", "after", "base", "leaves", "redacted")}


def _seen(stored: Mapping[str, Any], names: Any) -> str:
    seen = canonical.loads(stored["seen"])
    is_seen = seen.get("digest") == stored["acknowledged_digest"]
    return canonical.dumps(shown(seen["fields"], names) if is_seen else None)
