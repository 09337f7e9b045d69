"""Ready-made groups: who does which step. Examples to begin with, kept up to date by command."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.contrib.auth.models import Group, Permission
from django.db import transaction

from data_sync import registry
from data_sync.core.errors import InvalidInput

from . import audit
from .actors import Actor
from .authority import permission_of

_SEEING = ("data_sync.view_changeset", "data_sync.view_datapull", "data_sync.view_datasource")

GROUPS: dict[str, tuple[str, ...]] = {
    "data_sync viewers": _SEEING,
    "data_sync pullers": (*_SEEING, "data_sync.pull_datasource"),
    "data_sync reviewers": (*_SEEING, "data_sync.approve_changeset", "data_sync.export_changeset"),
    "data_sync appliers": (*_SEEING, "data_sync.apply_changeset", "data_sync.revert_changeset"),
    "data_sync administrators": (
        *_SEEING,
        "data_sync.add_datasource",
        "data_sync.change_datasource",
        "data_sync.delete_datasource",
        "data_sync.pull_datasource",
        "data_sync.view_exportkey",
        "data_sync.manage_exportkey",
        "data_sync.override_changeset_guard",
        "data_sync.export_changeset",
    ),
}
"""By name, what is given. Appliers get add, change and delete of every registered model besides, where it has these."""
APPLIERS = "data_sync appliers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """What became of one group, or would. `extra` are permissions that somebody else has given it, which it keeps."""

    name: str
    is_new: bool
    added: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)


def wanted(name: str) -> list[str]:
    """The permissions that a group gets, in order."""
    found = {*GROUPS[name]}
    if name == APPLIERS:
        for registration in registry.registrations():
            meta = registration.model._meta
            actions = [action for action in ("add", "change", "delete") if action in meta.default_permissions]
            found |= {permission_of(action, registration.label) for action in actions}
    return sorted(found)


def make_groups(actor: Actor, *, dry_run: bool = False) -> list[Grouped]:
    """Makes the groups that are missing, and gives each what it lacks; takes nothing away, and touches no other group.

    All or nothing. Raises `NotPermitted`, and `InvalidInput` where a permission is not in the database.
    """
    actor.require("auth.add_group")
    actor.require("auth.change_group")
    with transaction.atomic():
        known = _permissions()
        made = [_make(name, known, dry_run=dry_run) for name in GROUPS]
        if given := {one.name: one.added for one in made if one.added and not dry_run}:
            audit.record_of("groups", actor, "groups_made", {"given": given})
        return made


def _permissions() -> dict[str, Permission]:
    names = sorted({permission for name in GROUPS for permission in wanted(name)})
    codenames = [name.partition(".")[2] for name in names]
    rows = Permission.objects.filter(codename__in=codenames).select_related("content_type").order_by("pk")
    known = {f"{row.content_type.app_label}.{row.codename}": row for row in rows}
    if missing := [name for name in names if name not in known]:
        raise InvalidInput(
            f"These permissions are not in the database: {', '.join(missing)}. Run manage.py migrate, which makes them."
        )
    return known


def _make(name: str, known: dict[str, Permission], *, dry_run: bool) -> Grouped:
    group = Group.objects.filter(name=name).first()
    is_new = group is None
    has: set[str] = set()
    if group is not None:
        has = {f"{app}.{code}" for app, code in group.permissions.values_list("content_type__app_label", "codename")}
    added = [permission for permission in wanted(name) if permission not in has]
    if not dry_run:
        group = group or Group.objects.create(name=name)
        group.permissions.add(*(known[permission] for permission in added))
    return Grouped(name=name, is_new=is_new, added=added, extra=sorted(has.difference(wanted(name))))
