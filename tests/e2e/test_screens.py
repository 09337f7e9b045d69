"""Every screen in every state, once in each theme and width: it fits, and a picture of it is left in test-results/."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone

from data_sync.models import Changeset
from data_sync.services import retention
from data_sync.services.actors import command_line
from data_sync.services.guards import Limit, Limits, Rows, guards_of
from tests.admin import making
from tests.admin.making import changeset, create, delete, rename, update
from tests.leasing import beat
from tests.testapp.models import Term

from .test_review_page import everything

pytestmark = pytest.mark.django_db(transaction=True)

HELD = guards_of(
    [Rows(label="testapp.term", here=800, there=388, deletes=412), Rows(label="testapp.comment", along=17)],
    Limits(default=Limit(rows=400, percent=50)),
)
PICTURES = Path(__file__).resolve().parents[2] / "test-results" / "screens"


def screens() -> dict[str, str]:
    """By name of the picture: the path below data_sync/."""
    now = timezone.now()
    source = making.source()
    paths = {
        "sources": "datasource/",
        "source-add": "datasource/add/",
        "source": f"datasource/{source.pk}/change/",
        "source-edit": f"datasource/{source.pk}/edit/",
        "source-limits": f"datasource/{source.pk}/limits/",
        "source-remove": f"datasource/{source.pk}/delete/",
        "keys": "exportkey/",
        "key-add": "exportkey/add/",
        "pulls": "datapull/",
        "pull-add": "datapull/add/",
        "upload": "datapull/upload/",
        "changesets": "changeset/",
    }
    for state, values in {
        "nothing-differs": {"compared": 8120, "finished_at": now},
        "reading": {"state": "reading"},
        "failed": {"state": "failed", "error": "The source does not answer: it was not reached within 10 s."},
    }.items():
        pull = making.pull(**{"source": source, "started_at": now, **values})
        beat(pull, phase="rows", done=4000, total=8120)
        paths[f"pull-{state}"] = f"datapull/{pull.pk}/change/"
    uploaded = {"kind": "bundle", "upload_name": "staging.zip", "upload_checksum": f"sha256:{'0f' * 32}"}
    pull = making.pull(source_name="staging.zip", compared=8120, finished_at=now, **uploaded)
    paths["pull-uploaded"] = f"datapull/{pull.pk}/change/"
    review = everything()
    paths |= {
        "review": f"changeset/{review.pk}/change/",
        "review-deletes": f"changeset/{review.pk}/change/?op=delete",
        "review-filter-empty": f"changeset/{review.pk}/change/?q=nothing-like-it",
        "review-print": f"changeset/{review.pk}/print/",
        "review-reject": f"changeset/{review.pk}/reject/",
        "history": f"changeset/{review.pk}/history/",
    }
    decided = {"decision": "accepted"}
    rows = [Term.objects.create(word=f"word-{number}", meaning="old") for number in range(1, 13)]
    deletes = [delete(number, local_pk=row.pk, **decided) for number, row in enumerate(rows, 1)]
    confirm = changeset([*deletes, create(13, **decided), update(14)])
    paths["confirm-unfit"] = f"changeset/{changeset([create(1, **decided)]).pk}/apply/"
    paths["confirm"] = f"changeset/{confirm.pk}/apply/"
    for state, values in {
        "blocked": {"guards": HELD},
        "approved": {"approved_at": now},
        "superseded": {"state_reason": "Superseded by changeset 7."},
        "rejected": {"state_reason": "Not this year."},
        "stale": {"attempt": 1},
        "failed": {"attempt": 1, "state_reason": "One change could not be written."},
        "applied": {"attempt": 1, "applied_at": now},
    }.items():
        outcome = {"applied": "applied", "failed": "failed", "stale": "stale"}.get(state, "")
        reason = "" if outcome in ("", "applied") else "The column takes 200 characters, and this value has 300."
        row = update(1, decision="accepted", outcome=outcome, outcome_reason=reason)
        stored = changeset([row, create(2, outcome="skipped" if outcome else "")], state=state, **values)
        paths[f"review-{state}"] = f"changeset/{stored.pk}/change/"
        if outcome:
            paths[f"result-{state}"] = f"changeset/{stored.pk}/result/"
        if state == "blocked":
            paths["override"] = f"changeset/{stored.pk}/override/"
            paths["review-blocked-print"] = f"changeset/{stored.pk}/print/"
    answerable = {"applied_at": now, "approval_actor": "mira", "apply_actor": "tomas", "source_name": "Staging"}
    rows = [update(1, "a word", "another word", outcome="applied"), create(2, outcome="applied")]
    for number in range(2):
        stored = changeset(rows, state="applied", purged_at=None if number else now, **answerable)
        rows = [rename(1, "old-key", "word-1", outcome="applied"), create(2, outcome="applied")]
    retention.purge(changeset([update(1), create(2), delete(3)], state="rejected").pk, command_line())
    purged = Changeset.objects.latest("pk")
    paths |= {
        "review-purged": f"changeset/{purged.pk}/change/",
        "lookup": "changeset/lookup/",
        "lookup-found": "changeset/lookup/?model=testapp.term&q=word-1",
        "lookup-several": "changeset/lookup/?model=testapp.term&q=w",
        "retention": "changeset/retention/",
    }
    return paths


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1366, 320])
def test_every_screen_fits(arrive, scheme, width, settings):
    settings.DATA_SYNC_RETENTION_DAYS = 1e-9
    person = arrive(viewport={"width": width, "height": 900}, color_scheme=scheme)
    folder = PICTURES / f"{width}-{scheme}"
    folder.mkdir(parents=True, exist_ok=True)
    too_wide = []

    for name, path in screens().items():
        person.visit(path)
        person.page.screenshot(path=folder / f"{name}.png", full_page=True)
        if person.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            too_wide.append(name)

    assert too_wide == []
