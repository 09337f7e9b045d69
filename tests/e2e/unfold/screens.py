"""What holds of data_sync's screens also holds under django-unfold."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.admin.making import changeset, create, delete
from tests.e2e.test_screens import PICTURES, screens

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("width", [1366, 320])
def test_every_screen_opens_and_fits(arrive, width):
    person = arrive(viewport={"width": width, "height": 900})
    folder = PICTURES / f"{width}-unfold"
    folder.mkdir(parents=True, exist_ok=True)
    broken = []

    for name, path in screens().items():
        answer = person.page.goto(f"{person.base}/admin/data_sync/{path}")
        person.page.screenshot(path=folder / f"{name}.png")
        is_ours = person.page.locator(".ds-root").count()
        fits = person.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # The lists are Django's own change lists, laid out by Unfold.
        if answer.status != 200 or (is_ours and not fits):
            broken.append((name, answer.status, fits))

    assert broken == []


def test_a_changeset_is_decided_on_and_approved(arrive):
    stored = changeset([create(1), delete(2)])
    person = arrive()

    person.visit(f"changeset/{stored.pk}/change/")
    person.page.locator("#change-1").get_by_label("Accept").check()
    expect(person.page.locator(".ds-bar")).to_contain_text("1 accepted")
    person.page.locator(".ds-bar").get_by_role("link", name="Review & apply").click()
    with person.page.expect_navigation():
        person.page.get_by_role("button", name="Approve only").click()

    stored.refresh_from_db()
    assert stored.state == "approved"
