"""Deciding on all changes that match: what the buttons say beforehand, and what is said afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from data_sync.core.states import Decision, Operation
from data_sync.models import Change, Changeset
from data_sync.services import undoing
from data_sync.services.review import Decided, select

from .filters import Filters


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """What the buttons for all matching come to, as `services.review.decide` does it.

    They are about one decision: the one that is filtered on, else about what is undecided.
    """

    matching: int
    about: Decision
    accept: int
    reject: int
    deletes_left_out: int
    renames_left_out: int
    conflicts_left_out: int
    problems_left_out: int

    @classmethod
    def of(cls, selected: QuerySet[Change], filters: Filters) -> Bulk:
        about = Decision(filters.decision or Decision.UNDECIDED)
        meant = Q(decision=about.value)
        # Each is left out for the first reason that there is.
        left = meant if filters.op == Operation.DELETE else meant & ~Q(operation=Operation.DELETE.value)
        same = left if filters.op == Operation.RENAME else left & ~Q(operation=Operation.RENAME.value)
        kept = same & Q(is_conflict=False)
        found = selected.order_by().aggregate(
            matching=Count("pk"),
            meant=Count("pk", filter=meant),
            left=Count("pk", filter=left),
            same=Count("pk", filter=same),
            kept=Count("pk", filter=kept),
            accept=Count("pk", filter=kept & Q(has_problems=False)),
        )
        return cls(
            matching=found["matching"],
            about=about,
            accept=0 if about is Decision.ACCEPTED else found["accept"],
            reject=0 if about is Decision.REJECTED else found["meant"],
            deletes_left_out=found["meant"] - found["left"],
            renames_left_out=found["left"] - found["same"],
            conflicts_left_out=found["same"] - found["kept"],
            problems_left_out=found["kept"] - found["accept"],
        )

    @classmethod
    def of_page(cls, request: HttpRequest, changeset: Changeset) -> Bulk:
        """For the page that a form was sent from, which has its filters in `query`."""
        shown = Filters.of(QueryDict(request.POST.get("query", "")))
        return cls.of(select(changeset, shown.selection(request.user.pk)), shown)

    def words(self) -> dict[str, str]:
        """By what the buttons decide: what is on them; "" for none. "left_out" is what accepting leaves out."""
        what = dict(Change.DECISIONS)[self.about.value]
        return {
            "accepted": _("Accept %(n)s %(what)s") % {"n": self.accept, "what": what} if self.accept else "",
            "rejected": _("Reject %(n)s %(what)s") % {"n": self.reject, "what": what} if self.reject else "",
            "left_out": self._left_out() if self.accept or self.reject else "",
        }

    def _left_out(self) -> str:
        if self.about is Decision.ACCEPTED:
            return ""
        parts = []
        if self.deletes_left_out:
            words = ngettext(
                "%(n)s delete (show the deletes to accept it)",
                "%(n)s deletes (show the deletes to accept them)",
                self.deletes_left_out,
            )
            parts.append(words % {"n": self.deletes_left_out})
        if self.renames_left_out:
            words = ngettext(
                "%(n)s rename (show the renames to accept it)",
                "%(n)s renames (show the renames to accept them)",
                self.renames_left_out,
            )
            parts.append(words % {"n": self.renames_left_out})
        if self.conflicts_left_out:
            words = ngettext(
                "%(n)s conflict (to be accepted on its own)",
                "%(n)s conflicts (to be accepted one by one)",
                self.conflicts_left_out,
            )
            parts.append(words % {"n": self.conflicts_left_out})
        if self.problems_left_out:
            words = ngettext(
                "%(n)s change that cannot be applied",
                "%(n)s changes that cannot be applied",
                self.problems_left_out,
            )
            parts.append(words % {"n": self.problems_left_out})
        return _("Accepting leaves out: %(what)s") % {"what": "; ".join(parts)} if parts else ""


def undo_words(changeset: Changeset) -> str:
    """What the button says that undoes the latest decision on many; "" where there is none to undo."""
    if not undoing.can_undo(changeset):
        return ""
    count = changeset.undoable["count"]
    match Decision(changeset.undoable["decision"]):
        case Decision.ACCEPTED:
            words = ngettext("Undo: %(n)s accepted", "Undo: %(n)s accepted", count)
        case Decision.REJECTED:
            words = ngettext("Undo: %(n)s rejected", "Undo: %(n)s rejected", count)
        case Decision.UNDECIDED:
            words = ngettext("Undo: %(n)s set to undecided", "Undo: %(n)s set to undecided", count)
    return words % {"n": count}


def undone_words(count: int) -> str:
    words = ngettext(
        "%(n)s change is as it was before.",
        "%(n)s changes are as they were before.",
        count,
    )
    return words % {"n": count}


def decided_words(decided: Decided, decision: Decision) -> str:
    """What a decision came to, with what it left out and why."""
    match decision:
        case Decision.ACCEPTED:
            words = ngettext("%(n)s change accepted.", "%(n)s changes accepted.", decided.count)
        case Decision.REJECTED:
            words = ngettext("%(n)s change rejected.", "%(n)s changes rejected.", decided.count)
        case Decision.UNDECIDED:
            words = ngettext("%(n)s change set to undecided.", "%(n)s changes set to undecided.", decided.count)
    parts = [words % {"n": decided.count}]
    if decided.skipped_deletes:
        left = ngettext(
            "%(n)s delete was left out: filter on deletes to decide on it.",
            "%(n)s deletes were left out: filter on deletes to decide on them.",
            decided.skipped_deletes,
        )
        parts.append(left % {"n": decided.skipped_deletes})
    if decided.skipped_renames:
        left = ngettext(
            "%(n)s rename was left out: filter on renames to decide on it.",
            "%(n)s renames were left out: filter on renames to decide on them.",
            decided.skipped_renames,
        )
        parts.append(left % {"n": decided.skipped_renames})
    if decided.skipped_conflicts:
        left = ngettext(
            "%(n)s conflict was left out: accept it on its own card.",
            "%(n)s conflicts were left out: accept each on its own card.",
            decided.skipped_conflicts,
        )
        parts.append(left % {"n": decided.skipped_conflicts})
    if decided.skipped_problems:
        left = ngettext(
            "%(n)s change that cannot be applied was left out.",
            "%(n)s changes that cannot be applied were left out.",
            decided.skipped_problems,
        )
        parts.append(left % {"n": decided.skipped_problems})
    if decided.skipped_requirements:
        left = ngettext(
            "%(n)s change was left out, because of others that are decided differently.",
            "%(n)s changes were left out, because of others that are decided differently.",
            decided.skipped_requirements,
        )
        parts.append(left % {"n": decided.skipped_requirements})
    if decided.skipped_decided:
        left = ngettext(
            "%(n)s change was left as it had been decided.",
            "%(n)s changes were left as they had been decided.",
            decided.skipped_decided,
        )
        parts.append(left % {"n": decided.skipped_decided})
    return " ".join(parts)
