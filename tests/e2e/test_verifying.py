"""What a browser must show, 25: an export with one byte changed fails verify; as it was exported, it matches."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from data_sync.models import Change, Changeset
from tests.admin.making import changeset, create, delete, pulled, update

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stored() -> Changeset:
    return pulled(changeset([update(1), create(2), delete(3)]))


def violations(page: Page) -> list[str]:
    return [found["id"] for found in Axe().run(page, context=".ds-root").response["violations"]]


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
def test_an_export_matches_and_with_one_byte_changed_it_does_not(arrive, stored, tmp_path: Path, scripts: bool):
    person = arrive(java_script_enabled=scripts)
    page = person.page
    person.visit(f"changeset/{stored.pk}/history/")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Export JSON").click()
    exported = Path(downloading.value.path()).read_bytes()
    for name, content, words in (
        ("as exported.json", exported, f"The file matches: it is changeset {stored.pk}, as it was exported."),
        ("one byte.json", exported.replace(b'"meaning":"new"', b'"meaning":"net"', 1), "The file does not match."),
    ):
        person.visit("changeset/")
        page.get_by_role("link", name="Verify a file").click()
        page.get_by_label("Exported changeset").set_input_files(
            {"name": name, "mimeType": "application/json", "buffer": content}
        )
        page.get_by_role("button", name="Verify", exact=True).click()
        expect(page.get_by_role("status")).to_contain_text(words)
        expect(page.locator(".ds-root")).to_contain_text(name)
    expect(page.get_by_role("listitem").filter(has_text="change 1: after_digest")).to_be_visible()
    page.screenshot(path=tmp_path / "file.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_verify_on_history_says_matches_or_names_the_change(arrive, stored, tmp_path: Path, scheme: str):
    person = arrive(color_scheme=scheme, viewport={"width": 320, "height": 800})
    page = person.page
    person.visit(f"changeset/{stored.pk}/history/")
    page.get_by_role("button", name="Verify", exact=True).click()
    expect(page.get_by_role("status")).to_contain_text("What is stored matches.")
    page.screenshot(path=tmp_path / "matches.png", full_page=True)
    Change.objects.filter(number=2).update(after={"word": "word-2", "meaning": "another"})
    page.get_by_role("button", name="Verify again").click()
    expect(page.get_by_role("status")).to_contain_text("What is stored does not match.")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert violations(page) == []
    page.screenshot(path=tmp_path / "differs.png", full_page=True)
    page.get_by_role("link", name="change 2: after_digest").click()
    expect(page.get_by_role("article", name="word-2")).to_be_visible()
