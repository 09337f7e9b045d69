"""Trusting a source, and one click from there to the applied rows, in a real browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from data_sync.models import Changeset, Trust
from tests.admin import making
from tests.admin.making import changeset, update
from tests.environments import Environments
from tests.testapp.models import Term

PICTURES = Path(__file__).resolve().parents[2] / "test-results" / "trust"


@pytest.fixture
def agreed(environments: Environments) -> Environments:
    environments.add(Term, word="boots", meaning="of 2025")
    environments.pull()
    Term.objects.using("source").update(meaning="of 2026")
    return environments


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
def test_a_person_trusts_a_source_and_pulls_and_applies(arrive: Any, agreed: Environments, script: bool) -> None:
    person = arrive(java_script_enabled=script)
    page = person.page

    # Trust: a page of its own, which takes the name
    person.visit("datasource/")
    page.get_by_role("link", name="Staging").click()
    expect(page.get_by_role("button", name="Pull and apply")).to_have_count(0)
    page.get_by_role("link", name="Trust this source…").click()
    expect(page.locator(".ds-root")).to_contain_text("Changes will apply without review.")
    page.get_by_label("terms (testapp.term)").check()
    page.get_by_label("Name of the source").fill("Production")
    page.get_by_role("button", name="Trust this source").click()
    expect(page.locator(".ds-root")).to_contain_text("this is not the source's name")
    assert not Trust.objects.exists()
    page.get_by_label("Name of the source").fill("Staging")
    page.get_by_role("button", name="Trust this source").click()
    expect(page.locator(".ds-root")).to_contain_text("“Pull and apply” applies without review.")

    # One click
    page.get_by_role("button", name="Pull and apply").click()
    expect(page.locator(".ds-title .ds-badge")).to_contain_text("applied")
    expect(page.get_by_role("row", name="boots")).to_contain_text("applied")
    assert Term.objects.get().meaning == "of 2026"
    assert Changeset.objects.get().apply_actor == "auto-apply for mira"

    # And where something is in the way, the review says what
    Term.objects.update(meaning="edited here")
    Term.objects.using("source").update(meaning="of 2027")
    person.visit(f"datasource/{agreed.source.pk}/change/")
    page.get_by_role("button", name="Pull and apply").click()
    expect(page.locator(".ds-root")).to_contain_text("1 conflict: rows that were changed here, too.")
    expect(page.get_by_role("article", name="boots")).to_be_visible()

    # The end of it
    person.visit(f"datasource/{agreed.source.pk}/change/")
    page.get_by_role("button", name="Stop trusting").click()
    expect(page.get_by_role("button", name="Pull and apply")).to_have_count(0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1366, 320])
def test_every_screen_of_it_fits(arrive: Any, scheme: str, width: int) -> None:
    from data_sync.services import trust
    from data_sync.services.actors import command_line

    ended, trusted = making.source("Staging"), making.source("Translations of the whole shop")
    for source in (ended, trusted):
        models = ["testapp.term", "testapp.everything", "testapp.product"]
        trust.switch_on(source, command_line(), models=models, operations=["update", "delete"], unattended=True)
    trust.switch_off(ended, command_line(), "The editors there have changed.")
    reasons = ["2 conflicts: rows that were changed here, too.", "112 changes, and 100 is the most."]
    left = changeset(
        [update(1)], auto_state="left", auto_reasons=[{"code": "x", "message": message} for message in reasons]
    )
    applied = changeset([update(1, outcome="applied")], state="applied", attempt=1, auto_state="approved")
    settling = making.pull(source=trusted)
    waiting = changeset([update(1)], auto_state="due", pull=settling)
    paths = {
        "sources": "datasource/",
        "source-trusted": f"datasource/{trusted.pk}/change/",
        "source-ended": f"datasource/{ended.pk}/change/",
        "trust": f"datasource/{ended.pk}/trust/",
        "left": f"changeset/{left.pk}/change/",
        "waiting": f"changeset/{waiting.pk}/change/",
        "result": f"changeset/{applied.pk}/result/",
        "settling": f"datapull/{settling.pk}/change/",
        "changesets": "changeset/",
    }
    person = arrive(viewport={"width": width, "height": 900}, color_scheme=scheme)
    folder = PICTURES / f"{width}-{scheme}"
    folder.mkdir(parents=True, exist_ok=True)
    too_wide = []
    for name, path in paths.items():
        person.visit(path)
        person.page.screenshot(path=folder / f"{name}.png", full_page=True)
        if person.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            too_wide.append(name)
    assert too_wide == []
