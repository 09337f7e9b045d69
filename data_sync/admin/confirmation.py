"""The page before an approval: what would be written, what stays out, and what there is to know before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from data_sync import conf, tasks
from data_sync.core.errors import ChangeFailed, DataSyncError
from data_sync.core.states import ChangesetState, Decision, Operation
from data_sync.models import Change, Changeset
from data_sync.services import approval, consequences, expiry, fitting, requirements, review
from data_sync.services.plan import Plan
from data_sync.services.staleness import stale_rows

from .agreement import disagreements_of
from .effects import effects_of, restored
from .markup import COLUMNS
from .names import model_name
from .pages import actor_of, get_row, render
from .rehearsal import may_rehearse

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

UNMET_SHOWN = 50
NEEDING_SHOWN = 5
NEEDING_LISTED = 500
LOOKED_AT, FILES_LOOKED_AT = 1_000, 100
"""Of so many accepted changes, and so many with files, the rows are looked at here; an approval looks at any number."""
UNFIT_SHOWN = 20


def confirm(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """What approving and applying would do, before either."""
    admin.require_view(request)
    changeset = get_row(Changeset, pk, "pull")
    if changeset.purged_at is not None or changeset.state not in (*approval.APPROVABLE, ChangesetState.APPROVED):
        return redirect(admin.url("change", pk))
    found = consequences.consequences(changeset)
    decisions = review.decision_counts(changeset)
    unmet, more_unmet = _unmet(changeset, found.unmet)
    needed = needed_of(changeset, found.unmet)
    actor = actor_of(request)
    return render(
        request,
        admin,
        "confirm.html",
        title=_("Apply changeset %(number)s") % {"number": pk},
        crumbs=admin.crumbs(changeset, _("Apply")),
        changeset=changeset,
        found=found,
        decisions=decisions,
        is_approvable=changeset.state in approval.APPROVABLE or expiry.has_expired(changeset),
        is_rejectable=changeset.state in approval.REJECTABLE,
        typed_name=name_to_type(changeset, found),
        models=[
            (model_name(label), [(operation.value, counts.get(operation.value, 0)) for operation in COLUMNS])
            for label, counts in sorted(found.models.items(), key=lambda item: _place(changeset, item[0]))
        ],
        totals=[(operation.value, found.total(operation)) for operation in COLUMNS],
        effects=[*effects_of(found.cascades), *restored(found.restores)],
        accepted_kept=_accepted(changeset, "kept"),
        accepted_edited=_accepted(changeset, "edited"),
        accepted_conflicts=_accepted(changeset, "conflicts"),
        disagreements=disagreements_of(changeset),
        unfit=_unfit(changeset),
        override=approval.overridden(changeset),
        too_long=fitting.unfitting(changeset, tasks.deadline()),
        needs_others=approval.needs_others(changeset, actor),
        may_rehearse=may_rehearse(changeset, actor),
        unmet=unmet,
        more_unmet=more_unmet,
        needed=len(needed[Decision.ACCEPTED]),
        needed_deletes=changeset.changes.filter(
            number__in=needed[Decision.ACCEPTED], operation=Operation.DELETE.value
        ).count(),
        needing=len(needed[Decision.REJECTED]),
        page_name="confirm",
        **admin.permissions(request),
    )


def needed_of(changeset: Changeset, unmet: dict[int, list[int]]) -> dict[Decision, set[int]]:
    """The changes to accept, or else to reject, so that no accepted change lacks what it requires: those themselves,
    and what belongs to them."""
    missing = {number for numbers in unmet.values() for number in numbers}
    if not missing:
        return {Decision.ACCEPTED: set(), Decision.REJECTED: set()}
    return {
        Decision.ACCEPTED: missing.union(requirements.closure(changeset, missing, Decision.ACCEPTED)),
        Decision.REJECTED: set(unmet).union(requirements.closure(changeset, list(unmet), Decision.REJECTED)),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """Accepted changes that no longer fit their rows, each with the reason: the first ones, and how many more. Where
    there are many, or files, they are looked at when they are approved: `is_known` is False."""

    rows: list[tuple[Change, str]]
    more: int
    is_known: bool


def _unfit(changeset: Changeset) -> Unfit:
    accepted = changeset.changes.filter(decision=Decision.ACCEPTED.value)
    if accepted.count() > LOOKED_AT or accepted.exclude(files={}).count() > FILES_LOOKED_AT:
        return Unfit(rows=[], more=0, is_known=False)
    try:
        reasons = stale_rows(Plan(changeset, {}), lock_rows=False)
    except ChangeFailed as error:
        reasons = error.reasons
    except (DataSyncError, OSError):  # An approval says what it is.
        return Unfit(rows=[], more=0, is_known=False)
    numbers = sorted(reasons)[:UNFIT_SHOWN]
    rows = changeset.changes.filter(number__in=numbers).order_by("number")
    return Unfit(rows=[(row, reasons[row.number]) for row in rows], more=len(reasons) - len(numbers), is_known=True)


def _accepted(changeset: Changeset, flag: str) -> int:
    """How many accepted changes a review would find by this flag."""
    return review.select(changeset, review.Selection(decision=Decision.ACCEPTED.value, flag=flag)).count()


def _place(changeset: Changeset, label: str) -> int:
    """Models in the changeset's own order."""
    return changeset.model_labels.index(label) if label in changeset.model_labels else len(changeset.model_labels)


def name_to_type(changeset: Changeset, found: consequences.Consequences) -> str:
    """What has to be typed before so many rows are deleted; "" where they are few."""
    many = found.rows_deleted > conf.confirm_deletes()
    return _("Changeset %(number)s") % {"number": changeset.pk} if many else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmet:
    """A change that accepted ones require, and that is not accepted itself. `needed_by` are some of those; `others`
    the numbers of more, and `unlisted` how many there are beyond."""

    missing: Change
    needed_by: list[Change]
    others: list[int]
    count: int

    @property
    def rest(self) -> int:
        return self.count - len(self.needed_by)

    @property
    def unlisted(self) -> int:
        return self.rest - len(self.others)


def _unmet(changeset: Changeset, found: dict[int, list[int]]) -> tuple[list[Unmet], int]:
    """What is missing, some of it, and how much more there is."""
    needed_by: dict[int, list[int]] = {}
    for number, missing in found.items():
        for other in missing:
            needed_by.setdefault(other, []).append(number)
    shown = {number: numbers for number, numbers in list(needed_by.items())[:UNMET_SHOWN]}
    wanted = {*shown, *(number for numbers in shown.values() for number in numbers[:NEEDING_SHOWN])}
    rows = {}
    if wanted:
        columns = ("changeset", "number", "model", "key_text", "operation", "decision")
        rows = {row.number: row for row in changeset.changes.filter(number__in=wanted).only(*columns)}
    listed = [
        Unmet(
            missing=rows[number],
            needed_by=[rows[other] for other in numbers[:NEEDING_SHOWN]],
            others=numbers[NEEDING_SHOWN:NEEDING_LISTED],
            count=len(numbers),
        )
        for number, numbers in shown.items()
        if number in rows
    ]
    return listed, len(needed_by) - len(listed)
