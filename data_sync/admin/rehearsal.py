"""A rehearsal in the admin: what an apply would come to, before anybody approves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from data_sync.core.errors import DataSyncError, NotPermitted
from data_sync.core.states import Decision
from data_sync.models import Change, Changeset
from data_sync.services import rehearsal as service
from data_sync.services.actors import Actor

from .names import model_name
from .pages import actor_of, get_row, render

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

LISTED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Changes with a sentence each: some of them, and how many there are beyond."""

    rows: list[tuple[Change, str, str]]
    """The change, its model's name, the sentence."""
    unlisted: int


def may_rehearse(changeset: Changeset, actor: Actor) -> bool:
    """Whether to offer it; the service asks again."""
    return (
        changeset.state in service.STATES and changeset.purged_at is None and actor.may("data_sync.approve_changeset")
    )


def rehearse(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """Writes what is accepted and takes it back; without any accepted change, all that could be accepted."""
    changeset = get_row(Changeset, pk)
    try:
        found = service.rehearse(pk, actor_of(request))
    except NotPermitted:
        raise
    except DataSyncError as error:
        messages.error(request, str(error))
        return redirect(admin.url("change", pk))
    return render(
        request,
        admin,
        "rehearsal.html",
        title=_("Rehearsal of changeset %(number)s") % {"number": pk},
        crumbs=admin.crumbs(changeset, _("Rehearsal")),
        changeset=changeset,
        found=found,
        errors=_told(changeset, found.errors),
        dependents=_told(changeset, found.dependents),
        is_of_accepted=changeset.changes.filter(decision=Decision.ACCEPTED.value).exists(),
        page_name="rehearsal",
        **admin.permissions(request),
    )


def _told(changeset: Changeset, reasons: Mapping[int, str]) -> Told:
    """One query, or none."""
    numbers = sorted(reasons)[:LISTED]
    columns = ("changeset", "number", "model", "key_text", "operation")
    rows = changeset.changes.filter(number__in=numbers).order_by("number").only(*columns) if numbers else ()
    return Told(
        rows=[(row, model_name(row.model), reasons[row.number]) for row in rows], unlisted=len(reasons) - len(numbers)
    )
