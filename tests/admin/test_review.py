"""The review page over HTTP: what it shows, whom it obeys, and what it costs."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from data_sync.models import Change, Changeset, Event

from . import making
from .making import changeset, conflict, create, delete, rename, update

pytestmark = pytest.mark.django_db

REVIEWER = ("view_changeset", "approve_changeset")


@pytest.fixture
def reviewer(client: Client) -> Client:
    client.force_login(making.user("mira", *REVIEWER))
    return client


def review_url(stored: Changeset, query: str = "") -> str:
    return reverse("admin:data_sync_changeset_change", args=(stored.pk,)) + query


def decide_url(stored: Changeset) -> str:
    return reverse("admin:data_sync_changeset_decide", args=(stored.pk,))


def numbers(response: Any) -> list[int]:
    """The changes on a page, in their order."""
    return [int(number) for number in re.findall(r'<article [^>]*id="change-(\d+)"', response.content.decode())]


def text(response: Any) -> str:
    """A page's words, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


def decide_all(client: Client, stored: Changeset, decision: str, query: str = "") -> Any:
    """Presses the button for all that match, on the page as it is now."""
    page = client.get(review_url(stored, query)).content.decode()
    form = re.search(r'<form class="ds-bulk".*?</form>', page, re.DOTALL)
    assert form is not None
    given = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[0]))
    assert re.search(rf'value="{decision}">', form[0]), "there is no such button"
    return client.post(decide_url(stored), {**given, "decide": decision}, follow=True)


# What it shows


def test_deletes_come_before_updates_before_creates(reviewer):
    stored = changeset([create(1), update(2), update(3), delete(4)])

    assert numbers(reviewer.get(review_url(stored))) == [4, 2, 3, 1]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("?op=delete", [4]),
        ("?model=testapp.tag", [3]),
        ("?decision=accepted", [2]),
        ("?flag=cascades", [4]),
        ("?flag=problems", [1]),
        ("?q=WORD-2", [2]),
        ("?number=3", [3]),
        ("?op=nonsense&decision=x&flag=y&number=abc&after=z&before=9", [4, 2, 3, 1]),
        ("?q=absent", []),
    ],
)
def test_filters_live_in_the_url(reviewer, query, shown):
    problem = {"code": "x", "field": "y", "message": "It is too long."}
    cascade = {"model": "auth.group", "pk": "1", "label": "editors", "effect": "delete", "column": "x"}
    stored = changeset(
        [
            create(1, problems=[problem]),
            update(2, decision="accepted"),
            update(3, model="testapp.tag"),
            delete(4, cascades=[cascade]),
        ]
    )

    assert numbers(reviewer.get(review_url(stored, query))) == shown


def test_pages_of_fifty_lead_forwards_and_back_without_gap_or_overlap(reviewer):
    stored = changeset([*(create(n) for n in range(1, 81)), *(delete(n) for n in range(81, 131))])

    def follow(query: str, rel: str) -> tuple[list[int], str | None]:
        page = reviewer.get(review_url(stored, query))
        link = re.search(rf'href="(\?[^"]*)" rel="{rel}"', page.content.decode())
        return numbers(page), link and link[1].replace("&amp;", "&")

    first, to_second = follow("", "next")
    second, to_third = follow(to_second, "next")
    third, end = follow(to_third, "next")
    _, back = follow(to_third, "prev")

    assert [*first, *second, *third] == [*range(81, 131), *range(1, 81)]
    assert (len(first), len(second), end) == (50, 50, None)
    assert follow(back, "prev")[0] == second
    assert numbers(reviewer.get(review_url(stored, "?last=1"))) == [*range(31, 81)]


def test_problems_cascades_and_requirements_are_told(reviewer):
    cascade = {"model": "auth.group", "pk": "1", "label": "editors", "effect": "delete", "column": "x"}
    stored = changeset(
        [
            update(1, problems=[{"code": "too_long", "field": "meaning", "message": "It is too long here."}]),
            delete(2, cascades=[cascade], requires=[3]),
            delete(3, decision="rejected"),
        ]
    )

    shown = text(reviewer.get(review_url(stored)))

    assert "Cannot be applied: It is too long here." in shown
    assert "Also deletes 1 row of group editors" in shown
    assert "Needs #3 Deleted Term word-3 (rejected)" in shown


def test_what_a_source_sent_is_never_markup(reviewer):
    evil = "<script>alert(1)</script>"
    stored = changeset([update(1, evil, evil + "!", key=[evil]), create(2, evil)], source_name=evil, actor=evil)

    page = reviewer.get(review_url(stored)).content.decode()

    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(1)") > 4


def test_the_page_carries_no_inline_script_or_style(reviewer):
    stored = changeset([update(1), delete(2), create(3)])

    page = reviewer.get(review_url(stored)).content.decode()

    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)|<style|\sstyle=|\son[a-z]+=", page)


def test_a_changeset_of_models_that_are_gone_still_shows(reviewer):
    stored = changeset([update(1, model="gone.model")])

    page = reviewer.get(review_url(stored))

    assert page.status_code == 200 and "gone.model" in text(page)


def test_an_unknown_changeset_is_not_found(reviewer):
    assert reviewer.get(reverse("admin:data_sync_changeset_change", args=(999,))).status_code == 404


@pytest.mark.parametrize("state", ["applied", "rejected", "superseded", "stale", "applying", "reverted"])
def test_a_closed_changeset_is_read_only(reviewer, state):
    stored = changeset([update(1)], state=state)

    page = reviewer.get(review_url(stored))

    assert page.status_code == 200
    assert b'type="radio"' not in page.content


def test_who_may_only_look_gets_no_buttons(client):
    client.force_login(making.user("guest", "view_changeset"))

    page = client.get(review_url(changeset([update(1)]))).content

    assert b'type="radio"' not in page and b"Accept all" not in page and b"Review &amp; apply" not in page


@pytest.mark.parametrize("name", ["change", "confirm", "result", "history", "status"])
def test_pages_are_for_those_who_may_view_changesets(client, name):
    stored = changeset([update(1)])
    url = reverse(f"admin:data_sync_changeset_{name}", args=(stored.pk,))

    assert client.get(url).status_code == 302
    client.force_login(making.user("other", "view_datasource"))
    assert client.get(url).status_code == 403


def test_fields_that_travel_along_are_not_called_unchanged(reviewer):
    carried = {"before": {"updated": "1"}, "after": {"updated": "2"}}

    shown = text(reviewer.get(review_url(changeset([create(1, carried=carried)]))))

    assert "1 field written along, not compared" in shown and "unchanged" not in shown


# Deciding


def test_a_decision_is_stored_and_leads_back_to_its_card(reviewer):
    stored = changeset([update(1), update(2)])

    answer = reviewer.post(
        decide_url(stored),
        {"number": "2", "decide": "accepted", "revision": "0", "query": "op=update&after=update-1"},
    )

    assert answer.status_code == 302
    assert answer.url == review_url(stored, "?op=update&after=update-1#change-2")
    assert list(stored.changes.values_list("number", "decision")) == [(1, "undecided"), (2, "accepted")]


def test_a_script_gets_the_new_counts(reviewer):
    stored = changeset([update(1), create(2)])

    answer = reviewer.post(
        decide_url(stored),
        {"number": "2", "decide": "rejected", "revision": "0"},
        headers={"Accept": "application/json"},
    )

    assert answer.json() == {
        "revision": 1,
        "decisions": {"undecided": 1, "accepted": 0, "rejected": 1},
        "undecided": {"": 1, "testapp.term": 1, "testapp.term create": 0, "testapp.term update": 1},
        "bulk": {"accepted": "Accept 1 undecided", "rejected": "Reject 1 undecided", "undecided": "", "left_out": ""},
        "expect": {"accepted": 1, "rejected": 1},
        "undo": "",
    }


def test_a_decision_on_an_older_revision_changes_nothing_and_says_so(reviewer):
    stored = changeset([update(1)], revision=3)
    given = {"number": "1", "decide": "accepted", "revision": "2", "query": "op=update"}

    page = reviewer.post(decide_url(stored), given)
    answer = reviewer.post(decide_url(stored), given, headers={"Accept": "application/json"})

    assert (page.status_code, answer.status_code) == (409, 409)
    words = "This changeset was decided on elsewhere, by another person or in another tab. Nothing was changed."
    assert text(page).count(words) == 1 and answer.json() == {"error": words, "remedy": "reload"}
    assert review_url(stored, "?op=update") in page.content.decode()
    assert stored.changes.get().decision == "undecided"


def test_accepting_all_says_the_number_and_leaves_deletes_out(reviewer):
    problem = {"code": "x", "field": "y", "message": "No."}
    stored = changeset([update(1), create(2), delete(3), update(4, problems=[problem])])

    page = reviewer.get(review_url(stored))
    answer = decide_all(reviewer, stored, "accepted")

    assert "Accept 2 undecided" in text(page) and "Reject 4 undecided" in text(page)
    assert "2 changes accepted. 1 delete was left out" in text(answer)
    assert "1 change that cannot be applied was left out." in text(answer)
    assert dict(stored.changes.values_list("number", "decision")) == {
        1: "accepted",
        2: "accepted",
        3: "undecided",
        4: "undecided",
    }


def test_accepting_all_says_beforehand_and_afterwards_how_many_renames_it_leaves_out(reviewer):
    stored = changeset([update(1), rename(2), rename(3), delete(4)])

    page = reviewer.get(review_url(stored))
    answer = decide_all(reviewer, stored, "accepted")

    assert "Accept 1 undecided" in text(page)
    words = "1 delete (show the deletes to accept it); 2 renames (show the renames to accept them)"
    assert f"Accepting leaves out: {words}" in text(page)
    assert "2 renames were left out: filter on renames to decide on them." in text(answer)
    assert "Accept 2 undecided" in text(reviewer.get(review_url(stored, "?op=rename")))
    decide_all(reviewer, stored, "accepted", "?op=rename")
    assert list(stored.changes.order_by("number").values_list("decision", flat=True)) == ["accepted"] * 3 + [
        "undecided"
    ]


def test_deletes_are_accepted_where_they_are_what_is_filtered(reviewer):
    stored = changeset([update(1), delete(2), delete(3)])

    page = reviewer.get(review_url(stored, "?op=delete"))
    decide_all(reviewer, stored, "accepted", "?op=delete")

    assert "Accept 2 undecided" in text(page)
    assert dict(stored.changes.values_list("number", "decision")) == {1: "undecided", 2: "accepted", 3: "accepted"}


def test_deciding_on_all_leaves_single_decisions_alone_unless_they_are_what_is_filtered(reviewer):
    stored = changeset([update(1, decision="rejected"), update(2, decision="accepted"), update(3)])

    page, rejected = reviewer.get(review_url(stored)), reviewer.get(review_url(stored, "?decision=rejected"))
    answer = decide_all(reviewer, stored, "accepted")
    left = dict(stored.changes.values_list("number", "decision"))
    decide_all(reviewer, stored, "accepted", "?decision=rejected")

    assert "Accept 1 undecided" in text(page) and "Reject 1 undecided" in text(page)
    assert "Accept 1 rejected" in text(rejected) and "Reject 1 rejected" not in text(rejected)
    assert "1 change accepted. 2 changes were left as they had been decided." in text(answer)
    assert left == {1: "rejected", 2: "accepted", 3: "accepted"}
    assert set(stored.changes.values_list("decision", flat=True)) == {"accepted"}


def test_a_script_that_may_not_decide_is_told_so(client):
    client.force_login(making.user("guest", "view_changeset"))

    answer = client.post(
        decide_url(changeset([update(1)])),
        {"number": "1", "decide": "accepted", "revision": "0"},
        headers={"Accept": "application/json"},
    )

    assert answer.status_code == 403 and "approve_changeset" in answer.json()["error"]


def test_rejecting_all_keeps_to_the_filter(reviewer):
    stored = changeset([update(1), update(2, model="testapp.tag")])

    decide_all(reviewer, stored, "rejected", "?model=testapp.tag")

    assert dict(stored.changes.values_list("number", "decision")) == {1: "undecided", 2: "rejected"}


def test_deciding_needs_its_permission(client):
    stored = changeset([update(1)])
    client.force_login(making.user("guest", "view_changeset"))

    answer = client.post(decide_url(stored), {"number": "1", "decide": "accepted", "revision": "0"})

    assert answer.status_code == 403
    assert stored.changes.get().decision == "undecided"


@pytest.mark.parametrize(
    "given",
    [
        {"number": ""},
        {"number": "1,004"},
        {"number": "x"},
        {"number": "1", "decide": "maybe"},
        {"number": "1", "revision": "x"},
        {"number": "1", "rename_choice": "both"},
        {"expect_accepted": ""},
        {"expect_accepted": "3", "op": "deletes"},
        {"expect_accepted": "3", "flag": "left-scope"},
        {"expect_accepted": "3", "decision": "maybe"},
        {"expect_rejected": "3"},
    ],
)
def test_a_form_that_is_not_understood_decides_nothing(reviewer, given):
    stored = changeset([update(1), update(2), delete(3)])
    given = {"decide": "accepted", "revision": "0", **given}

    page = reviewer.post(decide_url(stored), given)
    answer = reviewer.post(decide_url(stored), given, headers={"Accept": "application/json"})

    assert (page.status_code, answer.status_code) == (400, 400)
    assert "It is not clear what the form was about" in text(page) and answer.json()["remedy"] == "reload"
    assert set(stored.changes.values_list("decision", flat=True)) == {"undecided"}


def test_a_form_for_all_cannot_say_that_something_was_seen(reviewer):
    stored = changeset([update(1), conflict(2)])
    given = {"decide": "accepted", "revision": "0", "expect_accepted": "1", "acknowledge": "1", "seen": "x"}

    reviewer.post(decide_url(stored), given)

    assert list(stored.changes.order_by("number").values_list("decision", flat=True)) == ["accepted", "undecided"]


def test_a_form_for_all_is_refused_where_it_is_about_another_number_by_now(reviewer):
    """What somebody has ticked off since raises no revision."""
    stored = changeset([update(1), update(2)])
    given = {"decide": "accepted", "revision": "0", "viewed": "0", "expect_accepted": "2"}
    viewed_url = reverse("admin:data_sync_changeset_viewed", args=(stored.pk,))
    reviewer.post(viewed_url, {"number": "1", "viewed": "1"})

    assert reviewer.post(decide_url(stored), given).status_code == 409
    assert set(stored.changes.values_list("decision", flat=True)) == {"undecided"}


def test_a_number_that_there_is_not_is_told(reviewer):
    stored = changeset([update(1)])
    given = {"number": "77", "decide": "accepted", "revision": "0"}

    answer = reviewer.post(decide_url(stored), given, headers={"Accept": "application/json"})

    assert (answer.status_code, answer.json()["remedy"]) == (400, "none")
    assert f"Changeset {stored.pk} has no change 77" in answer.json()["error"]
    stored.refresh_from_db()
    assert stored.revision == 0


def test_grouped_digits_are_for_reading_only(reviewer, settings):
    settings.USE_THOUSAND_SEPARATOR = True
    stored = changeset([update(1), update(1004), conflict(1005)], compared=12_345)
    page = reviewer.get(review_url(stored)).content.decode()

    form = re.search(r'<form class="ds-decision" id="form-1004".*?</form>', page, re.DOTALL)
    assert form is not None
    given = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[0]))
    reviewer.post(decide_url(stored), {**given, "decide": "rejected"})

    assert list(stored.changes.filter(decision="rejected").values_list("number", flat=True)) == [1004]
    assert not re.search(r'(?:href|id|value|data-[\w-]+|action)="[^"]*\d,\d{3}', page)


@pytest.mark.parametrize(
    ("query", "accept", "reject", "left_out"),
    [
        ("?op=update", "Accept 1 undecided", "Reject 2 undecided", "1 change that needs a rejected one"),
        ("?op=create", "Accept 1 undecided", "Reject 1 undecided", "1 change that accepted ones need"),
        ("?decision=accepted", "", "Reject 1 accepted", ""),
    ],
)
def test_buttons_for_all_say_what_requirements_leave_of_it(reviewer, query, accept, reject, left_out):
    stored = changeset(
        [
            create(1, decision="rejected"),
            update(2, requires=[1]),
            update(3),
            create(4),
            delete(5, decision="accepted", requires=[4]),
            create(6, problems=[{"code": "x", "field": "y", "message": "No."}]),
        ]
    )

    page = reviewer.get(review_url(stored, query))

    buttons = re.findall(r'name="decide" value="\w+">([^<]+)</button>', page.content.decode())
    assert [words for words in (accept, reject) if words] == [words for words in buttons if "Set" not in words]
    assert left_out in text(page)
    for decision, words in (("accepted", accept), ("rejected", reject)):
        if words:
            answer = decide_all(reviewer, stored, decision, query)
            number = words.split()[1]
            assert f"{number} change" in text(answer) and f"Undo: {number} {decision}" in text(answer)
            reviewer.post(
                reverse("admin:data_sync_changeset_undo", args=(stored.pk,)),
                {"revision": str(Changeset.objects.get().revision)},
            )


def test_what_is_decided_can_be_set_to_undecided_at_once(reviewer):
    stored = changeset([update(1, decision="accepted"), update(2, decision="accepted"), update(3)])

    assert "Set 2 to undecided" in text(reviewer.get(review_url(stored, "?decision=accepted")))
    decide_all(reviewer, stored, "undecided", "?decision=accepted")

    assert set(stored.changes.values_list("decision", flat=True)) == {"undecided"}


def test_a_decision_cannot_lead_to_another_site(reviewer):
    stored = changeset([update(1)])

    answer = reviewer.post(
        decide_url(stored),
        {"number": "1", "decide": "accepted", "revision": "0", "query": "//evil.example/"},
    )

    assert answer.url == review_url(stored, "?//evil.example/#change-1")


def test_deciding_takes_a_token_and_a_post(reviewer):
    stored = changeset([update(1)])
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(making.user("tomas", *REVIEWER))

    answer = strict.post(decide_url(stored), {"number": "1", "decide": "accepted", "revision": "0"})

    assert answer.status_code == 403
    assert reviewer.get(decide_url(stored)).url == review_url(stored)
    assert reviewer.put(decide_url(stored)).status_code == 405


def test_looking_changes_nothing(client, django_assert_max_num_queries):
    client.force_login(making.user("admin", "*"))
    stored = changeset([update(1), delete(2)])
    before = list(Change.objects.values()), list(Changeset.objects.values()), Event.objects.count()

    for name in ("change", "confirm", "result", "history", "reject", "status"):
        answer = client.get(reverse(f"admin:data_sync_changeset_{name}", args=(stored.pk,)))
        assert answer.status_code == 200 and answer.getvalue()

    assert (list(Change.objects.values()), list(Changeset.objects.values()), Event.objects.count()) == before


# What it costs


def queries_of(client: Client, stored: Changeset, query: str = "") -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        assert client.get(review_url(stored, query)).status_code == 200
    return len([entry for entry in captured if "data_sync" in entry["sql"] and "auth_permission" not in entry["sql"]])


@pytest.mark.parametrize("query", ["", "?q=word", "?op=create", "?last=1"])
def test_16_ten_cards_cost_as_many_queries_as_fifty(reviewer, query):
    def of(size: int) -> Changeset:
        return changeset([create(1), *(create(n, requires=[1]) for n in range(2, size + 1))])

    few, many = queries_of(reviewer, of(10), query), queries_of(reviewer, of(120), query)

    assert few == many <= 8


def test_a_page_of_fifty_cards_weighs_less_than_200_kilobytes(reviewer):
    stored = changeset(
        [
            update(number, "word " * 40 + "old", "word " * 40 + "new", requires=[number - 1] if number > 1 else [])
            for number in range(1, 61)
        ]
    )

    page = reviewer.get(review_url(stored))

    assert len(numbers(page)) == 50
    assert len(page.content) < 200_000


def test_the_list_of_changesets_costs_five_queries(client, django_assert_max_num_queries):
    client.force_login(making.user("admin", "*"))
    for number in range(1, 21):
        changeset([update(number)])
    url = reverse("admin:data_sync_changeset_changelist")
    client.get(url)

    with django_assert_max_num_queries(5 + 2):  # session and user
        page = client.get(url)

    assert "+0 Added ~1 Changed −0 Deleted" in text(page).replace("+ 0", "+0").replace("~ 1", "~1").replace("− 0", "−0")


def test_changesets_cannot_be_added_deleted_or_changed_in_bulk(client):
    client.force_login(making.user("admin", "*"))
    stored = changeset([update(1)])
    base = reverse("admin:data_sync_changeset_changelist")

    assert client.get(base + "add/").status_code in (403, 404)
    assert client.post(f"{base}{stored.pk}/delete/", {"post": "yes"}).status_code in (403, 404)
    assert b"delete_selected" not in client.get(base).content


def test_permissions_by_group_count(client):
    from django.contrib.auth.models import Group

    person = making.user("grouped")
    group = Group.objects.create(name="reviewers")
    group.permissions.set(Permission.objects.filter(codename__in=REVIEWER))
    person.groups.add(group)
    client.force_login(person)
    stored = changeset([update(1)])

    client.post(decide_url(stored), {"number": "1", "decide": "accepted", "revision": "0"})

    assert stored.changes.get().decision == "accepted"


def hostile_texts() -> dict[str, tuple[str, str]]:
    size = 100_000
    return {
        "words": (" ".join(f"a{n} b" for n in range(size // 8)), " ".join(f"c{n} b" for n in range(size // 8))),
        "letters": ("ab" * (size // 2), "ba" * (size // 2)),
        "lines": ("x\n" * (size // 2), "x\ny\n" * (size // 4)),
        "invisible": ("\u200b\u200d" * (size // 2), "\u200d\u200b" * (size // 2)),
        "marks": ("e" + "\u0301" * size, "e" + "\u0302" * size),
        "spaces": (" " * size, " \t" * (size // 2)),
    }


@pytest.mark.parametrize("kind", list(hostile_texts()))
def test_a_hostile_field_does_not_take_the_page_down(reviewer, kind):
    stored = changeset([update(number, *hostile_texts()[kind]) for number in range(1, 6)])
    page = reviewer.get(review_url(stored))
    assert page.status_code == 200
    assert page.content.count(b"<span") + page.content.count(b"<del>") < 20_000


def test_fifty_hostile_changes_make_a_page_that_says_what_it_leaves_out(reviewer):
    stored = changeset(making.hostile_changes())

    page = reviewer.get(review_url(stored))

    assert len(numbers(page)) == 50
    assert len(page.content) < 1_500_000  # 22 megabytes of values
    assert page.content.count(b"<") < 20_000  # start and end tags
    assert "4960 more places in Json differ, not on this page" in text(page)
    assert "Too large for this page: a part of it is not shown. Show this change alone" in text(page)


def test_a_change_alone_has_room_for_much_and_then_names_the_export(reviewer):
    stored = changeset(making.hostile_changes())

    long_text, wide = (text(reviewer.get(review_url(stored, f"?number={number}"))) for number in (50, 1))

    assert long_text.count("界") == 33_000
    assert "not on this page" not in long_text
    assert "3500 more places in Json differ" in wide
    assert "The exported JSON has all of it." in wide


# What else a page says


def test_words_of_a_key_are_found_in_any_order_and_by_the_key_before_a_rename(reviewer):
    stored = changeset([create(1), making.create(2, key=["GR", "el", "home"]), rename(3, 'straße "7"', "new")])

    def found(words: str) -> list[int]:
        return numbers(reviewer.get(review_url(stored), {"q": words}))

    assert found("el GR") == [2]
    assert found("el FR") == []
    assert found('Straße "7') == [3] and found("new") == [3]
    assert found("\x00") == [3, 1, 2]
    assert "Only keys are searched, not values." in text(reviewer.get(review_url(stored, "?q=nothing")))


@pytest.mark.parametrize("query", ["?op=foo", "?flag=bar", "?decision=x", "?viewed=2", "?number=1,004"])
def test_an_address_that_is_not_understood_says_so_and_offers_nothing_for_all(reviewer, query):
    stored = changeset([create(1), update(2)])

    page = reviewer.get(review_url(stored, query))

    assert numbers(page) == [2, 1]
    assert "The address asks for something that there is not" in text(page)
    assert 'class="ds-bulk"' not in page.content.decode()


@pytest.mark.parametrize(("state", "heading"), [("pending", "Here now"), ("applied", "Before"), ("rejected", "Before")])
def test_what_is_here_is_said_only_as_long_as_it_is_looked_at(reviewer, state, heading):
    stored = changeset([update(1)], state=state)

    page = text(reviewer.get(review_url(stored)))

    assert f"Field {heading} Incoming" in page


def test_a_decision_that_was_carried_over_says_from_where(reviewer):
    stored = changeset([update(1, decision="accepted", carried_from=41)])

    assert "The decision (accepted) was carried over from changeset 41." in text(reviewer.get(review_url(stored)))
    reviewer.post(decide_url(stored), {"number": "1", "decide": "accepted", "revision": "0"})
    assert "carried over" not in text(reviewer.get(review_url(stored)))


def test_what_cannot_be_seen_in_a_key_shows_as_its_code_point(reviewer):
    before, after = {"word": "a", "tags": [["x"]]}, {"word": "a", "tags": [["x\u200b"]]}
    stored = changeset(
        [
            making.change(1, model="testapp.product", before=before, after=after),
            create(2, key=["abc\u202ecba"]),
            delete(
                3, cascades=[{"model": "auth.group", "pk": "1", "label": "g\u200b", "effect": "delete", "column": ""}]
            ),
        ]
    )

    page = reviewer.get(review_url(stored)).content.decode()

    assert page.count(">U+200B</span>") == 2 and page.count(">U+202E</span>") >= 1
    assert "\u202e" not in page and "\u200b" not in page


def test_a_change_that_needs_thousands_names_some_and_counts_the_others(reviewer):
    needs = list(range(2, 1_003))
    stored = changeset([delete(1, requires=needs), *(delete(number) for number in needs)])

    page = reviewer.get(review_url(stored, "?number=1"))

    assert "and 998 more" in text(page) and "and 901 more" in text(page)
    assert page.content.count(b"#change-") < 120


def test_large_files_are_told_at_the_head(reviewer):
    stored = changeset([update(1)])
    Changeset.objects.update(summary=[{**stored.summary[0], "large_files": 1}])

    page = reviewer.get(review_url(stored))

    assert "1 file over 5 MB" in text(page) and "?flag=files" in page.content.decode()


def test_one_change_alone_is_no_entry_of_the_navigation(reviewer):
    stored = changeset([update(1), update(2)])

    def navigation(query: str) -> str:
        page = reviewer.get(review_url(stored, query)).content.decode()
        return page.partition('<nav class="ds-nav"')[2].partition("</nav>")[0]

    assert 'aria-current="page"' not in navigation("?number=1")
    assert 'aria-current="page"' in navigation("")


# Comments


def test_a_script_gets_what_to_show_of_a_comment_and_sends_it_once(reviewer):
    stored = changeset([update(1)])
    comment_url = reverse("admin:data_sync_changeset_comment", args=(stored.pk,))
    given, as_json = {"number": "1", "comment": "<b>Why?</b>"}, {"Accept": "application/json"}

    first, second = (reviewer.post(comment_url, given, headers=as_json).json() for _ in range(2))
    empty = reviewer.post(comment_url, {"number": "1", "comment": " "}, headers=as_json)

    assert first == second and (first["text"], first["summary"]) == ("<b>Why?</b>", "1 comment")
    assert first["head"].startswith("mira · ")
    assert (empty.status_code, empty.json()["remedy"]) == (400, "none") and "empty" in empty.json()["error"]
    assert "The comment is added." in text(reviewer.post(comment_url, given | {"comment": "Oh."}, follow=True))


def test_the_latest_comments_show_and_the_others_are_counted(reviewer):
    stored = changeset([update(1)])
    comment_url = reverse("admin:data_sync_changeset_comment", args=(stored.pk,))
    for number in range(25):
        reviewer.post(comment_url, {"number": "1", "comment": f"remark {number}."})

    page = text(reviewer.get(review_url(stored)))

    assert "25 comments" in page and "5 earlier comments are in the history." in page
    assert "remark 4." not in page and "remark 5." in page and "remark 24." in page


def test_who_arrives_at_the_address_of_a_form_is_told_that_nothing_was_done(reviewer):
    """As after logging in again: what was sent is lost."""
    stored = changeset([update(1)])

    page = reviewer.get(decide_url(stored), follow=True)

    assert page.redirect_chain and "Nothing was done: what was sent did not arrive." in text(page)


# The list


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("operation=create", [1, 3]),
        ("operation=delete", [2]),
        ("operation=rename", []),
        ("risk=conflicts", [3]),
        ("risk=deletes", [2]),
        ("risk=guards", [4]),
        ("risk=differences", [5]),
        ("risk=nothing&operation=nothing", [5, 4, 3, 2, 1]),
    ],
)
def test_changesets_are_found_by_what_they_do_and_what_they_risk(client, query, shown):
    client.force_login(making.user("admin", "*"))
    stored = [
        changeset([create(1)]),
        changeset([delete(2)]),
        changeset([create(3), making.conflict(4, "agreed")]),
        changeset([update(5)], state="blocked", guards=[{"code": "empty_side", "message": "Empty."}]),
        changeset([update(6)], omitted={"testapp.term": ["colour"]}),
    ]

    page = client.get(reverse("admin:data_sync_changeset_changelist") + f"?{query}")

    found = [stored.index(row) + 1 for row in page.context["cl"].result_list]
    assert found == sorted(shown, reverse=True)


# On paper


def test_the_print_page_has_everything_unfolded_and_nothing_to_press(reviewer):
    text_of_many_lines = "line\n" * 60
    stored = changeset([update(1, f"{text_of_many_lines}a", f"{text_of_many_lines}b", decision="accepted"), create(2)])
    reviewer.post(
        reverse("admin:data_sync_changeset_comment", args=(stored.pk,)), {"number": "1", "comment": "<b>Why?</b>"}
    )

    page = reviewer.get(reverse("admin:data_sync_changeset_print", args=(stored.pk,)) + "?op=update")

    assert numbers(page) == [1]
    shown = page.content.decode().partition('class="ds-root"')[2]
    assert "<details open" in shown and "<details class" not in shown
    assert not re.search(r"<(button|input|select|textarea|form)", shown.partition("</main>")[0])
    assert (
        "✓ accepted" in text(page)
        and "&lt;b&gt;Why?&lt;/b&gt;" in shown
        and "1 change · filtered: op update" in text(page)
    )
    assert (
        reverse("admin:data_sync_changeset_print", args=(stored.pk,)) + "?op=update"
        in reviewer.get(review_url(stored, "?op=update")).content.decode()
    )


def test_paper_takes_many_changes_at_a_time(reviewer, monkeypatch):
    monkeypatch.setattr("data_sync.admin.review.PRINTED", 60)
    stored = changeset([create(number) for number in range(1, 100)])
    url = reverse("admin:data_sync_changeset_print", args=(stored.pk,))

    first, second = reviewer.get(url), reviewer.get(url + "?after=create-60")

    assert (len(numbers(first)), numbers(second)) == (60, list(range(61, 100)))
    assert 'rel="next"' in first.content.decode()
