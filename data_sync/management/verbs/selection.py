"""Which changes of a changeset are meant: `--change`, `--model`, `--operation`."""

from __future__ import annotations

import argparse

from data_sync.core.errors import InvalidInput
from data_sync.core.states import Operation
from data_sync.models import Changeset
from data_sync.services.review import Selection, select

from ..text.words import line, listing
from .call import Call


def add_filters(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--model", default="", metavar="A.B", help="changes of this model only")
    verb.add_argument(
        "--operation", default="", choices=[operation.value for operation in Operation], help="these changes only"
    )


def selection_of(call: Call) -> Selection:
    numbers = call.options["change"]
    return Selection(
        numbers=None if numbers is None else tuple(sorted(set(numbers))),
        model=call.options["model"].strip().lower(),
        operation=call.options["operation"],
    )


def require_changes(changeset: Changeset, selection: Selection) -> None:
    """Raises `InvalidInput` for a number or a model that the changeset does not have."""
    if selection.numbers is not None:
        found = set(select(changeset, selection).values_list("number", flat=True))
        missing = [f"#{number}" for number in selection.numbers if number not in found]
        if missing:
            among = " of that model or operation" if selection.model or selection.operation else ""
            raise InvalidInput(f"Changeset {changeset.pk} has no change {listing(missing, 10)}{among}.")
    elif selection.model and selection.model not in changeset.model_labels:
        known = listing(sorted(changeset.model_labels))
        raise InvalidInput(f"Changeset {changeset.pk} is not about {line(selection.model)}, but about: {known}.")
