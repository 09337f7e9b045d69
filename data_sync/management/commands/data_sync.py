"""`manage.py data_sync VERB`: everything that the admin does, for scripts and terminals.

Exit codes: 0 done, or nothing to do; 1 an error, wrong usage included; 2 there is something to look at.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import DatabaseError, OperationalError

from data_sync.core.errors import DataSyncError, InvalidInput
from data_sync.orm.refusals import without_values
from data_sync.services import actors

from ..text.marks import Paint
from ..text.words import visible
from ..verbs import add_verbs
from ..verbs.call import Answer, Call, Stream, Verbs

BUSY = re.compile(r"is locked|deadlock|lock (wait )?timeout", re.IGNORECASE)
"""What SQLite, PostgreSQL and MariaDB say where another process holds what is wanted."""


class Command(BaseCommand):
    help = "Pull, review and apply changesets of reviewed content. Exit codes: 0 done, 1 error, 2 something to look at."

    _code = 0
    _answered = False

    def add_arguments(self, parser: CommandParser) -> None:
        self._verbs = Verbs(parser)
        add_verbs(self._verbs)

    def run_from_argv(self, argv: list[str]) -> None:
        """As Django's; but wrong usage ends with 1, and broken pipes and Ctrl-C end without a traceback."""
        try:
            # Parsed beforehand, because argparse ends with 2, which here says that there is something to look at.
            self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
        except CommandError as error:
            sentence = str(error).removeprefix("Error: ")
            if "--json" in argv:
                self._write_document({"error": sentence})
            known = [word for word in argv[2:4] if word in self._verbs.names]
            self.stderr.write(f"{sentence}\nSee {' '.join([os.path.basename(argv[0]), argv[1], *known])} --help.")
            sys.exit(1)
        try:
            super().run_from_argv(argv)
        except BrokenPipeError:
            # What flushes at exit would complain once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except KeyboardInterrupt:
            if "--json" in argv and not self._answered:
                self._write_document({"error": "Stopped."})
            self.stderr.write("\nStopped.")
            sys.exit(1)
        if self._code:
            sys.exit(self._code)

    def execute(self, *args: Any, **options: Any) -> str | None:
        if options.get("verb") == "doctor":
            options["skip_checks"] = True  # It tells what they find, and goes on.
        with self._errors_told(as_json=bool(options.get("json"))):
            return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        answer: Answer = options["answer"](
            Call(
                actor=_actor(options["acting"]),
                options=options,
                paint=self._paint(),
                progress=sys.stderr if sys.stderr is not None and sys.stderr.isatty() else None,
            )
        )
        if options["json"] or answer.text is None:
            self._write_document(answer.document)
        else:
            _reconfigure(self.stdout, errors="backslashreplace")
            # Closed also when the pipe breaks: a query that is left open complains once its connection is gone.
            with _closing(answer.text):
                for line in answer.text:
                    self.stdout.write(line)
        for note in answer.notes:
            self.stderr.write(note, str)
        self.stdout.flush()
        if answer.failure:
            raise CommandError(answer.failure)
        self._code = answer.code

    @contextmanager
    def _errors_told(self, *, as_json: bool) -> Iterator[None]:
        """Errors as `CommandError`, and with `--json` as a document; those nobody expected go through."""
        try:
            yield
        except BrokenPipeError:
            raise
        except Exception as error:
            sentence = _sentence(error)
            if as_json and not self._answered:
                self._write_document({"error": sentence or f"Unexpected {without_values(error)}; see stderr."})
            if sentence is None or isinstance(error, CommandError):
                raise
            raise CommandError(visible(sentence)) from error

    def _write_document(self, document: dict[str, Any] | Stream) -> None:
        # JSON is UTF-8 (RFC 8259, section 8.1), whatever the terminal's encoding is.
        _reconfigure(self.stdout, encoding="utf-8", newline="\n")
        if isinstance(document, dict):
            self.stdout.write(json.dumps(document))
            self._answered = True
            return
        with _closing(document):
            for piece in document:
                self._answered = True
                self.stdout.write(piece, ending="")

    def _paint(self) -> Paint:
        if not self.stdout.isatty():
            return Paint()
        return Paint(removed=self.style.ERROR, added=self.style.SUCCESS)


def _sentence(error: Exception) -> str | None:
    match error:
        case DataSyncError() | CommandError() | ImproperlyConfigured():
            return str(error)
        case OperationalError() if BUSY.search(str(error)):
            return f"The database is busy: {error}. Try again."
        case DatabaseError():
            return f"The database refused: {error}. If tables are missing, run manage.py migrate."
        case _:
            return None


def _actor(username: str | None) -> actors.Actor:
    """Who asks. Raises `InvalidInput` for a user who is not there, or who may not log in."""
    if username is None:
        return actors.command_line()
    users = get_user_model()
    user = users._default_manager.filter(**{users.USERNAME_FIELD: username}).first()
    if user is None:
        raise InvalidInput(f"There is no user “{username}”.")
    if not user.is_active:
        raise InvalidInput(f"The user “{username}” is not active.")
    return actors.of_user(user)


@contextmanager
def _closing(pieces: object) -> Iterator[None]:
    try:
        yield
    finally:
        if isinstance(pieces, Generator):
            pieces.close()


def _reconfigure(stream: OutputWrapper, **options: str) -> None:
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(**options)
