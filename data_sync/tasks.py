"""The one place that starts work: always once the transaction that recorded it is committed."""

from __future__ import annotations

from functools import partial
from typing import Literal, assert_never

from django.db import transaction

from .services.apply import run_apply
from .services.pull import run_pull

Kind = Literal["pull", "apply"]


def submit(kind: Kind, pk: int) -> None:
    """Has a pull or an apply done. The work runs in the request, after commit; its result is stored state."""
    transaction.on_commit(partial(run, kind, pk))


def run(kind: Kind, pk: int) -> None:
    match kind:
        case "pull":
            run_pull(pk)
        case "apply":
            run_apply(pk)
        case _:
            assert_never(kind)
