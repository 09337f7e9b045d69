"""Conflicts, renames, what belongs together and rehearsals in a real browser."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.admin.making import changeset, conflict, create, rename, update
from tests.testapp.models import Term

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_conflict_asks_to_be_seen_before_it_is_accepted(arrive):
    stored = changeset([conflict(1, "Boots", before="Boots, warm", after="Boots 2026")])
    person = arrive()
    person.visit(f"changeset/{stored.pk}/change/")
    card = person.page.get_by_role("article", name="word-1")
    expect(card.get_by_role("row", name="Meaning").get_by_role("cell")).to_have_text(
        ["Boots", "Boots, warm", "Boots 2026"]
    )

    card.get_by_label("Accept").click()

    expect(card.get_by_role("alert")).to_contain_text("is a conflict")
    expect(card.get_by_label("Undecided")).to_be_checked()
    seen = card.get_by_label("I have seen what was changed here")
    expect(seen).to_be_focused()
    seen.check()
    expect(card.get_by_role("alert")).to_have_count(0)
    card.get_by_label("Accept").check()
    expect(person.page.locator(".ds-bar")).to_contain_text("1 accepted")
    person.page.reload()
    expect(seen).to_be_checked()
    person.complaints = [text for text in person.complaints if "400" not in text]


def test_what_belongs_together_is_accepted_by_one_button_and_both_cards_show_it(arrive):
    stored = changeset([create(1, decision="rejected"), create(2, requires=[1])])
    person = arrive()
    person.visit(f"changeset/{stored.pk}/change/")
    page = person.page
    card = page.get_by_role("article", name="word-2")

    card.get_by_label("Accept").click()
    expect(card.get_by_role("alert").get_by_role("link", name="#1 word-1")).to_be_visible()
    card.get_by_role("button", name="Accept both").click()

    expect(page.locator(".ds-bar")).to_contain_text("2 accepted")
    for name in ("word-1", "word-2"):
        expect(page.get_by_role("article", name=name).get_by_label("Accept")).to_be_checked()
    person.complaints = [text for text in person.complaints if "400" not in text]


def test_without_a_script_what_belongs_together_is_a_page_with_one_button(arrive):
    stored = changeset([create(1, decision="rejected"), create(2, requires=[1])])
    person = arrive(java_script_enabled=False)
    person.visit(f"changeset/{stored.pk}/change/")
    page = person.page
    card = page.get_by_role("article", name="word-2")
    card.get_by_label("Accept").check()
    card.get_by_role("button", name="Save").click()

    expect(page.locator(".ds-root")).to_contain_text("What it needs, directly or by way of another")
    page.get_by_role("button", name="Accept both").click()

    expect(page.locator(".ds-bar")).to_contain_text("2 accepted")
    person.complaints = [text for text in person.complaints if "400" not in text]


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
def test_how_a_rename_is_written_is_chosen_on_its_card(arrive, script):
    stored = changeset([rename(1, "UK", "GB")])
    person = arrive(java_script_enabled=script)
    person.visit(f"changeset/{stored.pk}/change/")
    card = person.page.get_by_role("article", name="UK to GB")
    expect(card.get_by_label("Keep the row, under the new key")).to_be_checked()

    bar = person.page.locator(".ds-bar")

    card.get_by_label("Accept").check()
    if script:
        expect(bar).to_contain_text("1 accepted")
    card.get_by_label("Delete the row and add a new one").check()
    if script:
        expect(person.page.get_by_role("status")).to_contain_text("#1 accepted")
        expect(card.locator("input[name=revision]")).to_have_value("2")
    else:
        card.get_by_role("button", name="Save").click()
        expect(bar).to_contain_text("1 accepted")

    person.page.reload()
    expect(card.get_by_label("Delete the row and add a new one")).to_be_checked()
    expect(card.get_by_label("Accept")).to_be_checked()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1366, 320])
def test_a_rehearsal_reads_well_and_leads_to_what_failed(arrive, scheme, width):
    Term.objects.create(word="word-1", meaning="here already")
    stored = changeset([create(1, decision="accepted"), create(2, decision="accepted"), update(3)])
    person = arrive(viewport={"width": width, "height": 900}, color_scheme=scheme)
    person.visit(f"changeset/{stored.pk}/apply/")
    page = person.page

    page.get_by_role("button", name="Rehearse").click()

    expect(page.get_by_role("status")).to_contain_text("1 change could not be written")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert person.complaints == []
    assert Axe().run(page, context=".ds-root").response["violations"] == []
    person.complaints.clear()  # Axe itself adds styles, which the policy forbids.
    page.get_by_role("link", name="#1").click()
    expect(page.locator("#change-1")).to_be_focused()
