"""The review page in a real browser: decisions as they are made, other people, small screens, assistive technology."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.admin import making
from tests.admin.making import changeset, conflict, create, delete, rename, update

pytestmark = pytest.mark.django_db(transaction=True)

CASCADE = {"model": "auth.group", "pk": "1", "label": "editors", "effect": "delete", "column": "x"}
CONFLICT = {"kind": "changed", "by": "tomas", "at": "2026-05-12T10:03:00+00:00"}
PROBLEM = {"code": "too_long", "field": "meaning", "message": "It is too long for this database."}


def everything():
    """One of each kind of thing that a card can show."""
    picture = {"name": "boots.png", "size": 2048, "checksum": "missing"}
    return changeset(
        [
            update(1, "one two three\n" * 40, "one two 3\n" + "one two three\n" * 39),
            update(2, "Bonjour", "Bonjour "),
            update(3, "", "<script>alert(1)</script>"),
            update(4, "مرحبا بكم", "مرحبا بالعالم"),
            change_of_json(5),
            create(6, "x" * 300, requires=[7]),
            create(7, problems=[PROBLEM]),
            delete(8, cascades=[CASCADE]),
            conflict(10, "one two", before="one 2", after="1 two", requires=[7]),
            conflict(11, None, conflict={"kind": "changed", "by": "", "at": ""}),
            change_of_json(12, base={"json": {"tags": [], "on": True}}, conflict=CONFLICT),
            create(13, conflict={"kind": "removed", "by": "tomas", "at": ""}, warnings=[PROBLEM]),
            delete(14, conflict=CONFLICT, base=making.term(14, "agreed"), left_scope=True),
            rename(15, "an old key that is long enough for a small screen", "a new key", cascades=[CASCADE]),
            rename(16),
            making.change(
                9, model="testapp.copy", before={}, after={}, files={"thumbnail": {"before": None, "after": picture}}
            ),
        ],
        omitted={"testapp.term": ["colour"], "testapp.tag": ["name"]},
    )


def change_of_json(number, **values):
    return making.change(
        number,
        model="testapp.everything",
        before={"json": {"tags": ["a", "b"], "on": True}},
        after={"json": {"tags": ["a", "c"], "on": False}},
        **values,
    )


def test_13_a_decision_is_saved_as_it_is_made_and_survives_a_reload(arrive):
    stored = changeset([update(1), update(2), delete(3)])
    person = arrive()
    person.visit(f"changeset/{stored.pk}/change/")
    page, bar = person.page, person.page.locator(".ds-bar")

    page.get_by_role("article", name="word-1").get_by_label("Accept").check()
    page.get_by_role("article", name="word-2").get_by_label("Reject").check()
    page.get_by_role("article", name="word-3").get_by_label("Accept").check()

    expect(bar).to_contain_text("2 accepted · 1 rejected · 0 undecided")
    expect(page.get_by_role("status")).to_contain_text("#3 accepted")
    page.reload()
    expect(page.get_by_role("article", name="word-2").get_by_label("Reject")).to_be_checked()
    expect(bar).to_contain_text("2 accepted · 1 rejected · 0 undecided")


def test_13_bar_summary_and_navigation_agree_after_a_decision(arrive):
    stored = changeset([update(1), create(2)])
    person = arrive()
    person.visit(f"changeset/{stored.pk}/change/")
    page = person.page
    entry = page.locator(".ds-nav a", has_text="Changed").locator(".ds-ok")
    expect(entry).to_be_hidden()

    page.get_by_role("article", name="word-1").get_by_label("Accept").check()

    expect(entry).to_be_visible()
    expect(page.locator("[data-ds-decided]")).to_have_text("1")
    page.reload()
    expect(entry).to_be_visible()
    expect(page.locator("[data-ds-decided]")).to_have_text("1")


def test_a_bulk_button_never_says_a_number_that_is_no_longer_true(arrive):
    stored = changeset([update(1), update(2)])
    person = arrive()
    person.visit(f"changeset/{stored.pk}/change/?decision=undecided")
    page = person.page
    expect(page.get_by_role("button", name="Accept 2 undecided")).to_be_visible()

    page.get_by_role("article", name="word-1").get_by_label("Accept").check()

    expect(page.get_by_role("button", name="Accept 1 undecided")).to_be_visible()
    page.get_by_role("article", name="word-2").get_by_label("Reject").check()
    expect(page.get_by_role("button", name="undecided")).to_have_count(0)


def test_21_somebody_elses_decision_puts_the_radio_back_and_says_so(arrive):
    stored = changeset([update(1), update(2)])
    mira, tomas = arrive("mira"), arrive("tomas")
    for person in (mira, tomas):
        person.visit(f"changeset/{stored.pk}/change/")
    mira.page.get_by_role("article", name="word-1").get_by_label("Accept").check()
    expect(mira.page.locator(".ds-bar")).to_contain_text("1 accepted")

    card = tomas.page.get_by_role("article", name="word-2")
    card.get_by_label("Reject").click()

    expect(card).to_contain_text("This changeset was decided on elsewhere")
    expect(card.get_by_role("button", name="Try again")).to_have_count(0)
    expect(card.get_by_label("Undecided")).to_be_checked()
    expect(tomas.page.get_by_text("This changeset was decided on elsewhere")).to_have_count(1)
    card.get_by_role("button", name="Reload").click()
    expect(tomas.page.locator(".ds-bar")).to_contain_text("1 accepted")
    assert stored.changes.get(number=2).decision == "undecided"
    tomas.complaints = [text for text in tomas.complaints if "409" not in text]


def test_a_session_that_has_ended_is_told(arrive):
    stored = changeset([update(1)])
    person = arrive()
    person.visit(f"changeset/{stored.pk}/change/")
    person.page.context.clear_cookies(name="sessionid")

    card = person.page.get_by_role("article", name="word-1")
    card.get_by_label("Accept").click()

    expect(card).to_contain_text("You are logged out")
    expect(card.get_by_label("Undecided")).to_be_checked()
    link = card.get_by_role("link", name="Log in again").get_attribute("href")
    assert link.endswith(f"/login/?next={quote(urlsplit(person.page.url).path, safe='')}")


def test_15_a_permalink_shows_and_focuses_its_change(arrive):
    stored = changeset([update(1), update(2)])
    person = arrive()
    person.visit(f"changeset/{stored.pk}/change/")

    person.page.get_by_role("link", name="#2").click()

    expect(person.page.get_by_role("article")).to_have_count(1)
    expect(person.page.locator("#change-2")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1366, 320])
def test_01_02_screens_have_no_violations_of_accessibility_rules_and_fit(arrive, scheme, width):
    stored = everything()
    person = arrive(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = person.page
    found = {}

    for path in (f"changeset/{stored.pk}/change/", f"changeset/{stored.pk}/apply/", f"changeset/{stored.pk}/history/"):
        person.visit(path)
        page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
        assert person.complaints == []
        results = Axe().run(page, context=".ds-root").response["violations"]
        found |= {f"{path} {rule['id']}": [node["target"] for node in rule["nodes"][:3]] for rule in results}
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{path} scrolls sideways"

        person.complaints.clear()  # Axe itself adds styles, which the policy forbids.

    assert found == {}


def test_02_right_to_left_fits_a_small_screen(arrive, settings):
    settings.LANGUAGE_CODE = "ar"
    stored = everything()
    person = arrive(viewport={"width": 320, "height": 900})

    person.visit(f"changeset/{stored.pk}/change/")

    assert person.page.evaluate("document.documentElement.dir") == "rtl"
    assert person.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_05_marks_do_not_depend_on_colour(arrive):
    stored = changeset([update(1, "Boots 2025", "Boots 2026")])
    person = arrive()
    person.visit(f"changeset/{stored.pk}/change/")

    def decoration(selector: str) -> str:
        return str(person.page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).textDecorationLine"))

    assert (decoration(".ds-diff del"), decoration(".ds-diff ins")) == ("line-through", "underline")


def test_12_nothing_focused_hides_under_the_bar(arrive):
    stored = changeset([update(number) for number in range(1, 12)])
    person = arrive(viewport={"width": 1366, "height": 700})
    person.visit(f"changeset/{stored.pk}/change/")
    page = person.page
    bar_top = page.locator(".ds-bar").bounding_box()["y"]

    for _ in range(60):
        page.keyboard.press("Tab")
        box = page.evaluate(
            "(() => { const e = document.activeElement; if (!e.closest('.ds-card')) return null;"
            " return e.getBoundingClientRect().bottom; })()"
        )
        assert box is None or box <= bar_top + 1


def test_the_page_of_a_large_changeset_stays_light(arrive):
    stored = changeset(
        [update(number, "word " * 200, "word " * 100 + "other " + "word " * 99) for number in range(1, 121)]
    )
    person = arrive()

    person.visit(f"changeset/{stored.pk}/change/")

    assert person.page.get_by_role("article").count() == 50
    assert person.page.evaluate("document.querySelectorAll('*').length") < 10_000
    assert re.search("Next", person.page.locator(".ds-pager").inner_text())


def test_a_lost_network_puts_the_radio_back_and_offers_to_try_again(arrive):
    stored = changeset([update(1), update(2)])
    person = arrive()
    person.visit(f"changeset/{stored.pk}/change/")
    page, card = person.page, person.page.get_by_role("article", name="word-1")
    page.route("**/decide/", lambda route: route.abort("internetdisconnected"))

    card.get_by_label("Accept").click()

    expect(card.get_by_role("alert")).to_contain_text("The decision could not be saved.")
    expect(card.get_by_label("Undecided")).to_be_checked()
    page.unroute("**/decide/")
    card.get_by_role("button", name="Try again").click()
    expect(card.get_by_label("Accept")).to_be_checked()
    expect(card.get_by_role("alert")).to_have_count(0)
    expect(page.locator(".ds-bar")).to_contain_text("1 accepted")
    person.complaints = [text for text in person.complaints if "ERR_INTERNET_DISCONNECTED" not in text]


def test_forced_colours_keep_every_mark(arrive):
    stored = changeset([update(1, "Boots 2025", "Boots 2026"), delete(2)])
    person = arrive(forced_colors="active")
    person.visit(f"changeset/{stored.pk}/change/")

    for selector, decoration in ((".ds-diff del", "line-through"), (".ds-diff ins", "underline")):
        style = person.page.locator(selector).first.evaluate("e => getComputedStyle(e).textDecorationLine")
        assert style == decoration
    assert person.page.locator("#change-2").evaluate("e => getComputedStyle(e).borderTopStyle") == "solid"


def test_right_to_left_mirrors_the_sides(arrive, settings):
    settings.LANGUAGE_CODE = "ar"
    stored = changeset([update(1, "مرحبا بكم", "مرحبا بالعالم")])
    person = arrive()
    person.visit(f"changeset/{stored.pk}/change/")

    here, incoming = (person.page.locator(f".ds-diff td.ds-{name}").bounding_box() for name in ("removed", "added"))
    assert here["x"] > incoming["x"]
