"""`bundle` writes what others could pull from here into a file; `upload` makes a changeset of a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from data_sync import tasks
from data_sync.core.errors import InvalidInput
from data_sync.orm.files import read_blocks
from data_sync.services import bundle, uploads

from .. import progress
from ..text.words import count, line
from .call import Answer, Call, Stream, Verbs, labels
from .pulls import answer_of

STDIN = "-"


def add_verbs(verbs: Verbs) -> None:
    made = verbs.add("bundle", write_bundle, "Write records and files into one zip file, to be uploaded elsewhere")
    made.add_argument("file", metavar="FILE", help="where the bundle is written, such as staging.zip")
    made.add_argument("--models", type=labels, default=(), metavar="A.B,C.D", help="only these; default all")
    made.add_argument("--no-files", dest="files", action="store_false", help="leave out the bytes of files")
    made.add_argument("--overwrite", action="store_true", help="write over a file that is there")
    given = verbs.add("upload", upload, "Make a changeset of a bundle, or of a spreadsheet of one model")
    given.add_argument("file", metavar="FILE", help="the file; - reads standard input")
    given.add_argument("--model", type=_label, metavar="A.B", help="whose rows a spreadsheet has")
    given.add_argument("--format", metavar="FORMAT", help="what kind of spreadsheet it is, such as csv")
    given.add_argument("--deletes", action="store_true", help="propose to delete the rows that a spreadsheet lacks")


def _label(text: str) -> str:
    found = labels(text)
    if len(found) != 1:
        raise argparse.ArgumentTypeError("name one model as in shop.price")
    return found[0]


def write_bundle(call: Call) -> Answer:
    with progress.counted(call.progress, "rows written") as note:
        made = bundle.write_bundle(
            Path(call.options["file"]),
            call.options["models"],
            call.actor,
            with_files=call.options["files"],
            overwrite=call.options["overwrite"],
            note=note,
        )
    return Answer(
        document={
            "bundle": str(made.path),
            "size": made.size,
            "checksum": made.checksum,
            "rows": made.rows,
            "files": made.files,
        },
        text=_written(made),
    )


def _written(made: bundle.Bundle) -> Stream:
    rows = count(sum(made.rows.values()), "row")
    yield f"{line(str(made.path))}: {rows} of {count(len(made.rows), 'model')}, {count(made.files, 'file')}."
    yield f"{made.size:,} bytes, {made.checksum}"
    yield "It is as secret as the database. Tell the checksum by another way than the file goes."


def upload(call: Call) -> Answer:
    options = {name: call.options[name] for name in ("model", "format", "deletes")}
    name = call.options["file"]
    pull = uploads.request_upload(_blocks(name), "stdin" if name == STDIN else name, call.actor, options=options)
    with progress.shown(pull, call.progress):
        tasks.submit("pull", pull.pk, here=True)
    return answer_of(pull)


def _blocks(name: str) -> Iterator[bytes]:
    if name == STDIN:
        yield from read_blocks(sys.stdin.buffer)
        return
    try:
        file: IO[bytes] = open(name, "rb")
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror or error}.") from error
    with file:
        yield from read_blocks(file)
