"""Everything data_sync stores."""

from .audit import Event
from .changesets import Change, Changeset
from .exchange import DataSource, ExportKey
from .files import FileChecksum, PromotedFile
from .pulls import DataPull

__all__ = [
    "Change",
    "Changeset",
    "DataPull",
    "DataSource",
    "Event",
    "ExportKey",
    "FileChecksum",
    "PromotedFile",
]
