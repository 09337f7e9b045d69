"""What a verb is given, and what it gives back."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO, TypeAlias

from data_sync.core.errors import InvalidInput
from data_sync.models import Changeset, DataSource
from data_sync.services.actors import Actor

from ..text.marks import Paint
from ..text.words import listing

FOUND = 2
"""Exit code: done, and there is something that somebody has to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Who asks, and for what. `progress` is where to show it: standard error, if that is a terminal."""

    actor: Actor
    options: Mapping[str, Any]
    paint: Paint = field(default_factory=Paint)
    progress: TextIO | None = None


Stream: TypeAlias = Generator[str, None, None]
"""Pieces that are made as they are printed; may hold a query open, so it is to be closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`document` is for `--json`; a stream is JSON text in pieces. `text` holds the lines for people; without
    it they get the document, too.

    `notes` go to standard error. `failure` is why what was asked for was not done: exit code 1.
    """

    document: dict[str, Any] | Stream
    text: Sequence[str] | Stream | None = None
    notes: tuple[str, ...] = ()
    code: int = 0
    failure: str = ""


class Verbs:
    """The verbs of a parser: adds them, with the options that all have."""

    def __init__(self, parser: argparse.ArgumentParser, dest: str = "verb") -> None:
        self._parsers = parser.add_subparsers(dest=dest, metavar="VERB", required=True, title="verbs")
        self.names: set[str] = set()

    def add(self, name: str, answer: Callable[[Call], Answer], what: str) -> argparse.ArgumentParser:
        """A verb that is answered by a function; `what` is the help, a sentence without full stop."""
        # Without abbreviations: `accept 7 --al` is no consent, and a new option breaks no script.
        verb = self._parsers.add_parser(name, help=what, description=f"{what}.", allow_abbrev=False)
        self.names.add(name)
        verb.set_defaults(answer=answer)
        verb.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")
        verb.add_argument("--as", dest="acting", metavar="USERNAME", help="who does it; their permissions count")
        _add_hidden(verb)
        return verb

    def group(self, name: str, what: str) -> Verbs:
        """Verbs of two words."""
        parser = self._parsers.add_parser(name, help=what, description=f"{what}.", allow_abbrev=False)
        self.names.add(name)
        return Verbs(parser, f"{name}_verb")


def _add_hidden(verb: argparse.ArgumentParser) -> None:
    """Django's own options, so that they may stand behind the verb, too."""
    for option in ("--settings", "--pythonpath"):
        verb.add_argument(option, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    for option in ("--traceback", "--no-color", "--force-color", "--skip-checks"):
        verb.add_argument(option, action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    verb.add_argument("-v", "--verbosity", type=int, default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def number(text: str) -> int:
    """The type of arguments that are numbers of changesets, changes or pulls."""
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 18 and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number such as 7")
    return int(text)


def labels(text: str) -> tuple[str, ...]:
    """The type of `--models`: labels with commas between them."""
    found = tuple(dict.fromkeys(label.strip().lower() for label in text.split(",") if label.strip()))
    if not found:
        raise argparse.ArgumentTypeError("name models as in shop.product,shop.price")
    return found


def changeset_of(call: Call) -> Changeset:
    """The changeset that the call names. Raises `InvalidInput` if there is none."""
    found = Changeset.objects.filter(pk=call.options["changeset"]).first()
    if found is None:
        raise InvalidInput(f"There is no changeset {call.options['changeset']}; see data_sync list.")
    return found


def source_of(name: str) -> DataSource:
    """The source of this name. Raises `InvalidInput`, with the names there are."""
    found = DataSource.objects.filter(name=name.strip()).first()
    if found is None:
        known = list(DataSource.objects.values_list("name", flat=True))
        there = f"There are: {listing(known, 20)}." if known else "There are none; see data_sync source add."
        raise InvalidInput(f"There is no source named “{name}”. {there}")
    return found
