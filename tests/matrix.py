"""Who gets what from each URL, by hand. A URL of data_sync that is not in `ROWS` fails tests/test_matrix.py.

To add one: a line in `ROWS`, under the last part of its name. `path` names what of `Scene` its arguments are; `get` and
`post` say who is let in, and with what status; everybody else of the staff gets 403, and whoever is not of the staff is
sent to log in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from data_sync.core.records import FileValue
from data_sync.models import ExportKey
from data_sync.services import actors, keys, limits, trust
from data_sync.services.source_rows import identity_of
from tests.admin import making
from tests.testapp.models import Document, Term
from tests.testapp.pictures import picture

TERMS = ("add_term", "change_term", "delete_term")

STAFF: dict[str, tuple[str, ...]] = {
    "nobody": (),
    "viewer": ("view_changeset", "view_datapull", "view_datasource", "view_exportkey", "view_event"),
    "puller": ("pull_datasource", "view_datasource"),
    "reviewer": ("view_changeset", "approve_changeset"),
    "applier": ("view_changeset", "apply_changeset", *TERMS),
    "overrider": ("view_changeset", "override_changeset_guard"),
    "reverter": ("view_changeset", "revert_changeset"),
    "exporter": ("view_changeset", "export_changeset"),
    "key manager": ("manage_exportkey",),
    "source manager": ("add_datasource", "change_datasource", "delete_datasource", "view_datasource"),
    "superuser": ("*",),
}
"""Roles at the admin, and the permissions that they have."""
OUTSIDE = ("anonymous", "inactive", "customer", "key holder")
"""Nobody, a superuser who was deactivated, a user with every permission who is not of the staff, and an export key."""

SEES = ("viewer", "reviewer", "applier", "overrider", "reverter", "exporter", "superuser")
REVIEWS = ("reviewer", "superuser")
EVERY_STAFF = tuple(STAFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Who is let in, and the status that they get."""

    roles: tuple[str, ...] = ()
    status: int = 200


def sees(*roles: str) -> Cell:
    return Cell(roles=roles)


def does(*roles: str, status: int = 302) -> Cell:
    """The usual answer to a form leads on."""
    return Cell(roles=roles, status=status)


BY_ADDRESS = does(*EVERY_STAFF)
"""Of what answers forms alone: whoever comes by its address is led to the page of the row, and told so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`post` None: a page that is only read, which answers a POST as it does a GET."""

    path: tuple[str, ...] = ()
    get: Cell
    post: Cell | None = None
    data: dict[str, Any] = field(default_factory=dict)
    is_form_only: bool = False


def page(*path: str, roles: tuple[str, ...] = SEES) -> Row:
    return Row(path=path, get=sees(*roles))


def button(*path: str, roles: tuple[str, ...], status: int = 302, **data: Any) -> Row:
    return Row(path=path, get=BY_ADDRESS, post=does(*roles, status=status), data=data, is_form_only=True)


def form(*path: str, roles: tuple[str, ...], status: int = 302, **data: Any) -> Row:
    return Row(path=path, get=sees(*roles), post=does(*roles, status=status), data=data)


SOURCE_VIEWERS = ("viewer", "puller", "source manager", "superuser")
SOURCE_MANAGERS = ("source manager", "superuser")
PULLERS = ("puller", "superuser")
KEY_MANAGERS = ("key manager", "superuser")
FILE = ("pending", "3", "cover", "before")
TRUST = {"models": "testapp.term", "operations": "update", "max_changes": "9", "max_deletes": "1", "when": "click"}

ROWS: dict[str, Row] = {
    "changeset_changelist": page(),
    "changeset_lookup": page(),
    "changeset_retention": page(),
    "changeset_change": page("pending"),
    "changeset_print": page("pending"),
    "changeset_confirm": page("pending"),
    "changeset_result": page("pending"),
    "changeset_status": page("pending"),
    "changeset_history": page("pending"),
    "changeset_export": button("pending", roles=("exporter", "superuser"), status=200),
    "changeset_table": form(roles=("exporter", "superuser"), status=200, format="csv"),
    "change_changelist": page(),
    "change_table": form(roles=("exporter", "superuser"), status=200, format="json"),
    "event_changelist": page(roles=("viewer", "superuser")),
    "event_table": form(roles=("superuser",), status=200, format="yaml"),
    "changeset_verify": button("pending", roles=SEES, status=200),
    "changeset_verify_file": form(roles=SEES, status=200),
    "changeset_thumbnail": page(*FILE),
    "changeset_file": page(*FILE),
    "changeset_decide": button("pending", roles=REVIEWS, decide="rejected", number="2", revision="0"),
    "changeset_undo": button("pending", roles=REVIEWS, revision="0"),
    "changeset_resolve": button("pending", roles=REVIEWS, resolve="accepted", revision="0"),
    "changeset_rehearse": button("pending", roles=REVIEWS, status=200),
    "changeset_approve": button("pending", roles=REVIEWS, do="approve", revision="0"),
    "changeset_withdraw": button("approved", roles=REVIEWS),
    "changeset_viewed": button("pending", roles=SEES, number="1", viewed="1"),
    "changeset_comment": button("pending", roles=SEES, number="1", comment="Why?"),
    "changeset_reject": form("pending", roles=REVIEWS, reason="No."),
    "changeset_override": form(
        "blocked", roles=("overrider", "superuser"), reason="It is meant.", revision="0", state="blocked"
    ),
    "changeset_revert": form("applied", roles=("reverter", "superuser"), numbers="1"),
    "datasource_changelist": page(roles=SOURCE_VIEWERS),
    "datasource_change": page("source", roles=SOURCE_VIEWERS),
    "datasource_add": form(roles=SOURCE_MANAGERS, name="New", url="https://new.example.org/api", key="k" * 43),
    "datasource_edit": form(
        "source", roles=SOURCE_MANAGERS, name="Renamed", url="https://staging.example.org/api", seen="seen source"
    ),
    "datasource_delete": form("source", roles=SOURCE_MANAGERS),
    "datasource_test": button("source", roles=PULLERS, status=200),
    "datasource_pull": button("source", roles=PULLERS),
    "datasource_limits": form("source", roles=SOURCE_MANAGERS, seen="seen limits", **{"rows:": "7"}),
    "datasource_pull_and_apply": button("trusted", roles=("superuser",)),
    "datasource_trust": form("source", roles=("superuser",), name="Staging", seen="seen source", **TRUST),
    "datasource_untrust": button("trusted", roles=SOURCE_MANAGERS),
    "datapull_changelist": page(roles=("viewer", "puller", "reverter", "superuser")),
    "datapull_change": page("pull", roles=("viewer", "puller", "reverter", "superuser")),
    "datapull_status": page("pull", roles=("viewer", "puller", "reverter", "superuser")),
    "datapull_add": Row(get=sees(*PULLERS), post=does(*PULLERS), data={"source": "source", "find_renames": "on"}),
    "datapull_upload": form(roles=PULLERS, status=200, model=""),
    "datapull_cancel": button("pull", roles=PULLERS),
    "exportkey_changelist": page(roles=("viewer", "key manager", "superuser")),
    "exportkey_change": page("key", roles=("viewer", "key manager", "superuser")),
    "exportkey_add": form(roles=KEY_MANAGERS, status=200, name="Other"),
    "exportkey_revoke": form("key", roles=KEY_MANAGERS),
    "exportkey_rotate": form("key", roles=KEY_MANAGERS, status=200, overlap_days="7"),
}
"""The admin's URLs, below `admin:data_sync_`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A URL that takes a token and nothing else: `method` is what it answers, `status` what a good key gets."""

    path: tuple[str, ...] = ()
    method: str = "GET"
    status: int = 200
    body: str = ""


ENDPOINTS: dict[str, Endpoint] = {
    "manifest": Endpoint(),
    "export": Endpoint(),
    "digests": Endpoint(),
    "records": Endpoint(method="POST", body='{"model": "testapp.term", "handles": [], "omit": []}'),
    "file": Endpoint(path=("0" * 64,), status=404),
    # A token of Google's, not an export key.
    "run_task": Endpoint(method="POST", body='{"task": "pull", "id": 1}', status=401),
}
"""The URLs of `data_sync.urls`."""


class Scene:
    """One object of each kind that URLs are about; `key_text` is a good export key."""

    def __init__(self, folder: Any) -> None:
        Term.objects.create(word="word-2", meaning="old")
        content = picture("red")
        self.document = Document.objects.create(name="doc", cover=_stored(folder, content))
        pending = making.changeset([making.create(1, decision="accepted"), making.create(2), _with_file(self, content)])
        blocked = making.changeset([making.create(1)], state="blocked", guards=[_GUARD])
        approved = making.changeset([making.create(1, decision="accepted")], state="approved", approval_actor="mira")
        applied = making.changeset([making.create(1, outcome="applied")], state="applied")
        other = making.changeset([making.create(number) for number in range(11, 14)])
        source = making.source()
        busy = making.source("Busy")
        trusted = making.source("Trusted")
        trust.switch_on(trusted, actors.command_line(), models=["testapp.term"])
        pull = making.pull(source=busy, state="queued", active_source=busy.pk)
        self.key, self.key_text = keys.create_key("Production", actors.command_line())
        self.arguments: dict[str, Any] = {
            "pending": pending.pk,
            "blocked": blocked.pk,
            "approved": approved.pk,
            "applied": applied.pk,
            "other": other.pk,
            "source": source.pk,
            "trusted": trusted.pk,
            "pull": pull.pk,
            "key": ExportKey.objects.get().pk,
            "seen source": identity_of(source),
            "seen limits": limits.limits_digest(limits.given_limits(source)),
        }

    def path(self, names: tuple[str, ...]) -> list[Any]:
        return [self.arguments.get(name, name) for name in names]


_GUARD = {"code": "empty_side", "model": "testapp.term", "rows": 3, "message": "The source has no rows of Term."}


def _stored(folder: Any, content: bytes) -> str:
    (folder / "covers").mkdir(parents=True)
    (folder / "covers" / "red.png").write_bytes(content)
    return "covers/red.png"


def _with_file(scene: Scene, content: bytes) -> Any:
    described = FileValue(
        name="covers/red.png", size=len(content), checksum=f"sha256:{hashlib.sha256(content).hexdigest()}"
    )
    sides = {"before": described.to_plain(), "after": None}
    return making.change(
        3,
        model="testapp.document",
        key=["doc"],
        before={"name": "doc", "title": "a"},
        after={"name": "doc", "title": "b"},
        files={"cover": sides},
        local_pk=scene.document.pk,
    )
