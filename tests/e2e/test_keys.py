"""Reviewing by keyboard, ticking off, commenting and undoing, in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from data_sync.models import Comment, Viewing
from tests.admin import making
from tests.admin.making import changeset, conflict, create, delete, update

pytestmark = pytest.mark.django_db(transaction=True)


def card(person, number: int):
    return person.page.locator(f"#change-{number}")


def at_review(arrive, stored, query: str = "", **options):
    person = arrive(**options)
    person.visit(f"changeset/{stored.pk}/change/{query}")
    return person


def press(person, *keys: str) -> None:
    for key in keys:
        person.page.keyboard.press(key)


def test_10_j_j_a_accepts_the_second_card_and_goes_on_to_the_third(arrive):
    person = at_review(arrive, changeset([update(1), update(2), update(3)]))

    press(person, "j", "j", "a")

    expect(card(person, 2).get_by_label("Accept")).to_be_checked()
    expect(card(person, 3)).to_be_focused()
    expect(person.page.locator(".ds-bar")).to_contain_text("1 accepted · 0 rejected · 2 undecided")
    press(person, "k", "u", "r")
    expect(person.page.locator(".ds-bar")).to_contain_text("0 accepted · 1 rejected · 2 undecided")
    expect(card(person, 3).get_by_label("Reject")).to_be_checked()


def test_a_whole_page_is_decided_as_fast_as_keys_are_pressed(arrive):
    person = at_review(arrive, changeset([update(number) for number in range(1, 31)]))

    press(person, "j", *"a" * 30)

    expect(person.page.locator(".ds-bar")).to_contain_text("30 accepted · 0 rejected · 0 undecided")


def test_11_the_same_keys_type_letters_and_do_nothing_with_modifiers(arrive):
    stored = changeset([update(1), update(2)])
    person = at_review(arrive, stored)
    search = person.page.get_by_role("searchbox", name="Search key")

    search.press_sequentially("jar?")
    expect(search).to_have_value("jar?")
    card(person, 1).get_by_text("Comment", exact=True).click()
    card(person, 1).get_by_label("New comment").press_sequentially("a rut vov")
    expect(card(person, 1).get_by_label("New comment")).to_have_value("a rut vov")
    card(person, 1).focus()
    press(person, "Control+u", "Alt+r", "Shift+A")
    card(person, 2).get_by_label("Reject").check()

    expect(person.page.locator(".ds-bar")).to_contain_text("0 accepted · 1 rejected · 1 undecided")
    assert not Viewing.objects.exists()


def test_help_says_the_keys_and_switches_them_off_for_good(arrive):
    person = at_review(arrive, changeset([update(1), update(2)]))
    page = person.page

    press(person, "?")
    expect(page.get_by_role("dialog", name="Keys")).to_contain_text("accept, and go on")
    press(person, "j")  # Nothing moves behind it.
    page.get_by_label("Use these keys in this browser").uncheck()
    press(person, "Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    press(person, "j", "a")
    page.reload()
    press(person, "j", "a")
    expect(page.locator(".ds-bar")).to_contain_text("0 accepted")

    page.get_by_role("button", name="Keys").click()
    page.get_by_label("Use these keys in this browser").check()
    page.get_by_role("button", name="Close").click()
    card(person, 1).focus()
    press(person, "a")
    expect(page.locator(".ds-bar")).to_contain_text("1 accepted")


def test_a_conflict_that_was_not_looked_at_keeps_the_focus(arrive):
    person = at_review(arrive, changeset([conflict(1, "agreed"), update(2)]))

    press(person, "j", "a")

    expect(card(person, 1)).to_contain_text("is a conflict")
    expect(card(person, 1).get_by_role("checkbox")).to_be_focused()
    expect(card(person, 1).get_by_role("button", name="Try again")).to_have_count(0)
    person.complaints = [text for text in person.complaints if "400" not in text]
    press(person, "Space", "a")
    expect(person.page.locator(".ds-bar")).to_contain_text("1 accepted")
    expect(card(person, 2)).to_be_focused()


def test_beyond_the_last_card_lies_the_link_to_the_next_page(arrive):
    person = at_review(arrive, changeset([update(number) for number in range(1, 61)]))

    card(person, 50).focus()
    press(person, "j")
    expect(person.page.get_by_role("link", name="Next")).to_be_focused()
    press(person, "Enter")
    person.page.wait_for_url("**after=update-50")
    press(person, "j")

    expect(card(person, 51)).to_be_focused()


def test_v_ticks_a_card_off_for_this_person_alone(arrive):
    stored = changeset([update(1), update(2)])
    mira, tomas = at_review(arrive, stored), at_review(arrive, stored, name="tomas")

    press(mira, "j", "v")
    expect(card(mira, 1).get_by_role("button", name="Viewed")).to_have_attribute("aria-pressed", "true")
    expect(mira.page.locator("[data-ds-viewed]")).to_have_text("1")
    mira.page.get_by_label("Unviewed").check()
    mira.page.get_by_role("button", name="Filter").click()
    expect(mira.page.get_by_role("article")).to_have_count(1)
    assert "viewed=0" in mira.page.url

    tomas.page.reload()
    expect(card(tomas, 1).get_by_role("button", name="Viewed")).to_have_attribute("aria-pressed", "false")


def test_o_unfolds_a_card_and_folds_it_again(arrive):
    person = at_review(arrive, changeset([update(1, "one\n" * 60 + "two", "one\n" * 60 + "three")]))
    fold = card(person, 1).locator("details.ds-fold").first

    press(person, "j", "o")
    expect(fold).to_have_attribute("open", "")
    press(person, "o")
    expect(fold).not_to_have_attribute("open", "")


def test_a_comment_is_added_in_place_as_plain_text(arrive):
    person = at_review(arrive, changeset([update(1), delete(2)]), "?op=delete")

    card(person, 2).get_by_text("Comment", exact=True).click()
    card(person, 2).get_by_label("New comment").fill("<b>Who</b> uses this?\nAsk Tomas.")
    card(person, 2).get_by_role("button", name="Add comment").click()

    expect(card(person, 2).get_by_text("1 comment")).to_be_visible()
    expect(card(person, 2).locator("li .ds-text")).to_have_text("<b>Who</b> uses this?\nAsk Tomas.")
    expect(card(person, 2).get_by_label("New comment")).to_have_value("")
    assert Comment.objects.get().actor == "mira"
    shown = card(person, 2).locator(".ds-comments").inner_text()
    person.page.reload()
    card(person, 2).get_by_text("1 comment").click()
    assert card(person, 2).locator(".ds-comments").inner_text() == shown


def test_a_comment_outlives_a_session_that_has_ended(arrive):
    person = at_review(arrive, changeset([update(1)]))
    card(person, 1).get_by_text("Comment", exact=True).click()
    card(person, 1).get_by_label("New comment").fill("Ask Tomas.")
    person.page.context.clear_cookies(name="sessionid")

    card(person, 1).get_by_role("button", name="Add comment").click()

    expect(card(person, 1).get_by_role("alert")).to_contain_text("You are logged out")
    expect(card(person, 1).get_by_label("New comment")).to_have_value("Ask Tomas.")


def test_18_undo_gives_back_what_was_and_leaves_what_was_decided_since(arrive):
    stored = changeset([update(1), update(2), create(3)])
    person = at_review(arrive, stored)
    page, bar = person.page, person.page.locator(".ds-bar")
    card(person, 1).get_by_label("Reject").check()
    expect(bar).to_contain_text("1 rejected")

    page.get_by_role("button", name="Accept 2 undecided").click()
    expect(bar).to_contain_text("2 accepted · 1 rejected · 0 undecided")
    page.get_by_role("button", name="Undo: 2 accepted").click()

    expect(bar).to_contain_text("0 accepted · 1 rejected · 2 undecided")
    expect(page.get_by_text("2 changes are as they were before.")).to_be_visible()
    page.get_by_role("button", name="Accept 2 undecided").click()
    expect(page.get_by_role("button", name="Undo: 2 accepted")).to_be_visible()
    card(person, 2).get_by_label("Reject").check()
    expect(bar).to_contain_text("1 accepted · 2 rejected")
    page.get_by_role("button", name="Undo: 1 accepted").click()
    expect(bar).to_contain_text("0 accepted · 2 rejected · 1 undecided")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)


def test_23_all_of_it_but_the_keys_works_without_a_script(arrive):
    stored = changeset([update(1), update(2)])
    person = at_review(arrive, stored, java_script_enabled=False)
    page = person.page

    card(person, 1).get_by_role("button", name="Viewed").click()
    expect(card(person, 1).get_by_role("button", name="Viewed")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Accept 2 undecided").click()
    page.get_by_role("button", name="Undo: 2 accepted").click()
    expect(page.locator(".ds-bar")).to_contain_text("2 undecided")
    expect(page.get_by_role("button", name="Keys")).to_be_hidden()
    card(person, 2).get_by_text("Comment", exact=True).click()
    card(person, 2).get_by_label("New comment").fill("Seen.")
    card(person, 2).get_by_role("button", name="Add comment").click()
    expect(card(person, 2)).to_contain_text("1 comment")


def test_a_field_that_is_kept_is_saved_at_once_and_what_cannot_be_goes_back(arrive):
    stored = changeset(
        [
            making.change(
                1,
                model="testapp.article",
                before={"slug": "x", "title": "ours", "deleted": True},
                after={"slug": "x", "title": "theirs", "deleted": False},
            )
        ]
    )
    person = at_review(arrive, stored)
    boxes = card(person, 1).get_by_label("Keep as it is here")
    card(person, 1).get_by_label("Accept").check()

    boxes.first.check()
    expect(person.page.get_by_role("status")).to_contain_text("#1 saved")
    expect(boxes.first).to_be_checked()
    boxes.last.click()

    expect(card(person, 1)).to_contain_text("would keep everything as it is here. Reject it instead.")
    expect(boxes.last).not_to_be_checked()
    person.complaints = [text for text in person.complaints if "400" not in text]
    person.page.reload()
    expect(boxes.first).to_be_checked()
    expect(card(person, 1).get_by_label("Accept")).to_be_checked()
