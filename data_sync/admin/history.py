"""What has happened to a changeset, in sentences, with links to the changes that it happened to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from data_sync.core.states import Decision
from data_sync.models import Change, Changeset, Event

from .filters import FLAGS
from .guards import guard_words
from .markup import COLUMNS, operation_words
from .names import model_name
from .pages import get_row, render

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

PAGE = 200
LISTED = 10
"""So many changes of one event are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """An event in words: what happened, to which changes, and what there is to say beyond that.

    `more` is how many changes are not named; `facts` are pairs of a name and a text in code.
    """

    event: Event
    words: str
    changes: tuple[Change, ...] = ()
    more: int = 0
    lines: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


def history(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """The events, the first one first, a page of them."""
    admin.require_view(request)
    changeset = get_row(Changeset, pk)
    events = changeset.events.order_by("number")
    after = request.GET.get("after", "")
    if after.isascii() and after.isdigit() and len(after) < 10:
        events = events.filter(number__gt=int(after))
    found = list(events[: PAGE + 1])
    shown = found[:PAGE]
    named = {number for event in shown for number in _numbers(event)[:LISTED]}
    columns = ("changeset", "number", "model", "key_text", "operation")
    rows = {row.number: row for row in changeset.changes.filter(number__in=named).only(*columns)} if named else {}
    return render(
        request,
        admin,
        "history.html",
        title=_("History of changeset %(number)s") % {"number": pk},
        crumbs=admin.crumbs(changeset, _("History")),
        changeset=changeset,
        happenings=[_happening(event, rows) for event in shown],
        next=shown[-1].number if len(found) > PAGE else None,
        page_name="history",
        **admin.permissions(request),
    )


def _numbers(event: Event) -> list[int]:
    """The changes that an event names."""
    detail = event.detail
    match event.action:
        case "decided":
            return [*(detail["selection"]["numbers"] or ()), *detail.get("also", ())]
        case "commented":
            return [detail["change"]]
        case "stale" | "failed":
            return list(detail.get("changes", ()))
        case _:
            return []


def _happening(event: Event, rows: Mapping[int, Change]) -> Happening:
    numbers = _numbers(event)
    changes = tuple(rows[number] for number in numbers[:LISTED] if number in rows)
    return Happening(
        event=event,
        words=_words(event),
        changes=changes,
        more=len(numbers) - len(changes),
        lines=tuple(line for line in _lines(event) if line),
        facts=tuple(_facts(event.detail)),
    )


def _words(event: Event) -> str:
    detail = event.detail
    match event.action:
        case "pulled" if detail.get("reverts"):
            return _("Made as the revert of changeset %(number)s") % {"number": detail["reverts"]}
        case "pulled":
            return _("Pulled from %(source)s") % {"source": detail["source"]}
        case "decided":
            return _decided(detail["decision"], detail["count"], is_named=bool(detail["selection"]["numbers"]))
        case "undone":
            return _("Decision undone")
        case "commented":
            return _("Commented")
        case "approved":
            return _("Approved")
        case "auto_approved":
            return _("All changes accepted without review")
        case "left_for_review":
            return _("Left for review")
        case "withdrawn":
            return _("Approval withdrawn")
        case "approval_expired":
            return _("Approval expired")
        case "rejected":
            return _("Rejected as a whole")
        case "overridden":
            return _("Let through the guards")
        case "superseded":
            by = detail["by"]
            return _("Superseded by changeset %(number)s") % {"number": by} if by else _("Superseded")
        case "carried_over":
            sources = ", ".join(map(str, detail["from"]))
            return _("Decisions and comments carried over from changeset %(numbers)s") % {"numbers": sources}
        case "applied":
            return _("Applied")
        case "stale":
            return _("Found stale: nothing was written")
        case "failed":
            return _("Failed: nothing was written")
        case "reverted":
            return _("Reverted by changeset %(number)s") % {"number": detail["by"]}
        case "partly_reverted":
            return _("Partly reverted by changeset %(number)s") % {"number": detail["by"]}
        case "purged":
            return _("Values purged")
        case "exported":
            return _("Exported as JSON")
        case action:
            return action


def _decided(decision: str, count: int, *, is_named: bool) -> str:
    match Decision(decision), is_named:
        case Decision.ACCEPTED, True:
            return _("Accepted")
        case Decision.REJECTED, True:
            return _("Rejected")
        case Decision.UNDECIDED, True:
            return _("Set to undecided")
        case Decision.ACCEPTED, _:
            words = ngettext("Accepted %(n)s change", "Accepted %(n)s changes", count)
        case Decision.REJECTED, _:
            words = ngettext("Rejected %(n)s change", "Rejected %(n)s changes", count)
        case _:
            words = ngettext("Set %(n)s change to undecided", "Set %(n)s changes to undecided", count)
    return words % {"n": count}


def _lines(event: Event) -> Iterator[str]:
    detail = event.detail
    match event.action:
        case "pulled":
            counts = detail["counts"]
            parts = [f"{counts.get(one.value, 0)} {operation_words(one)}" for one in COLUMNS if counts.get(one.value)]
            compared = detail["compared"]
            parts.append(ngettext("%(n)s row compared", "%(n)s rows compared", compared) % {"n": compared})
            yield " · ".join(parts)
            yield from map(guard_words, detail["guards"])
            yield from (_left_out(label, names) for label, names in detail.get("omitted", {}).items())
        case "decided":
            yield _selected(detail["selection"])
            if detail.get("acknowledged"):
                yield _("What happened here was said to have been seen.")
            if detail.get("kept"):
                yield _("Kept as it is here: %(names)s") % {"names": ", ".join(detail["kept"])}
            choices = dict(Change.RENAME_CHOICES)
            if detail.get("rename_choice") in choices:
                yield str(choices[detail["rename_choice"]])
        case "undone":
            count = detail["count"]
            yield ngettext("%(n)s change is as it was before.", "%(n)s changes are as they were before.", count) % {
                "n": count
            }
        case "reverted" | "partly_reverted":
            count = detail["changes"]
            yield ngettext("%(n)s change is undone.", "%(n)s changes are undone.", count) % {"n": count}
        case "commented":
            yield detail["text"]
        case "purged":
            changes = detail["changes"]
            yield ngettext("%(n)s change has its digests only.", "%(n)s changes have their digests only.", changes) % {
                "n": changes
            }
        case "auto_approved":
            yield _limits(detail["policy"])
        case "left_for_review":
            yield from (reason["message"] for reason in detail["reasons"])
        case "approved":
            yield _counted(Change.DECISIONS, detail["counts"])
        case "approval_expired":
            yield _("It was given by %(who)s, and held for %(hours)g hours.") % {
                "who": detail["approved_by"],
                "hours": detail["hours"],
            }
        case "applied":
            yield _counted(Change.OUTCOMES, detail["outcomes"])
        case "carried_over":
            yield _counted(Change.DECISIONS, detail["counts"])
            yield from (_comment(one) for one in detail.get("comments", ()))
        case "overridden":
            yield detail["reason"]
            yield from map(guard_words, detail["guards"])
        case "rejected" | "stale" | "failed":
            yield detail["reason"]


def _limits(policy: Mapping[str, Any]) -> str:
    """What the source was trusted with."""
    words = [", ".join(policy["models"]), ", ".join(operation_words(one) for one in policy["operations"])]
    words.append(_("at most %(n)s changes") % {"n": policy["max_changes"]})
    if policy["max_deletes"]:
        words.append(_("at most %(n)s deletes") % {"n": policy["max_deletes"]})
    return _("Within what the source is trusted with: %(limits)s") % {"limits": " · ".join(words)}


def _comment(one: Mapping[str, Any]) -> str:
    """In one line, whatever its text says."""
    return f"#{one['change']} {one['actor']}: “{' ↵ '.join(one['text'].splitlines())}”"


def _left_out(label: str, names: Iterable[str]) -> str:
    """A model, or fields of it, on which the two sides do not agree."""
    listed = ", ".join(names)
    model = model_name(label)
    return _("Left out: %(what)s") % {"what": f"{model} ({listed})" if listed else model}


def _counted(choices: Iterable[tuple[str, Any]], counts: Mapping[str, int]) -> str:
    return " · ".join(f"{counts[value]} {words}" for value, words in choices if counts.get(value))


def _selected(selection: Mapping[str, Any]) -> str:
    """What was filtered on when many were decided on."""
    parts = []
    if selection["model"]:
        parts.append(model_name(selection["model"]))
    if selection["operation"]:
        parts.append(operation_words(selection["operation"]))
    if selection["decision"]:
        parts.append(str(dict(Change.DECISIONS)[selection["decision"]]))
    if selection["flag"]:
        parts.append(str(FLAGS.get(selection["flag"], selection["flag"])))
    if selection.get("unviewed_by"):
        parts.append(_("Unviewed"))
    if selection["search"]:
        parts.append(_("with “%(words)s” in the key") % {"words": selection["search"]})
    if parts:
        return _("Of those that match: %(filters)s") % {"filters": " · ".join(parts)}
    return "" if selection["numbers"] else _("Of all changes")


def _facts(detail: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if detail.get("content_seal"):
        yield _("Content seal:"), detail["content_seal"]
    if detail.get("approval_seal"):
        yield _("Approval seal:"), detail["approval_seal"]
