"""Small changesets to decide on, sealed as a pull would have sealed them."""

from __future__ import annotations

import hashlib
from typing import Any

from data_sync.core import canonical
from data_sync.core.seal import content_digest
from data_sync.core.states import ChangesetState, Decision
from data_sync.models import Change, Changeset
from data_sync.services import actors, review
from data_sync.services.content import stored_contents
from data_sync.services.review import Selection
from data_sync.services.seals import current_content_seal

ACTOR = actors.command_line()
LABELS = ["testapp.country", "testapp.tag"]
HERE = "sha256:" + "a" * 64
"""The digest that every row here has which is not gone."""


def make(*operations: str, requires: dict[int, list[int]] | None = None, **values: Any) -> Changeset:
    """A pending changeset with one change for each operation: "create", "update", "delete" or "rename".

    With "!" after it, it cannot be applied; with "?", it is a conflict.
    """
    changeset = Changeset.objects.create(
        **{"state": ChangesetState.PENDING.value, "source_name": "Staging", "model_labels": LABELS, **values}
    )
    Change.objects.bulk_create(
        _change(changeset, number, operation, (requires or {}).get(number, []))
        for number, operation in enumerate(operations, start=1)
    )
    for number, text in enumerate(stored_contents(changeset), start=1):
        changeset.changes.filter(number=number).update(content_digest=content_digest(text))
    changeset.content_seal = current_content_seal(changeset)
    changeset.save()
    return changeset


def _change(changeset: Changeset, number: int, operation: str, requires: list[int]) -> Change:
    name = operation.rstrip("!?")
    is_here = name != "create"
    kind = "changed" if is_here else "removed"
    return Change(
        changeset=changeset,
        number=number,
        model="testapp.country" if number % 2 else "testapp.tag",
        operation=name,
        key=[f"K{number}"],
        key_text=f"K{number}",
        key_digest=hashlib.sha256(canonical.dumps([f"K{number}"]).encode()).hexdigest()[:32],
        previous_key=[f"old {number}"] if name == "rename" else None,
        before_digest=HERE if is_here else "",
        after_digest="" if name == "delete" else "sha256:" + f"{number:064}",
        requires=requires,
        has_problems="!" in operation,
        problems=[{"code": "x", "field": "", "message": "It cannot."}] if "!" in operation else [],
        is_conflict="?" in operation,
        conflict={"kind": kind, "by": "", "at": ""} if "?" in operation else {},
        base_digest="b" * 32 if "?" in operation else "",
    )


def decide(
    changeset: Changeset,
    wanted: str,
    *numbers: int,
    revision: int | None = None,
    options: dict[str, Any] | None = None,
    **filters: Any,
) -> review.Decided:
    """`options` are those of `review.decide`; without numbers, all that the filters leave."""
    selection = Selection(numbers=numbers or None, **filters)
    return review.decide(changeset.pk, selection, Decision(wanted), ACTOR, revision=revision, **(options or {}))


def decided(changeset: Changeset, decision: str = "accepted") -> list[int]:
    return list(changeset.changes.filter(decision=decision).order_by("number").values_list("number", flat=True))
