"""Deciding on all changes that match: what the buttons say beforehand, and what is said afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from data_sync.core.states import Decision
from data_sync.models import Change, Changeset
from data_sync.services import undoing
from data_sync.services.matching import Matching, matching
from data_sync.services.review import Decided, select

from .filters import Filters


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """What the buttons for all matching come to: they are about one decision, the one that is filtered on, else about
    what is undecided."""

    about: Decision
    found: Mapping[Decision, Matching]

    @classmethod
    def of(cls, changeset: Changeset, selected: QuerySet[Change], filters: Filters, user_pk: Any) -> Bulk:
        """`selected` are the changes that match."""
        about = Decision(filters.decision or Decision.UNDECIDED)
        offered = [decision for decision in Decision if decision is not about]
        return cls(about=about, found=matching(changeset, filters.selection(user_pk), selected, offered))

    @classmethod
    def of_page(cls, request: HttpRequest, changeset: Changeset) -> Bulk:
        """For the page that a form was sent from, which has its filters in `query`."""
        shown = Filters.of(QueryDict(request.POST.get("query", "")))
        selected = select(changeset, shown.selection(request.user.pk))
        return cls.of(changeset, selected, shown, request.user.pk)

    @property
    def total(self) -> int:
        """How many changes match."""
        return next(iter(self.found.values())).total

    def counts(self) -> dict[str, int]:
        """How many changes each button is about, by what it decides."""
        return {decision.value: found.count for decision, found in self.found.items()}

    def words(self) -> dict[str, str]:
        """By what the buttons decide: what is on them; "" for none. "left_out" is what they leave out."""
        words = {decision.value: self._button(decision) for decision in Decision}
        offers_any = any(found.count for found in self.found.values())
        return words | {"left_out": " ".join(self._left_out()) if offers_any else ""}

    def _button(self, decision: Decision) -> str:
        count = self.found[decision].count if decision in self.found else 0
        if not count:
            return ""
        match decision, self.about:
            case Decision.ACCEPTED, Decision.REJECTED:
                words = ngettext("Accept %(n)s rejected", "Accept %(n)s rejected", count)
            case Decision.ACCEPTED, _:
                words = ngettext("Accept %(n)s undecided", "Accept %(n)s undecided", count)
            case Decision.REJECTED, Decision.ACCEPTED:
                words = ngettext("Reject %(n)s accepted", "Reject %(n)s accepted", count)
            case Decision.REJECTED, _:
                words = ngettext("Reject %(n)s undecided", "Reject %(n)s undecided", count)
            case _:
                if self.about is Decision.UNDECIDED:
                    return ""
                words = ngettext("Set %(n)s to undecided", "Set %(n)s to undecided", count)
        return words % {"n": count}

    def _left_out(self) -> list[str]:
        sentences = []
        if accepting := self._skipped(Decision.ACCEPTED):
            sentences.append(_("Accepting leaves out: %(what)s.") % {"what": "; ".join(accepting)})
        if rejecting := self._skipped(Decision.REJECTED):
            sentences.append(_("Rejecting leaves out: %(what)s.") % {"what": "; ".join(rejecting)})
        return sentences

    def _skipped(self, decision: Decision) -> list[str]:
        skipped = self.found[decision].skipped if decision in self.found else {}
        return [_reason(why, count, decision) for why, count in skipped.items() if count and why != "decided"]


def _reason(why: str, count: int, decision: Decision) -> str:
    match why:
        case "deletes":
            words = ngettext(
                "%(n)s delete (show the deletes to accept it)",
                "%(n)s deletes (show the deletes to accept them)",
                count,
            )
        case "renames":
            words = ngettext(
                "%(n)s rename (show the renames to accept it)",
                "%(n)s renames (show the renames to accept them)",
                count,
            )
        case "conflicts":
            words = ngettext(
                "%(n)s conflict (to be accepted on its own)",
                "%(n)s conflicts (to be accepted one by one)",
                count,
            )
        case "problems":
            words = ngettext("%(n)s change that cannot be applied", "%(n)s changes that cannot be applied", count)
        case _ if decision is Decision.ACCEPTED:
            words = ngettext("%(n)s change that needs a rejected one", "%(n)s changes that need rejected ones", count)
        case _:
            words = ngettext("%(n)s change that accepted ones need", "%(n)s changes that accepted ones need", count)
    return words % {"n": count}


def undo_words(changeset: Changeset) -> str:
    """What the button says that undoes the latest decision on many; "" where there is none to undo."""
    count = undoing.undoable(changeset).count()
    if not count:
        return ""
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
