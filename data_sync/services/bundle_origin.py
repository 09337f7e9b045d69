"""An uploaded bundle as what a pull reads: another environment in all but that nothing was agreed on with it."""

from __future__ import annotations

from data_sync.core.errors import DataSyncError
from data_sync.core.manifest import Manifest
from data_sync.models import DataPull
from data_sync.sources.bundle import BundleSource

from . import stored_uploads
from .agreement import Agreement, agree
from .origins import Origin


class BundleOrigin(Origin):
    """Raises `WrongFile` and `MalformedBundle` where the upload is gone, altered, or no bundle."""

    keeps_answers = False

    def __init__(self, pull: DataPull) -> None:
        self._file = stored_uploads.opened(pull)
        try:
            self._bundle = BundleSource(self._file)
        except DataSyncError:
            self._file.close()
            raise
        super().__init__(pull, self._bundle)

    def agree(self, here: Manifest, there: Manifest) -> Agreement:
        """Models that were left out of the bundle on purpose are no difference."""
        return agree(() if self._bundle.head.has_all else tuple(there.models), here, there)

    def close(self) -> None:
        self._bundle.close()
        self._file.close()
