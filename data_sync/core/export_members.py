"""The members of an exported changeset that its verification uses, and of which kind each is.

The shipped JSON Schema says more; this is what has to hold before anything else can be asked, in a hundredth of the
time. Members that are not named here are a later version's, and are let pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .states import ChangesetState, Decision, Operation, Outcome, PullKind, RenameChoice

Kinds = Mapping[str, Any]

_NONE = type(None)
_TEXT, _NUMBER, _LIST, _OBJECT, _BOOLEAN = (str,), (int,), (list,), (dict,), (bool,)
_TEXT_OR_NONE, _OBJECT_OR_NONE, _LIST_OR_NONE = (str, _NONE), (dict, _NONE), (list, _NONE)
_OPERATIONS = frozenset(one.value for one in Operation)
_DECISIONS = frozenset(one.value for one in Decision)
_OUTCOMES = frozenset([None, *(one.value for one in Outcome)])
_CHOICES = frozenset([None, *(one.value for one in RenameChoice)])
_STATES = frozenset(one.value for one in ChangesetState)
_KINDS = frozenset(one.value for one in PullKind)

CHANGE: Kinds = {
    "acknowledged_digest": _TEXT,
    "after": _OBJECT_OR_NONE,
    "after_digest": _TEXT,
    "base": _OBJECT_OR_NONE,
    "base_digest": _TEXT,
    "before": _OBJECT_OR_NONE,
    "before_digest": _TEXT,
    "carried": _OBJECT,
    "cascades": _LIST,
    "conflict": _OBJECT,
    "content_digest": _TEXT,
    "decision": _DECISIONS,
    "diff": _LIST,
    "files": _OBJECT,
    "kept_fields": _LIST,
    "left_scope": _BOOLEAN,
    "model": _TEXT,
    "natural_key": _LIST,
    "number": _NUMBER,
    "operation": _OPERATIONS,
    "outcome": _OUTCOMES,
    "outcome_reason": _TEXT,
    "previous_key": _LIST_OR_NONE,
    "problems": _LIST,
    "rename_choice": _CHOICES,
    "requires": _LIST,
    "seen_fields": _OBJECT_OR_NONE,
    "warnings": _LIST,
}
CHANGE_AT_TIMES: Kinds = {
    "leaves": _OBJECT,
    "purged": frozenset([True]),
    "redacted": _LIST,
    "restores": _LIST,
    "undoes": (int, _NONE),
}
CHANGESET: Kinds = {
    "approval_seal": _TEXT,
    "chain": _OBJECT,
    "conflicts": _NUMBER,
    "counts": _OBJECT,
    "kind": _KINDS,
    "number": _NUMBER,
    "purged_at": _TEXT_OR_NONE,
    "revision": _NUMBER,
    "seal": _TEXT,
    "state": _STATES,
}
EVENT: Kinds = {
    "action": _TEXT,
    "actor": _TEXT,
    "at": _TEXT,
    "detail": _OBJECT,
    "hash": _TEXT,
    "mac": _TEXT_OR_NONE,
    "mac_key": _TEXT_OR_NONE,
    "number": _NUMBER,
    "previous": _TEXT,
}

SEALED = (
    "after after_digest base base_digest before before_digest carried cascades conflict diff files left_scope model "
    "natural_key number operation previous_key problems requires warnings"
).split()
"""What the content digest of every change covers; and these, where a change has them:"""
SEALED_AT_TIMES = ("leaves", "redacted", "restores", "undoes")


def problem(value: Any, kinds: Kinds, at_times: Kinds | None = None) -> str:
    """Which member is missing or of another kind, as the end of a sentence; "" where all is well."""
    if type(value) is not dict:
        return "it is no object"
    for name, kind in kinds.items():
        if name not in value:
            return f"it lacks “{name}”"
        if not _fits(value[name], kind):
            return f"“{name}” is not what it has to be"
    for name, kind in (at_times or {}).items():
        if name in value and not _fits(value[name], kind):
            return f"“{name}” is not what it has to be"
    return ""


def _fits(value: Any, kind: Any) -> bool:
    if type(kind) is tuple:
        return type(value) in kind
    # Lists and objects have no hash.
    return type(value) in (str, bool, _NONE) and value in kind


def content_of(change: Mapping[str, Any]) -> dict[str, Any]:
    """What the content digest of an exported change covers."""
    content = {name: change[name] for name in SEALED}
    for name in SEALED_AT_TIMES:
        if name in change:
            content[name] = change[name]
    return content
