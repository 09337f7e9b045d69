"""Changes of a pull's state by the worker that has claimed it: each one UPDATE under its token.

Each pull has a chain of events ("pull:7"): who asked for it, and how it ended, be it with nothing found.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from data_sync.core.errors import LeaseLost
from data_sync.core.states import PullState
from data_sync.models import DataPull, KeptAnswer
from data_sync.models.time import UtcNow

from . import audit, stored_uploads
from .actors import Actor

ACTIVE = [state for state in PullState if state.is_active]
OVER: dict[str, Any] = {"active_source": None, "finished_at": UtcNow(), "token": ""}


def update_claimed(pull: DataPull, **values: Any) -> None:
    """Under the token of who has claimed it. Raises `LeaseLost`."""
    held = DataPull.objects.filter(pk=pull.pk, state__in=[state.value for state in ACTIVE], token=pull.token)
    if not held.update(**values):
        raise LeaseLost(f"Pull {pull.pk} was cancelled, or another worker has taken it over.")


def move(pull: DataPull, new: PullState, **values: Any) -> None:
    update_claimed(pull, state=new.value, **values)


def finish(pull: DataPull, new: PullState, *, told: dict[str, Any], **values: Any) -> None:
    """To a state in which the pull is over: with it goes what was kept for it. `told` is what its event says."""
    with transaction.atomic():
        move(pull, new, **OVER, **values)
        forget_answers(pull.pk)
        record_end(pull.pk, Actor(label=pull.actor, user=pull.requested_by), new, told)


def record_request(pull: DataPull, actor: Actor) -> None:
    """That somebody has asked for a pull. To be called in the transaction that stores it, whatever its kind is."""
    detail = {
        "kind": pull.kind,
        "source": pull.source_name,
        "models": pull.model_labels,
        "wants_apply": pull.wants_apply,
        "reverts": pull.reverts_id,
        "file": pull.upload_name,
    }
    audit.record_of(chain(pull.pk), actor, "requested", detail)


def record_end(pull_id: int, actor: Actor, state: PullState, told: dict[str, Any]) -> None:
    """How it ended. To be called in the transaction that ends it."""
    audit.record_of(chain(pull_id), actor, state.value, told)


def chain(pull_id: int) -> str:
    """Where the audit trail has what happened to a pull."""
    return f"pull:{pull_id}"


def forget_answers(pull_id: int) -> None:
    """What was kept for a pull that is over, and what was uploaded for it."""
    KeptAnswer.objects.filter(pull=pull_id).delete()
    stored_uploads.discard_once_over(pull_id)


def forget_answers_of_the_past() -> None:
    """Of pulls that are over: what a worker kept that did not know it yet, and uploads that were left behind."""
    KeptAnswer.objects.exclude(pull__state__in=[state.value for state in ACTIVE]).delete()
    stored_uploads.discard_those_of_the_past()
