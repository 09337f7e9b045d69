"""The verbs of `manage.py data_sync`: each turns words into a service's call, and its result into an answer."""

from __future__ import annotations

from . import (
    applying,
    changesets,
    doctor,
    exchange,
    groups,
    keys,
    pulls,
    reverting,
    review,
    show,
    sources,
    sweeping,
    verifying,
)
from .call import Verbs

GROUPS = (
    sources,
    groups,
    keys,
    doctor,
    pulls,
    exchange,
    changesets,
    show,
    review,
    applying,
    reverting,
    sweeping,
    verifying,
)


def add_verbs(verbs: Verbs) -> None:
    """Adds every verb, in the order in which they are first needed."""
    for group in GROUPS:
        group.add_verbs(verbs)
