"""From log-in to applied, and back, in a real browser, against a real source; with and without JavaScript."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from data_sync.models import Changeset
from tests.testapp.models import Term


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
def test_a_person_pulls_reviews_applies_and_reverts(arrive, environments, script):
    for number in range(3):
        environments.add(Term, word=f"same-{number}", meaning="the same")
    environments.add(Term, word="boots", meaning=("Boots of 2026", "Boots of 2025"))
    environments.add(Term, word="socks", only="source", meaning="Warm ones")
    environments.add(Term, word="scarf", only="source", meaning="Not wanted here")
    person = arrive(java_script_enabled=script)
    page = person.page

    # Pull
    person.visit("datasource/")
    page.get_by_role("link", name="Staging").click()
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_role("row", name="key accepted")).to_contain_text("✓")
    page.get_by_role("button", name="Pull now").click()
    page.get_by_role("link", name="Review changeset").click()

    # Review: a word is marked on both sides
    boots = page.get_by_role("article", name="boots")
    expect(boots.locator("del")).to_have_text("2025")
    expect(boots.locator("ins")).to_have_text("2026")
    bar = page.locator(".ds-bar")
    page.get_by_role("button", name="Accept 3 undecided").click()
    expect(bar).to_contain_text("3 accepted")

    # Decide on one
    scarf = page.get_by_role("article", name="scarf")
    scarf.get_by_label("Reject").check()
    if not script:
        scarf.get_by_role("button", name="Save").click()
    expect(bar).to_contain_text("2 accepted · 1 rejected · 0 undecided")
    page.reload()
    expect(page.get_by_role("article", name="scarf").get_by_label("Reject")).to_be_checked()
    expect(bar).to_contain_text("2 accepted · 1 rejected · 0 undecided")

    # Apply
    page.get_by_role("link", name="Review & apply").click()
    expect(page.locator(".ds-root")).to_contain_text("2 accepted changes will be written")
    page.get_by_role("button", name="Approve and apply 2 changes").click()
    expect(page.locator(".ds-title .ds-badge")).to_contain_text("applied")
    expect(page.get_by_role("row", name="socks")).to_contain_text("applied")
    expect(page.get_by_role("row", name="scarf")).to_contain_text("skipped")

    assert dict(Term.objects.exclude(word__startswith="same").values_list("word", "meaning")) == {
        "boots": "Boots of 2026",
        "socks": "Warm ones",
    }
    assert Changeset.objects.get().apply_actor == "mira"

    # And a second pull finds what was left out
    person.visit("datapull/add/")
    page.get_by_label("Source").select_option("Staging")
    page.get_by_role("button", name="Pull now").click()
    expect(page.locator(".ds-root")).to_contain_text("+1")

    # And it is undone, by a changeset to review; what was added is registered to stay
    person.visit(f"changeset/{Changeset.objects.get(state='applied').pk}/result/")
    page.get_by_role("link", name="Revert…").click()
    page.get_by_role("button", name="Make the revert").click()
    page.get_by_role("link", name="Review changeset").click()
    expect(page.locator(".ds-root")).to_contain_text("Revert of changeset")
    expect(page.get_by_role("article", name="boots").locator("ins")).to_have_text("2025")
    page.get_by_role("button", name="Accept 1 undecided").click()
    expect(bar).to_contain_text("1 accepted")
    page.get_by_role("link", name="Review & apply").click()
    page.get_by_role("button", name="Approve and apply 1 change").click()
    expect(page.locator(".ds-title .ds-badge")).to_contain_text("applied")
    assert dict(Term.objects.exclude(word__startswith="same").values_list("word", "meaning")) == {
        "boots": "Boots of 2025",
        "socks": "Warm ones",
    }
