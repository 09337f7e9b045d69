"""What a pull reads, and with which rows of this database that is compared: by the pull's kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import assert_never

from data_sync.core.errors import InvalidTransition
from data_sync.core.manifest import Manifest
from data_sync.core.source import RecordSource
from data_sync.core.states import PullKind
from data_sync.models import DataPull

from . import sources
from .agreement import Agreement, agree
from .baselines import Baselines


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

    def rows_here(self, agreement: Agreement) -> Mapping[str, Collection[str]] | None:
        """By label, the natural keys (canonical texts) that are compared. None: every row in scope."""
        return None

    def baselines(self, agreement: Agreement) -> Baselines:
        """What both sides last agreed on."""
        return Baselines(self.pull.source, agreement.shapes())

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
            raise InvalidTransition(f"Pulls of the kind {pull.kind} are not known here.")
        case kind:
            assert_never(kind)
