"""`key create`, `key list`, `key rotate`, `key revoke`: who may pull from this environment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q
from django.views.decorators.debug import sensitive_variables

from data_sync.core.errors import InvalidInput
from data_sync.models import ExportKey
from data_sync.services import keys

from ..text.table import table
from ..text.words import line, moment
from .call import Answer, Call, Verbs, labels


def add_verbs(verbs: Verbs) -> None:
    group = verbs.group("key", "Who may pull from here")
    create = group.add("create", create_key, "Create an export key, and print it: it cannot be shown again")
    create.add_argument("name", metavar="NAME", help="who it is for, such as production")
    create.add_argument("--models", type=labels, default=(), metavar="A.B,C.D", help="only these; default all")
    create.add_argument("--expires", type=int, metavar="DAYS", help="after so many days; default never")
    group.add("list", list_keys, "List the export keys")
    rotate = group.add("rotate", rotate_key, "Create a second key in place of one, print it, and let the old one end")
    rotate.add_argument("name", metavar="NAME")
    rotate.add_argument("--expires", type=int, metavar="DAYS", help="of the new key; default as long as the old one's")
    rotate.add_argument(
        "--overlap",
        type=int,
        default=keys.OVERLAP_DAYS,
        metavar="DAYS",
        help=f"how long the old key stays good, 0 to refuse it at once; default {keys.OVERLAP_DAYS}",
    )
    revoke = group.add("revoke", revoke_key, "Refuse a key from now on")
    revoke.add_argument("name", metavar="NAME", help="its name, or its prefix")


@sensitive_variables()
def create_key(call: Call) -> Answer:
    created, text = keys.create_key(
        call.options["name"],
        call.actor,
        model_labels=call.options["models"],
        expires_in_days=call.options["expires"],
    )
    # The key alone on standard output: KEY=$(manage.py data_sync key create production)
    return Answer(
        document={"name": created.name, "key": text},
        text=[text],
        notes=(f"This is the export key {line(created.name)}. Copy it now: it cannot be shown again.",),
    )


@sensitive_variables()
def rotate_key(call: Call) -> Answer:
    old = _key(call.options["name"])
    created, text = keys.rotate_key(
        old, call.actor, expires_in_days=call.options["expires"], overlap_days=call.options["overlap"]
    )
    is_over = keys.state_of(old) is keys.KeyState.EXPIRED
    ending = "is refused from now on" if is_over else f"is refused from {moment(old.expires_at)} on"
    return Answer(
        document={"name": created.name, "key": text, "old": _document(old)},
        text=[text],
        notes=(
            f"This is the new export key {line(created.name)}. Copy it now: it cannot be shown again.",
            f"The old one, now named {line(old.name)}, {ending}.",
        ),
    )


def list_keys(call: Call) -> Answer:
    if not call.actor.may(keys.PERMISSION):
        call.actor.require("data_sync.view_exportkey")
    found = list(ExportKey.objects.all())
    rows = [
        [
            line(key.name),
            key.prefix,
            "expires soon" if (state := keys.state_of(key)) is keys.KeyState.EXPIRING else state.value,
            moment(key.expires_at),
            moment(key.last_used_at),
            line(", ".join(key.model_labels)) or "all",
        ]
        for key in found
    ]
    head = ["name", "prefix", "state", "expires", "last used", "models"]
    return Answer(
        document={"keys": [_document(key) for key in found]},
        text=table(head, rows) if rows else ["There are no export keys. Create one: data_sync key create NAME"],
    )


def revoke_key(call: Call) -> Answer:
    key = _key(call.options["name"])
    before = key.revoked_at
    keys.revoke_key(key, call.actor)
    words = "is revoked: it is refused from now on" if before is None else f"was revoked on {moment(before)}"
    return Answer(document=_document(key), text=[f"The export key {line(key.name)} {words}.", *_still_good(key)])


def _still_good(key: ExportKey) -> Iterator[str]:
    """Who revokes a key because it leaked has to know of those that open as much."""
    for other in keys.predecessors(key):
        yield f"{line(other.name)} is still good. Revoke it, too: data_sync key revoke {other.prefix}"


def _key(name: str) -> ExportKey:
    """By its name, or by its prefix, which stays where a rotation gives it another name."""
    known = ExportKey.objects.filter(Q(name=name.strip()) | Q(prefix=name.strip()))
    key = known.filter(name=name.strip()).first() or known.first()
    if key is None:
        raise InvalidInput(f"There is no export key named “{name}”, nor with this prefix; see data_sync key list.")
    return key


def _document(key: ExportKey) -> dict[str, Any]:
    times = {name: getattr(key, name) for name in ("created_at", "expires_at", "revoked_at", "last_used_at")}
    return {
        "name": key.name,
        "prefix": key.prefix,
        "state": keys.state_of(key).value,
        "models": key.model_labels,
        **{name: None if at is None else at.isoformat() for name, at in times.items()},
        "last_used_from": key.last_used_from,
    }
