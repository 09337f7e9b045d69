"""Everything data_sync stores."""

from .audit import ChainMark, Event
from .baselines import Baseline
from .changesets import Change, Changeset
from .exchange import DataSource, ExportKey
from .files import FileChecksum, PromotedFile
from .guards import DeleteLimit
from .heartbeats import ApplyHeartbeat, PullHeartbeat
from .kept_rows import KeptRow
from .pulls import DataPull, KeptAnswer
from .reviews import Comment, Viewing
from .trust import Trust

__all__ = [
    "ApplyHeartbeat",
    "Baseline",
    "ChainMark",
    "Change",
    "Changeset",
    "Comment",
    "DataPull",
    "DataSource",
    "DeleteLimit",
    "Event",
    "ExportKey",
    "FileChecksum",
    "KeptAnswer",
    "KeptRow",
    "PromotedFile",
    "PullHeartbeat",
    "Trust",
    "Viewing",
]
