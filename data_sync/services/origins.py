"""What a pull reads, and with which rows of this database that is compared: by the pull's kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, assert_never

from data_sync.core.errors import InvalidTransition
from data_sync.core.manifest import Manifest
from data_sync.core.records import FileValue
from data_sync.core.source import Outside, RecordSource
from data_sync.core.states import PullKind
from data_sync.models import Change, DataPull

from . import sources
from .agreement import Agreement, agree
from .baselines import Baselines
from .both_sides import Pairing
from .renames import find_renames


class Origin:
    """Another environment, compared with everything that is here. Other kinds say otherwise where they are otherwise.

    `source` is read; whoever opened the origin closes what it holds open, by `close`.
    """

    finds_renames = True
    """Whether rows that only their keys tell apart may be paired."""
    keeps_answers = True
    """Whether what the source answers is kept for further tasks. Not where it is here to be read again."""

    def __init__(self, pull: DataPull, source: RecordSource) -> None:
        self.pull = pull
        self.source = source

    def agree(self, here: Manifest, there: Manifest) -> Agreement:
        """Raises `SchemaMismatch` and `InvalidTransition`."""
        return agree(self.pull.model_labels, here, there)

    def pairing(self, outside: Outside) -> Pairing:
        """How rows are paired of which only the keys differ. `outside`: what the source has out of scope."""
        return partial(find_renames, outside=outside)

    def rows_here(self, agreement: Agreement) -> Mapping[str, Collection[str]] | None:
        """By label, the natural keys (canonical texts) that are compared. None: every row in scope."""
        return None

    def baselines(self, agreement: Agreement) -> Baselines:
        """What both sides last agreed on."""
        return Baselines(self.pull.source, agreement.shapes())

    def does_without(self, file: FileValue) -> bool:
        """Whether the pull goes on without a file that could not be read; what needs it cannot be applied then."""
        return False

    def complete(self, changes: Sequence[Change]) -> None:
        """Adds to a batch of changes what only this origin knows, before they are sealed."""

    def report(self) -> dict[str, Any]:
        """What the pull's report has besides; asked for once all changes are complete."""
        return {}

    def close(self) -> None:
        """Gives back what was opened for it."""


def open_origin(pull: DataPull) -> Origin:
    """Raises `DataSyncError`s where what the pull reads is gone, or of no use any more."""
    match PullKind(pull.kind):
        case PullKind.SOURCE:
            if pull.source is None:
                raise InvalidTransition("The data source of this pull has been removed.")
            return Origin(pull, sources.open_source(pull.source))
        case PullKind.BUNDLE:
            from .bundle_origin import BundleOrigin

            return BundleOrigin(pull)
        case PullKind.SHEET:
            from .sheet_origin import SheetOrigin

            return SheetOrigin(pull)
        case PullKind.REVERT:
            from .reverting import open_revert

            return open_revert(pull)
        case kind:
            assert_never(kind)
