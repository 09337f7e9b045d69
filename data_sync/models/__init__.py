"""Everything data_sync stores."""

from .audit import Event
from .baselines import Baseline
from .changesets import Change, Changeset
from .exchange import DataSource, ExportKey
from .files import FileChecksum, PromotedFile
from .pulls import DataPull
from .reviews import Comment, Viewing

__all__ = [
    "Baseline",
    "Change",
    "Changeset",
    "Comment",
    "DataPull",
    "DataSource",
    "Event",
    "ExportKey",
    "FileChecksum",
    "PromotedFile",
    "Viewing",
]
