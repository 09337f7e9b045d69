"""Every service that takes an actor refuses one who lacks its permission, whoever calls it."""

from __future__ import annotations

import importlib
import inspect
import io
import pkgutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from data_sync import services
from data_sync.core.errors import NotPermitted
from data_sync.core.states import ChangesetState, Decision
from data_sync.models import Changeset, DataSource, ExportKey
from data_sync.services import (
    actors,
    apply,
    approval,
    audit_tables,
    bundle,
    document,
    groups,
    keys,
    limits,
    pull,
    rehearsal,
    remarks,
    retention,
    revert,
    review,
    rotation,
    sources,
    trust,
    undoing,
    uploads,
    verify,
)
from data_sync.services.actors import Actor
from tests import bundling
from tests.admin import making
from tests.core.test_verification import EXPORTED
from tests.management.conftest import Run, run
from tests.test_matrix import dump
from tests.testapp.models import Term

__all__ = ["run"]

pytestmark = pytest.mark.django_db(transaction=True)


class Scene:
    def __init__(self) -> None:
        self.pending = making.changeset([making.create(1, decision="accepted")])
        self.approved = approval.approve(
            making.changeset([making.create(1, decision="accepted")]).pk, actors.command_line(), revision=0
        )
        self.blocked = making.changeset([making.create(1)], state="blocked")
        self.applied = making.changeset([making.create(1, outcome="applied")], state="applied")
        self.change = self.pending.changes.get()
        self.source = making.source()
        self.pull = making.pull(source=self.source, state="queued", active_source=self.source.pk)
        self.key: ExportKey = keys.create_key("Production", actors.command_line())[0]


def _path() -> Path:
    """Of a file that is not there yet."""
    return Path(tempfile.mkdtemp(dir=settings.BASE_DIR)) / "bundle.zip"


Call = Callable[[Scene, Actor], object]
ALL = review.Selection()

# By module and name: the permission, and a call that is right in all else.
TABLE: dict[str, tuple[str, Call]] = {
    "approval.approve": ("approve_changeset", lambda s, a: approval.approve(s.pending.pk, a, revision=0)),
    "approval.approve_at_once": (
        "approve_changeset",
        lambda s, a: approval.approve_at_once(s.pending.pk, a, revision=0, deadline=None),
    ),
    "approval.withdraw": ("approve_changeset", lambda s, a: approval.withdraw(s.approved.pk, a)),
    "approval.reject": ("approve_changeset", lambda s, a: approval.reject(s.pending.pk, a)),
    "approval.override": ("override_changeset_guard", lambda s, a: approval.override(s.blocked.pk, a, "It is meant.")),
    "apply_requests.approve_and_request": (
        "apply_changeset",
        lambda s, a: apply.approve_and_request(s.pending.pk, a, revision=0),
    ),
    "apply_requests.request_apply": ("apply_changeset", lambda s, a: apply.request_apply(s.approved.pk, a)),
    "retention.prune": ("pull_datasource", lambda s, a: retention.prune(a)),
    "retention.purge": ("pull_datasource", lambda s, a: retention.purge(s.pending.pk, a)),
    "retention.would_prune": ("view_changeset", lambda s, a: retention.would_prune(a)),
    "review.decide": (
        "approve_changeset",
        lambda s, a: review.decide(s.pending.pk, ALL, Decision.REJECTED, a, revision=0),
    ),
    "undoing.undo": ("approve_changeset", lambda s, a: undoing.undo(s.pending.pk, a, revision=0)),
    "rehearsal.rehearse": ("approve_changeset", lambda s, a: rehearsal.rehearse(s.pending.pk, a)),
    "remarks.set_viewed": ("view_changeset", lambda s, a: remarks.set_viewed(s.change, a, is_viewed=True)),
    "remarks.comment": ("view_changeset", lambda s, a: remarks.comment(s.change, "Why?", a)),
    "verify.verify_all": ("view_changeset", lambda s, a: verify.verify_all(a)),
    "verify.verify_changeset": ("view_changeset", lambda s, a: verify.verify_changeset(s.pending, a)),
    "verify.verify_file": ("view_changeset", lambda s, a: verify.verify_file(io.BytesIO(EXPORTED), a)),
    "document.changeset_archive": ("export_changeset", lambda s, a: document.changeset_archive([s.pending], a).read()),
    "document.changeset_document": ("export_changeset", lambda s, a: list(document.changeset_document(s.pending, a))),
    "audit_tables.audit_table": (
        "export_changeset",
        lambda s, a: audit_tables.audit_table(Changeset.objects.all(), "csv", a).close(),
    ),
    "pull.request_pull": ("pull_datasource", lambda s, a: pull.request_pull(making.source("Other"), [], a)),
    "uploads.request_upload": ("pull_datasource", lambda s, a: uploads.request_upload([bundling.bundle()], "a.zip", a)),
    "bundle.write_bundle": ("manage_exportkey", lambda s, a: bundle.write_bundle(_path(), ["testapp.term"], a)),
    "pull.cancel_pull": ("pull_datasource", lambda s, a: pull.cancel_pull(s.pull.pk, a)),
    "revert.request_revert": ("revert_changeset", lambda s, a: revert.request_revert(s.applied, None, a)),
    "sources.add_source": (
        "add_datasource",
        lambda s, a: sources.add_source("New", "https://new.example.org/api", "k" * 43, a),
    ),
    "sources.change_source": ("change_datasource", lambda s, a: sources.change_source(s.source, a, name="Renamed")),
    "sources.remove_source": ("delete_datasource", lambda s, a: sources.remove_source(s.source, a)),
    "keys.create_key": ("manage_exportkey", lambda s, a: keys.create_key("Other", a)),
    "keys.revoke_key": ("manage_exportkey", lambda s, a: keys.revoke_key(s.key, a)),
    "keys.rotate_key": ("manage_exportkey", lambda s, a: keys.rotate_key(s.key, a)),
    "limits.change_limits": ("change_datasource", lambda s, a: limits.change_limits(s.source, a, {"": {"rows": 7}})),
    "rotation.rotate_keys": ("change_datasource", lambda s, a: rotation.rotate_keys(a)),
    "trust.switch_on": ("trust_datasource", lambda s, a: trust.switch_on(s.source, a, models=["testapp.term"])),
    "groups.make_groups": ("auth.add_group", lambda s, a: groups.make_groups(a)),
}

INSIDE = {
    "approval.needs_others": "answers a question",
    "audit.record": "records what has been done",
    "audit.record_of": "records what has been done",
    "authority.require_authority": "asks for permissions, and does nothing else",
    "history.record_history": "a part of the apply",
    "pull.give_up_abandoned": "a part of asking for a pull or a revert",
    "pull_states.record_end": "a part of ending a pull",
    "pull_states.record_request": "a part of asking for a pull, an upload or a revert",
    "revert.settle": "a part of the apply",
    "source_identity.audience_of": "a part of adding and changing a source",
    "source_identity.protected_key": "a part of adding and changing a source",
    "trust.end": "a part of changing and removing a source",
    "trust.switch_off": "either of two permissions will do: see test_trust",
    "undoing.remember": "a part of a decision",
}
"""What takes an actor and is called by the above alone, or changes nothing."""


def taking_actors() -> set[str]:
    found = set()
    for module in pkgutil.iter_modules(services.__path__):
        loaded = importlib.import_module(f"{services.__name__}.{module.name}")
        for name, function in inspect.getmembers(loaded, inspect.isfunction):
            is_ours = function.__module__ == loaded.__name__ and not name.startswith("_")
            given = [kind for of, kind in function.__annotations__.items() if of != "return"]
            if is_ours and "Actor" in given:
                found.add(f"{module.name}.{name}")
    return found


def test_every_service_that_takes_an_actor_is_in_the_table() -> None:
    assert taking_actors() == {*TABLE, *INSIDE}


def somebody(permission: str, *, has_it: bool) -> Actor:
    """A user with every permission but this one, or with this one alone."""
    user = get_user_model().objects.create_user("ada")
    permission = permission.rpartition(".")[2]
    if has_it:
        user.user_permissions.set(Permission.objects.filter(codename=permission))
    else:
        user.user_permissions.set(Permission.objects.exclude(codename=permission))
    return actors.of_user(user)


@pytest.mark.parametrize("name", TABLE)
def test_without_its_permission_a_service_refuses_and_changes_nothing(name: str) -> None:
    permission, call = TABLE[name]
    named = permission if "." in permission else f"data_sync.{permission}"
    scene = Scene()
    actor = somebody(permission, has_it=False)
    if name == "pull.request_pull":
        making.source("Other")
        call = lambda s, a: pull.request_pull(DataSource.objects.get(name="Other"), [], a)  # noqa: E731
    before = dump()
    with pytest.raises(NotPermitted, match=f"ada lacks the permission {named}"):
        call(scene, actor)
    assert dump() == before


@pytest.mark.parametrize("name", TABLE)
def test_whoever_was_deactivated_has_no_permission(name: str) -> None:
    _, call = TABLE[name]
    scene = Scene()
    user = get_user_model().objects.create_superuser("ada", is_active=False)
    with pytest.raises(NotPermitted):
        call(scene, actors.of_user(user))


ALONE = set(TABLE) - {
    "apply_requests.approve_and_request",  # Needs two.
    "apply_requests.request_apply",  # And the model's own.
    "undoing.undo",  # There is nothing to undo in this scene.
    "sources.remove_source",  # It is being read there.
    "trust.switch_on",  # Needs what the trust stands for, too.
    "groups.make_groups",  # Needs two.
}


@pytest.mark.parametrize("name", sorted(ALONE))
def test_its_permission_alone_is_enough(name: str) -> None:
    permission, call = TABLE[name]
    scene = Scene()
    call(scene, somebody(permission, has_it=True))


@pytest.mark.parametrize("missing", ["apply_changeset", "add_term", "nothing"])
def test_a_command_in_somebodys_name_meets_the_same_permissions(run: Run, missing: str) -> None:
    scene = Scene()
    making.user("ada", *({"apply_changeset", "add_term"} - {missing}))
    ran = run("apply", scene.approved.pk, "--as", "ada")
    scene.approved.refresh_from_db()
    if missing == "nothing":
        assert (ran.code, scene.approved.state, Term.objects.count()) == (0, ChangesetState.APPLIED, 1)
    else:
        assert ran.code == 1 and missing in ran.err
        assert (scene.approved.state, Term.objects.count()) == (ChangesetState.APPROVED, 0)
        assert not Changeset.objects.exclude(apply_requested_at=None).exists()
