"""Too many deletes, in a real browser, from a real source: blocked, overridden by who may and says why, applied."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from data_sync.models import Changeset
from data_sync.services import limits
from tests.e2e.test_screens import PICTURES
from tests.testapp.models import Comment, Product, Tag

REVIEWER = ("view_changeset", "approve_changeset", "apply_changeset", "view_datasource", "pull_datasource")
MODELS = ("delete_tag", "delete_product", "delete_comment")


@pytest.mark.parametrize("script", [True, False], ids=["with-script", "without-script"])
def test_a_blocked_changeset_is_overridden_approved_and_applied(arrive, environments, script):
    limits.change_limits(environments.source, environments.actor, {limits.ALL: {"percent": None}})
    for number in range(9):
        environments.add(Tag, name=f"tag-{number}", only="" if number < 4 else "default")
    environments.add(Product, sku="stays", name="Stays")
    product = environments.add(Product, sku="goes", name="Goes", only="default")[1]
    Comment.objects.create(product=product, text="local")
    assert environments.pull().state == "done"
    stored = Changeset.objects.get()
    review = f"changeset/{stored.pk}/change/"
    folder = PICTURES.parent / "guards"
    folder.mkdir(parents=True, exist_ok=True)

    # Somebody who may do all else reads why, and can neither approve nor override.
    reviewer = arrive("ada", (*REVIEWER, *MODELS), java_script_enabled=script)
    page = reviewer.page
    reviewer.visit(review)
    banner = page.locator(".ds-banner-warning")
    expect(banner).to_contain_text("5 of 9 rows of Tag (55 %) would be deleted; the limit is 50 %.")
    expect(banner).to_contain_text("1 row of Comment, about which the source says nothing")
    expect(banner).to_contain_text("Someone who may override guards")
    expect(page.get_by_role("link", name="Let it through…")).to_have_count(0)
    page.get_by_label("Operation").select_option("delete")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("button", name="Accept 6 undecided").click()
    expect(page.locator(".ds-bar")).to_contain_text("6 accepted")
    reviewer.visit(f"changeset/{stored.pk}/apply/")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    expect(page.locator(".ds-banner-warning")).to_contain_text("Blocked")
    refused = page.request.get(f"{reviewer.base}/admin/data_sync/changeset/{stored.pk}/override/")
    assert refused.status == 403
    assert Tag.objects.count() == 9

    # Who may override, sees what, and has to say why.
    guardian = arrive("grace", ("view_changeset", "override_changeset_guard"), java_script_enabled=script)
    page = guardian.page
    guardian.visit("changeset/")
    expect(page.get_by_role("row", name=f"Changeset {stored.pk}")).to_contain_text("2 guards")
    guardian.visit(review)
    page.screenshot(path=folder / f"blocked-{script}.png", full_page=True)
    page.get_by_role("link", name="Let it through…").click()
    expect(page.locator(".ds-banner-warning")).to_contain_text("These 2 guards hold it back")
    expect(page.locator(".ds-root")).to_contain_text("Product goes Also deletes 1 row of comment")
    page.get_by_role("button", name="Let it through").click()
    expect(page.locator(".errornote")).to_be_visible()
    page.get_by_label("Reason").fill("Half of the tags were merged.")
    page.screenshot(path=folder / f"override-{script}.png", full_page=True)
    page.get_by_role("button", name="Let it through").click()
    expect(page.locator(".ds-title .ds-badge")).to_contain_text("pending")
    expect(page.locator(".messagelist")).to_contain_text("is let through its guards")
    expect(page.locator(".ds-banner")).to_contain_text("Let through its guards by grace")
    page.screenshot(path=folder / f"overridden-{script}.png", full_page=True)
    guardian.visit(f"changeset/{stored.pk}/history/")
    expect(page.locator(".ds-root")).to_contain_text("Half of the tags were merged.")
    page.screenshot(path=folder / f"history-{script}.png", full_page=True)

    # Then it is approved and applied as any other, and still says so.
    page = reviewer.page
    reviewer.visit(f"changeset/{stored.pk}/apply/")
    expect(page.locator(".ds-banner")).to_contain_text("Half of the tags were merged.")
    page.screenshot(path=folder / f"confirm-{script}.png", full_page=True)
    page.get_by_role("button", name="Approve and apply 6 changes").click()
    expect(page.locator(".ds-title .ds-badge")).to_contain_text("applied")
    assert (Tag.objects.count(), Product.objects.count(), Comment.objects.count()) == (4, 1, 0)
    reviewer.visit(review)
    expect(page.locator(".ds-root")).to_contain_text("Let through its guards by grace")


def test_limits_are_changed_on_the_page_of_the_source(arrive, environments):
    person = arrive()
    page = person.page
    person.visit(f"datasource/{environments.source.pk}/change/")
    page.get_by_role("link", name="Change limits of deletes…").click()
    page.get_by_label("Every model: rows").fill("20")
    page.get_by_label("Tag: percent").fill("5")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("row", name="Tag")).to_contain_text("20")
    assert limits.limits_of(environments.source).of("testapp.tag").percent == 5
