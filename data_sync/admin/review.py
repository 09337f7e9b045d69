"""The review page: the changes of a changeset that pass its filters."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from data_sync.core.states import ChangesetState
from data_sync.models import Change, Changeset, Event
from data_sync.orm.batches import batches
from data_sync.services import approval, review, revision
from data_sync.services.moved import moved_rows
from data_sync.services.selection import viewed_by

from . import overview, remarks
from .agreement import disagreements_of
from .bulk import Bulk, undo_words
from .cards import build_card
from .filters import Filters, flag_choices
from .names import model_name
from .pages import actor_of, get_row, render
from .paging import Page, page_of
from .pictures import Pictures
from .presentation import MOST_REQUIRED, Card, Neighbour
from .rehearsal import may_rehearse
from .room import Room
from .shapes import shape_of, shapes

if TYPE_CHECKING:
    from .changesets import ChangesetAdmin

PRINTED = 500
"""So many changes are on one page for the printer."""


def review_page(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """The changes that pass the filters, a page of them, each with its decision."""
    admin.require_view(request)
    changeset = get_row(Changeset, pk, "pull", "source")
    filters = Filters.of(request.GET)
    counts = overview.Counts.of(changeset)
    selected = review.select(changeset, filters.selection(request.user.pk))
    page = page_of(selected.annotate(is_viewed=viewed_by(request.user.pk)), request.GET)
    actor = actor_of(request)
    bulk = Bulk.of(changeset, selected, filters, request.user.pk)
    return render(
        request,
        admin,
        "review.html",
        title=_("Changeset %(number)s") % {"number": changeset.pk},
        # The sidebar takes 299 pixels from two columns that need them.
        is_nav_sidebar_enabled=False,
        changeset=changeset,
        filters=filters,
        query=request.GET.urlencode(),
        cards=cards_of(admin, changeset, page.changes, _room(filters)),
        page=page,
        links=_links(page, filters),
        page_name="review",
        matching=bulk.total,
        bulk_counts=bulk.counts(),
        bulk_words=bulk.words(),
        undo_words=undo_words(changeset),
        navigation=counts.navigation(changeset, filters),
        summary=overview.summary_rows(changeset, counts, remarks.viewed_by_model(changeset, request.user.pk)),
        same_models=overview.unchanged_models(changeset),
        conflicts=counts.number(only_conflicts=True),
        cascades=overview.total_of(changeset.summary, "cascades"),
        problems=overview.total_of(changeset.summary, "problems"),
        warnings=overview.total_of(changeset.summary, "warnings"),
        large_files=overview.total_of(changeset.summary, "large_files"),
        disagreements=disagreements_of(changeset),
        closing=_closing(changeset),
        override=approval.overridden(changeset),
        decisions=counts.decisions(),
        total=counts.number(),
        operations=Change.OPERATIONS,
        decision_choices=Change.DECISIONS,
        flag_choices=flag_choices(),
        filter_model_name=model_name(filters.model) if filters.model else "",
        is_rejectable=changeset.state in approval.REJECTABLE,
        is_closed=not revision.is_decidable(changeset),
        is_unclear=not filters.are_all_of(request.GET),
        may_decide=revision.is_decidable(changeset) and actor.may("data_sync.approve_changeset"),
        may_rehearse=may_rehearse(changeset, actor),
        **admin.permissions(request),
    )


def print_page(admin: ChangesetAdmin, request: HttpRequest, pk: int) -> HttpResponse:
    """The same changes, many at a time, with everything unfolded and nothing to press."""
    admin.require_view(request)
    changeset = get_row(Changeset, pk, "pull")
    filters = Filters.of(request.GET)
    selected = review.select(changeset, filters.selection(request.user.pk))
    page = page_of(selected, request.GET, PRINTED)
    return render(
        request,
        admin,
        "print.html",
        title=_("Changeset %(number)s") % {"number": pk},
        crumbs=admin.crumbs(changeset, _("Print")),
        is_nav_sidebar_enabled=False,
        changeset=changeset,
        filters=filters,
        matching=selected.count(),
        cards=cards_of(admin, changeset, page.changes, _room(filters)),
        page=page,
        links=_links(page, filters),
        decisions=overview.Counts.of(changeset).decisions(),
        is_closed=not revision.is_decidable(changeset),
        is_print=True,
        override=approval.overridden(changeset),
        page_name="print",
        **admin.permissions(request),
    )


def _links(page: Page, filters: Filters) -> dict[str, str]:
    """The pages round this one, where there are such."""
    return {
        name: filters.query(**parameters)
        for name in ("first", "previous", "next", "last")
        if (parameters := getattr(page, name)) is not None
    }


def _closing(changeset: Changeset) -> Event | None:
    """The event that closed a changeset which was not applied."""
    if changeset.state not in (ChangesetState.REJECTED, ChangesetState.SUPERSEDED):
        return None
    return changeset.events.filter(action=changeset.state).order_by("-number").first()


def _room(filters: Filters) -> Room:
    return Room.of_many() if filters.number is None else Room.of_one()


def cards_of(admin: ChangesetAdmin, changeset: Changeset, changes: list[Change], room: Room) -> list[Card]:
    """The cards of a page; one query for all changes that theirs require, one for all comments."""
    known = shapes()
    neighbours = _neighbours(changeset, {n for row in changes for n in row.requires[:MOST_REQUIRED]})
    pictures = Pictures(admin, changeset.pk)
    comments = remarks.comments_of(changes)
    moved = moved_rows(changeset, changes) if revision.is_decidable(changeset) else {}
    return [
        replace(
            build_card(
                row,
                shape_of(row.model, known),
                neighbours,
                pictures.place,
                room,
                moved.get(row.number),
                changeset.redacted.get(row.model, ()),
            ),
            comments=comments.get(row.pk, ()),
            is_viewed=getattr(row, "is_viewed", False),
        )
        for row in changes
    ]


def _neighbours(changeset: Changeset, numbers: set[int]) -> dict[int, Neighbour]:
    found: dict[int, Neighbour] = {}
    for batch in batches(numbers, 2_000):
        rows = changeset.changes.filter(number__in=batch).only(
            "changeset", "number", "model", "key", "key_text", "operation", "decision"
        )
        for row in rows:
            found[row.number] = Neighbour(
                number=row.number,
                model=row.model,
                model_name=model_name(row.model),
                key=row.key,
                key_text=row.key_text,
                operation=row.operation,
                decision=row.decision,
            )
    return found
