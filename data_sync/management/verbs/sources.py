"""`source add`, `change`, `list`, `limit`, `rotate`, `remove`: where one pulls from; `trusting` has the rest."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from django.views.decorators.debug import sensitive_variables

from data_sync.core.errors import InvalidInput
from data_sync.models import DataPull, DataSource
from data_sync.services import credentials, limits, rotation, sources, trust
from data_sync.services.guards import Limit

from ..text.words import count, line, listing, moment
from . import trusting
from .call import Answer, Call, Verbs, source_of

URL_HELP = "the prefix below which it includes data_sync.urls"
KEY_HELP = "env:VAR for a key that an environment variable holds, - to read the key from standard input"
DEFAULT = "default"
"""What takes a limit back, so that the source's or the setting's counts again."""
CHANGEABLE = {"new_name": "name", "url": "url", "key": "key", "google_audience": "google_audience"}
"""By option, what the service calls it."""


def add_verbs(verbs: Verbs) -> None:
    group = verbs.group("source", "Where to pull from")
    add = group.add("add", add_source, "Add a source")
    add.add_argument("name", metavar="NAME", help="what to call it, such as staging")
    add.add_argument("url", metavar="URL", help=URL_HELP)
    add.add_argument("--key", metavar="KEY", help=KEY_HELP)
    add.add_argument(
        "--google-audience",
        metavar="AUDIENCE",
        default="",
        help="send Google ID tokens made out for this: the client ID of IAP, or the URL of a Cloud Run service",
    )
    change = group.add("change", change_source, "Give a source another key, URL, audience or name")
    change.add_argument("name", metavar="NAME")
    change.add_argument("--name", dest="new_name", metavar="NEW", help="what to call it from now on")
    change.add_argument("--url", metavar="URL", help=f"{URL_HELP}; on another host the key has to be given again")
    change.add_argument("--key", metavar="KEY", help=KEY_HELP)
    change.add_argument("--google-audience", metavar="AUDIENCE", help="as for add; '' for none")
    group.add("list", list_sources, "List the sources")
    rotate = group.add("rotate", rotate_keys, "Encrypt the stored keys anew, with what encrypts now")
    rotate.add_argument("name", nargs="?", metavar="NAME", help="of this source only; default all")
    limit = group.add("limit", limit_deletes, "Show or set how many deletes of a source's rows go unasked")
    limit.add_argument("name", metavar="NAME")
    limit.add_argument("--model", metavar="A.B", help="of this model only; default of every model of the source")
    limit.add_argument("--rows", type=_limit, metavar="N", help=f"at most so many rows; “{DEFAULT}” takes a limit back")
    limit.add_argument(
        "--percent", type=_limit, metavar="P", help=f"at most so many percent of the rows here; or “{DEFAULT}”"
    )
    remove = group.add("remove", remove_source, "Remove a source; its changesets stay")
    remove.add_argument("name", metavar="NAME")
    trusting.add_verbs(group)


@sensitive_variables()
def add_source(call: Call) -> Answer:
    audience = call.options["google_audience"]
    # Where Google says who asks, there need be no key.
    key = "" if audience and call.options["key"] is None else _read_key(call.options["key"])
    source = sources.add_source(call.options["name"], call.options["url"], key, call.actor, google_audience=audience)
    return Answer(
        document=_document(source),
        text=[f"Added the source {line(source.name)}. Try it: data_sync doctor {line(source.name)}"],
    )


@sensitive_variables()
def change_source(call: Call) -> Answer:
    """What is not given stays: the limits of deletes and what was agreed on, too, as long as the URL does."""
    source = source_of(call.options["name"])
    given = {name: call.options[option] for option, name in CHANGEABLE.items() if call.options[option] is not None}
    if not given:
        raise InvalidInput("Say what to change: --key, --url, --google-audience or --name.")
    if "key" in given:
        given["key"] = _read_key(given["key"])
    was_trusted = trust.standing(source) is not None
    changed = sources.change_source(source, call.actor, **given)
    text = [f"Changed the source {line(changed.name)}. Try it: data_sync doctor {line(changed.name)}"]
    if was_trusted and trust.standing(changed) is None:
        text.append("That ended trust in it: its changes wait for review. Trust it again: data_sync source trust")
    return Answer(document=_document(changed), text=text)


def list_sources(call: Call) -> Answer:
    if not call.actor.may("data_sync.change_datasource"):
        call.actor.require("data_sync.view_datasource")
    found = [(source, _last_pull(source)) for source in DataSource.objects.all()]
    text = []
    for source, pull in found:
        pulled = "never pulled" if pull is None else f"last pull {pull.pk}, {moment(pull.created_at)}: {pull.state}"
        text += [line(source.name), f"    {line(source.url)}", f"    key: {_key(source)}; {pulled}"]
        if source.google_audience:
            text.append(f"    Google audience: {line(source.google_audience)}")
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


def rotate_keys(call: Call) -> Answer:
    name = call.options["name"]
    done = rotation.rotate_keys(call.actor, None if name is None else source_of(name))
    failure = ""
    if done.failed:
        failure = (
            f"{count(len(done.failed), 'key')} cannot be decrypted with what the settings have: "
            f"{listing(list(done.failed), 50)}. Add the old text to DATA_SYNC_ENCRYPTION_KEYS, or give these sources "
            "their keys again."
        )
    return Answer(
        document={"rotated": list(done.rotated), "current": list(done.current), "failed": list(done.failed)},
        text=[f"Encrypted {count(len(done.rotated), 'key')} anew; {len(done.current)} needed nothing."],
        failure=failure,
    )


def limit_deletes(call: Call) -> Answer:
    """Without --rows and --percent: what the limits are."""
    source = source_of(call.options["name"])
    label = (call.options["model"] or limits.ALL).lower()
    given = {name: call.options[name] for name in limits.MOST if call.options[name] is not None}
    if given:
        limits.change_limits(source, call.actor, {label: {name: _value(text) for name, text in given.items()}})
    elif call.options["model"] is not None:
        raise InvalidInput("Say which limit: --rows N, --percent P, or both.")
    elif not call.actor.may("data_sync.change_datasource"):
        call.actor.require("data_sync.view_datasource")
    found = limits.limits_of(source)
    return Answer(
        document={
            "name": source.name,
            "rows": found.default.rows,
            "percent": found.default.percent,
            "models": {label: {"rows": of.rows, "percent": of.percent} for label, of in found.models.items()},
        },
        text=[
            f"Blocked until somebody overrides it is what would delete more from {line(source.name)} than",
            *(f"    {_limit_words(of)} of {line(label)}" for label, of in found.models.items()),
            f"    {_limit_words(found.default)} of {'any other' if found.models else 'any'} model",
        ],
    )


def _limit(text: str) -> str:
    if text != DEFAULT and not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number such as 50 nor “{DEFAULT}”")
    return text


def _value(text: str) -> int | None:
    return None if text == DEFAULT else int(text)


def _limit_words(limit: Limit) -> str:
    return f"{count(limit.rows, 'row')} or {limit.percent} %"


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
    told = {
        "name": source.name,
        "url": source.url,
        "key": credentials.describe(source.key),
        "google_audience": source.google_audience,
    }
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
