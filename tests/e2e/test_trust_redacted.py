"""Redacted values are absent from the page: from what is seen, from what is read out, and from the whole document."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from data_sync.core.redaction import KEY_BYTES, diff_rows
from data_sync.models import Changeset
from tests.admin.making import change, changeset

pytestmark = pytest.mark.django_db(transaction=True)

LABEL = "testapp.customer"
NAMES = ["account", "limit", "notes"]


@pytest.fixture
def stored() -> Changeset:
    before = {"name": "ada", "city": "Bonn", "account": "canary old", "limit": "1.00", "notes": {"canary": 1}}
    after = before | {"city": "Ulm", "account": "canary new", "notes": {"canary": 2}}
    rows = [
        change(1, key=["ada"], model=LABEL, before=before, after=after),
        change(2, key=["bob"], model=LABEL, after=before | {"name": "bob"}),
    ]
    for row in rows:
        row.diff = diff_rows(row.before or {}, row.after or {}, NAMES)
    return changeset(rows, redacted={LABEL: NAMES}, leaf_key=bytes(KEY_BYTES))


def everything(page: Page) -> str:
    """Markup, values of controls, what is read out, folded parts too."""
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    return page.content() + page.locator("body").aria_snapshot() + page.locator("body").inner_text()


def test_a_card_says_that_a_redacted_field_differs_and_has_its_value_nowhere(arrive, stored, tmp_path: Path):
    person = arrive()
    person.visit(f"changeset/{stored.pk}/change/")
    card = person.page.get_by_role("article", name="ada")
    account = card.get_by_role("row", name="Account")
    expect(account.get_by_role("cell")).to_have_text([re.compile("••• changed"), re.compile("••• changed")])
    expect(card.get_by_role("row", name="City").get_by_role("cell")).to_have_text(["Bonn", "Ulm"])
    new = person.page.get_by_role("article", name="bob")
    expect(new.get_by_role("row", name="Account")).to_contain_text("••• (hidden)")
    assert "canary" not in everything(person.page)
    spoken = account.aria_snapshot()
    assert "its values are not shown" in spoken and "•••" not in spoken, "dots are nothing to read out"
    person.page.screenshot(path=tmp_path / "redacted.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_as_accessible_as_the_rest(arrive, stored, scheme):
    person = arrive(color_scheme=scheme, viewport={"width": 320, "height": 800})
    person.visit(f"changeset/{stored.pk}/change/")
    page = person.page
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    found = Axe().run(page, context="#change-1").response["violations"]
    assert [violation["id"] for violation in found] == []


def test_the_exported_file_and_the_printed_page_have_none(arrive, stored):
    person = arrive()
    person.visit(f"changeset/{stored.pk}/print/")
    assert "canary" not in everything(person.page)
    expect(person.page.locator("body")).to_contain_text("••• changed")
    person.visit(f"changeset/{stored.pk}/change/")
    with person.page.expect_download() as downloading:
        person.page.get_by_role("button", name="Export JSON").click()
    text = Path(downloading.value.path()).read_text(encoding="utf-8")
    assert "canary" not in text and '"redacted":["account","limit","notes"]' in text and "hmac-sha256:" in text
