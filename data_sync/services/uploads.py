"""Uploads: a file that somebody has becomes a pull, and what differs a changeset, reviewed as any other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import IO, Any

from django.db import transaction

from data_sync.core.bundle import HEAD, NAME_AT, NOT_OURS, is_bundle
from data_sync.core.errors import InvalidInput
from data_sync.core.states import PullKind
from data_sync.models import DataPull
from data_sync.orm.resolution import schemas
from data_sync.sources.bundle import BundleSource
from data_sync.sources.sheet import check_headers
from data_sync.sources.sheet_rows import format_of

from . import stored_uploads
from .actors import Actor
from .pull_states import record_request

PERMISSION = "data_sync.pull_datasource"
"""That of pulls: an upload writes no more than one, and what it brings waits for review like anything else."""
NAME_LENGTH, SOURCE_LENGTH = 200, 100
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


def request_upload(
    blocks: Iterable[bytes], name: str, actor: Actor, *, options: Mapping[str, Any] | None = None
) -> DataPull:
    """A queued pull of a file. What kind of file it is, its content says: a bundle, else a spreadsheet of the model
    that `options` names. `name` is what its owner calls it.

    Looked at beforehand is what can be seen at once; the rest, and each checksum, by the pull. Raises `NotPermitted`,
    and `DataSyncError`s that say what is wrong with the file.
    """
    actor.require(PERMISSION)
    given = {key: value for key, value in (options or {}).items() if value}
    file, checksum = stored_uploads.spool(blocks)
    with file:
        kind = kind_of(file)
        labels = _checked(kind, file, name, given)
        stored = stored_uploads.keep(file)
    shown = clean_name(name)
    try:
        with transaction.atomic():
            pull = DataPull.objects.create(
                kind=kind.value,
                source=None,
                source_name=_shortened(shown, SOURCE_LENGTH),
                upload=stored,
                upload_name=shown,
                upload_checksum=checksum,
                options=given,
                model_labels=labels,
                requested_by=actor.user,
                actor=actor.label,
            )
            record_request(pull, actor)
            return pull
    except BaseException:
        stored_uploads.remove(stored)
        raise


def kind_of(file: IO[bytes]) -> PullKind:
    """By its first bytes; XLSX and ODS files are zip files, too."""
    file.seek(0)
    return PullKind.BUNDLE if is_bundle(file.read(NAME_AT + len(HEAD))) else PullKind.SHEET


def _checked(kind: PullKind, file: IO[bytes], name: str, options: Mapping[str, Any]) -> list[str]:
    """The labels of the models that are asked for; none, where the file says so itself."""
    if kind is PullKind.BUNDLE:
        if options:
            raise InvalidInput(
                f"{', '.join(sorted(options))}: that is for spreadsheets, and this is a bundle, which says itself what "
                "is in it. Leave it out."
            )
        BundleSource(file).close()
        return []
    if not options.get("model"):
        raise InvalidInput(f"The file is no bundle. {NOT_OURS}.")
    schema = schemas().get(options["model"])
    if schema is None:
        raise InvalidInput(f"{options['model']} is not registered here. Known: {', '.join(sorted(schemas()))}.")
    check_headers(file, format_of(options.get("format", ""), name), schema, has_all=bool(options.get("deletes")))
    return [schema.label]


def clean_name(name: str) -> str:
    """A file's name as it is shown: without folders, and without what is not seen."""
    last = re.split(r"[/\\]", name)[-1]
    return _shortened(_UNSEEN.sub(" ", last).strip() or "file", NAME_LENGTH)


def _shortened(name: str, length: int) -> str:
    """With its end, which says what it is."""
    return name if len(name) <= length else f"{name[: length - 21]}…{name[-20:]}"
