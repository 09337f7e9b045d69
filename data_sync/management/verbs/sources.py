"""`source add`, `source list`, `source remove`: where this environment pulls from; `trusting` has the rest."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.views.decorators.debug import sensitive_variables

from data_sync.core.errors import InvalidInput
from data_sync.models import DataPull, DataSource
from data_sync.services import credentials, sources, trust

from ..text.words import line, moment
from . import trusting
from .call import Answer, Call, Verbs, source_of


def add_verbs(verbs: Verbs) -> None:
    group = verbs.group("source", "Where to pull from")
    add = group.add("add", add_source, "Add a source")
    add.add_argument("name", metavar="NAME", help="what to call it, such as staging")
    add.add_argument("url", metavar="URL", help="the prefix below which it includes data_sync.urls")
    add.add_argument(
        "--key",
        metavar="KEY",
        help="env:VAR for a key that an environment variable holds, - to read the key from standard input",
    )
    group.add("list", list_sources, "List the sources")
    remove = group.add("remove", remove_source, "Remove a source; its changesets stay")
    remove.add_argument("name", metavar="NAME")
    trusting.add_verbs(group)


@sensitive_variables()
def add_source(call: Call) -> Answer:
    source = sources.add_source(call.options["name"], call.options["url"], _read_key(call.options["key"]), call.actor)
    return Answer(
        document=_document(source),
        text=[f"Added the source {line(source.name)}. Try it: data_sync doctor {line(source.name)}"],
    )


def list_sources(call: Call) -> Answer:
    if not call.actor.may("data_sync.change_datasource"):
        call.actor.require("data_sync.view_datasource")
    found = [(source, _last_pull(source)) for source in DataSource.objects.all()]
    text = []
    for source, pull in found:
        pulled = "never pulled" if pull is None else f"last pull {pull.pk}, {moment(pull.created_at)}: {pull.state}"
        text += [line(source.name), f"    {line(source.url)}", f"    key: {_key(source)}; {pulled}"]
        standing = trust.standing(source)
        if standing is not None:
            text += [
                "    trusted: its changes apply without review",
                *(f"        {words}" for words in trusting.trust_text(standing)),
            ]
    return Answer(
        document={"sources": [_document(source) for source, _ in found]},
        text=text or ["There are no sources. Add one: data_sync source add NAME URL --key -"],
    )


def remove_source(call: Call) -> Answer:
    source = source_of(call.options["name"])
    name = source.name
    sources.remove_source(source, call.actor)
    return Answer(document={"removed": name}, text=[f"Removed the source {line(name)}. Its pulls and changesets stay."])


def _last_pull(source: DataSource) -> DataPull | None:
    return DataPull.objects.filter(source=source).order_by("-pk").first()


def _key(source: DataSource) -> str:
    return line(credentials.describe(source.key))


def _document(source: DataSource) -> dict[str, Any]:
    told = {"name": source.name, "url": source.url, "key": credentials.describe(source.key)}
    return told | trusting.standing_document(source)


@sensitive_variables()
def _read_key(given: str | None) -> str:
    """The key, or where it is. Never takes it from the arguments: those are seen in `ps` and stay in histories."""
    if given is not None and given.startswith(credentials.REFERENCE):
        return given
    if given not in (None, "-"):
        raise InvalidInput(
            "A key on the command line would stay in the shell's history. Give --key env:VAR for an environment "
            "variable that holds it, or --key - and the key on standard input."
        )
    try:
        if sys.stdin.isatty():
            return getpass.getpass("Export key (not shown): ")
        if given is None:
            raise InvalidInput("Give --key env:VAR, or --key - and the key on standard input.")
        return sys.stdin.readline(10_000)
    except (EOFError, UnicodeError):
        raise InvalidInput("What came on standard input is not an export key.") from None
