"""What belongs together: a decision is refused because of other changes, and one on all of them offered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from data_sync.core.errors import RequirementRejected
from data_sync.core.states import Decision
from data_sync.models import Change, Changeset
from data_sync.services import requirements

from .names import model_name
from .pages import render

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

LISTED = 50
LISTED_ON_A_CARD = 5
KEPT_OUT = ("csrfmiddlewaretoken", "with_requirements")


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """The change that was decided on, and those that would have to be decided alike; some of these, and how many."""

    change: Change
    others: list[Change]
    count: int
    decision: Decision

    @property
    def unlisted(self) -> int:
        return self.count - len(self.others)

    @property
    def more(self) -> str:
        count = self.unlisted
        return ngettext("and %(n)s more", "and %(n)s more", count) % {"n": count} if count else ""

    @property
    def button(self) -> str:
        match self.decision, self.count:
            case Decision.ACCEPTED, 1:
                return _("Accept both")
            case Decision.ACCEPTED, _other:
                return _("Accept all %(n)s") % {"n": self.count + 1}
            case _, 1:
                return _("Reject both")
            case _:
                return _("Reject all %(n)s") % {"n": self.count + 1}


def together(changeset: Changeset, error: RequirementRejected, decision: Decision) -> Together:
    """Two queries, beside those that find what belongs together."""
    others = requirements.closure(changeset, [error.number], decision)
    return Together(
        change=_rows(changeset, [error.number])[0],
        others=_rows(changeset, sorted(others)[:LISTED]),
        count=len(others),
        decision=decision,
    )


def _rows(changeset: Changeset, numbers: Iterable[int]) -> list[Change]:
    columns = ("changeset", "number", "model", "key_text", "operation", "decision")
    return list(changeset.changes.filter(number__in=numbers).order_by("number").only(*columns))


def as_json(found: Together, error: RequirementRejected) -> JsonResponse:
    """For a script: the reason, the changes by number and in words, and what the button says."""
    found = replace(found, others=found.others[:LISTED_ON_A_CARD])
    rows = [{"number": row.number, "words": f"#{row.number} {row.key_text}"} for row in found.others]
    return JsonResponse(
        {
            "error": str(error),
            "remedy": "together",
            "together": {"button": found.button, "changes": rows, "more": found.more},
        },
        status=400,
    )


def as_page(
    admin: ChangesetAdmin, request: HttpRequest, changeset: Changeset, found: Together, error: RequirementRejected
) -> HttpResponse:
    """For a form: the same, with a button that sends the decision again, now for all of them."""
    return render(
        request,
        admin,
        "together.html",
        title=_("These changes belong together"),
        crumbs=admin.crumbs(changeset, _("Decision refused")),
        status=400,
        changeset=changeset,
        found=found,
        rows=[(row, model_name(row.model)) for row in found.others],
        model_name=model_name(found.change.model),
        reason=str(error),
        given=[(name, value) for name, values in request.POST.lists() if name not in KEPT_OUT for value in values],
        is_accepting=found.decision is Decision.ACCEPTED,
    )
