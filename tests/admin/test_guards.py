"""What holds a changeset back is said with its figures wherever the changeset is; limits are set on the source."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse
from django.utils.html import strip_tags

from data_sync.models import Changeset, Event
from data_sync.services import actors, approval, limits
from data_sync.services.guards import Limit, Limits, Rows, guards_of
from tests.admin import making

pytestmark = pytest.mark.django_db

TERM = "testapp.term"
ROWS = [
    Rows(label=TERM, here=800, there=388, deletes=412),
    Rows(label="testapp.tag", here=5000, there=3000, deletes=2000),
    Rows(label="testapp.page", here=3, there=0, deletes=3),
    Rows(label="testapp.comment", along=1),
]
GUARDS = guards_of(ROWS, Limits(default=Limit(rows=1000, percent=50)))
WORDS = [
    "412 of 800 rows of Term (51 %) would be deleted; the limit is 50 %.",
    "2000 rows of Tag would be deleted; the limit is 1000.",
    "The source has no row of Page, and here there are 3: 3 would be deleted.",
    "1 row of Comment, about which the source says nothing, would be deleted along with others.",
]
REASON = "The <b>list</b> is shorter now."


def url(name: str, row: Any) -> str:
    return reverse(f"admin:data_sync_{row._meta.model_name}_{name}", args=[row.pk])


def text(answer: Any) -> str:
    return " ".join(strip_tags(answer.content.decode().replace("<", " <")).split())


@pytest.fixture
def blocked() -> Changeset:
    return making.changeset([making.delete(1)], state="blocked", guards=GUARDS)


def test_each_guard_stands_in_words_with_its_figures_on_every_page(admin_client: Any, blocked: Changeset) -> None:
    for name in ("change", "override", "print"):
        shown = text(admin_client.get(url(name, blocked)))
        assert [words for words in WORDS if words not in shown] == [], name
        assert "see that the source is the right one" in shown, "what to do"
    listed = admin_client.get(reverse("admin:data_sync_changeset_changelist")).content.decode()
    assert "4 guards" in listed and WORDS[0] in listed


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (Rows(label=TERM, here=1, there=0, deletes=1), "here there is 1: it would be deleted."),
        (Rows(label=TERM, here=1000, there=499, deletes=501), "501 of 1000 rows of Term (over 50 %)"),
    ],
)
def test_one_row_and_a_little_over_the_limit_are_said_right(admin_client: Any, rows: Rows, words: str) -> None:
    guards = guards_of([rows], Limits(default=Limit(rows=1000, percent=50)))
    stored = making.changeset([making.delete(1)], state="blocked", guards=guards)
    assert words in text(admin_client.get(url("change", stored)))


def test_who_overrode_what_and_why_stays_on_the_pages(admin_client: Any, blocked: Changeset) -> None:
    answer = admin_client.post(url("override", blocked), {"reason": REASON, "revision": "0"})
    assert answer.url == url("change", blocked)
    for name in ("change", "confirm", "print", "history"):
        page = admin_client.get(url(name, blocked))
        shown = text(page)
        assert [words for words in WORDS if words not in shown] == [], name
        assert "The &lt;b&gt;list&lt;/b&gt; is shorter now." in page.content.decode(), name
    assert "Let through its guards by admin ·" in text(admin_client.get(url("change", blocked)))
    again = admin_client.get(url("override", blocked), follow=True)
    assert "is pending: no guard holds it" in text(again)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"reason": "", "revision": "0"}, "This field is required"),
        ({"reason": "\u200b", "revision": "0"}, "Say why"),
        ({"reason": "a\x1bb", "revision": "0"}, "U+001B"),
        ({"reason": "x" * 2001, "revision": "0"}, "at most 2000 characters"),
        ({"reason": "Fine."}, "Please correct the error"),
        ({"reason": "Fine.", "revision": "7"}, "decided on meanwhile"),
    ],
)
def test_an_override_that_says_too_little_is_none(
    admin_client: Any, blocked: Changeset, given: dict[str, str], words: str
) -> None:
    answer = admin_client.post(url("override", blocked), given)
    blocked.refresh_from_db()
    assert words in text(answer) and blocked.state == "blocked"
    assert not blocked.events.exists()


COMMENT = "testapp.comment"
ALONG = guards_of([Rows(label=COMMENT, along=1)], Limits(default=Limit(rows=1000, percent=50)))


def taken(model: str = COMMENT, effect: str = "delete") -> dict[str, Any]:
    return {"cascades": [{"model": model, "pk": "1", "label": "a <b>comment</b>", "effect": effect}]}


def test_the_deletes_that_the_guard_is_about_are_named_and_linked(admin_client: Any) -> None:
    changes = [
        making.delete(1),
        making.delete(2, **taken()),
        making.delete(3, **taken("testapp.tag")),
        making.delete(4, **taken(effect="null")),
        making.delete(5, **taken(), problems=[{"code": "protected", "message": "No."}]),
        making.rename(6, **taken()),
    ]
    stored = making.changeset(changes, state="blocked", guards=ALONG)
    page = admin_client.get(url("override", stored))
    assert [change.number for change, _, _ in page.context["takers"].rows] == [2]
    assert "#2 Term word-2 Also deletes 1 row of comment a &lt;b&gt;comment" in text(page)
    assert f'href="{url("change", stored)}?number=2#change-2"' in page.content.decode()
    assert "Show all deletes" not in text(page)


def test_five_are_named_and_the_rest_is_a_click_away(admin_client: Any) -> None:
    stored = making.changeset([making.delete(n, **taken()) for n in range(1, 7)], state="blocked", guards=ALONG)
    page = admin_client.get(url("override", stored)).content.decode()
    assert "?number=5#" in page and "?number=6#" not in page
    rest = url("change", stored) + "?op=delete&flag=cascades"
    assert rest.replace("&", "&amp;") in page
    assert len(admin_client.get(rest).context["cards"]) == 6


def test_who_may_not_see_the_changes_is_not_told_which_they_are(client: Any) -> None:
    stored = making.changeset([making.delete(1, **taken())], state="blocked", guards=ALONG)
    client.force_login(making.user("ada", "override_changeset_guard"))
    page = text(client.get(url("override", stored)))
    assert "1 row of Comment, about which the source says nothing" in page and "word-1" not in page


def test_an_override_says_that_it_was_done(admin_client: Any, blocked: Changeset) -> None:
    page = admin_client.post(url("override", blocked), {"reason": REASON, "revision": "0"}, follow=True)
    assert f"Changeset {blocked.pk} is let through its guards" in text(page)


def test_the_page_of_a_pull_says_that_its_changeset_is_blocked(admin_client: Any) -> None:
    stored = making.changeset([making.delete(1)], state="blocked", guards=GUARDS, pull=making.pull())
    page = admin_client.get(reverse("admin:data_sync_datapull_change", args=[stored.pull_id]))
    assert "Blocked: this changeset cannot be approved as it is." in text(page)
    assert "ds-banner-good" not in page.content.decode() and url("change", stored) in page.content.decode()


def test_an_override_needs_the_permission_and_csrf(client: Any, blocked: Changeset) -> None:
    from django.test import Client

    everything_else = ("view_changeset", "approve_changeset", "apply_changeset", "change_datasource")
    given = {"reason": "Fine.", "revision": "0"}
    client.force_login(making.user("ada", *everything_else))
    page = client.get(url("change", blocked))
    assert "Someone who may override guards" in text(page) and url("override", blocked) not in page.content.decode()
    assert client.get(url("override", blocked)).status_code == 403
    assert client.post(url("override", blocked), given).status_code == 403
    forging = Client(enforce_csrf_checks=True)
    forging.force_login(making.user("mira", "*"))
    assert forging.post(url("override", blocked), given).status_code == 403
    blocked.refresh_from_db()
    assert blocked.state == "blocked"


# Limits


def test_limits_are_set_on_a_page_of_the_source(admin_client: Any) -> None:
    source = making.source()
    page = admin_client.get(url("limits", source)).content.decode()
    assert 'placeholder="1000"' in page and 'placeholder="50"' in page
    given = {"rows:": "200", "percent:": "", f"rows:{TERM}": "0", f"percent:{TERM}": "5"}
    given |= making.seen(admin_client, url("limits", source))
    assert admin_client.post(url("limits", source), given).url == url("change", source)
    assert limits.limits_of(source).of(TERM) == Limit(rows=0, percent=5)
    assert limits.limits_of(source).default == Limit(rows=200, percent=50)
    assert "Term 0 5 Any other model 200 50" in text(admin_client.get(url("change", source)))
    event = Event.objects.get(chain=f"source:{source.pk}")
    assert (event.action, event.actor) == ("limits_changed", "admin")
    seen = making.seen(admin_client, url("limits", source))
    assert admin_client.post(url("limits", source), seen).url == url("change", source)
    assert limits.limits_of(source) == Limits(default=Limit(rows=1000, percent=50))


@pytest.mark.parametrize("given", [{"rows:": "-1"}, {"percent:": "101"}, {"rows:": "many"}, {"rows:": "2147483648"}])
def test_limits_that_say_nothing_are_refused_on_the_page(admin_client: Any, given: dict[str, str]) -> None:
    source = making.source()
    answer = admin_client.post(url("limits", source), given | making.seen(admin_client, url("limits", source)))
    assert "Please correct the error" in text(answer)
    assert not Event.objects.exists()


def test_limits_need_the_permission_to_change_the_source(client: Any) -> None:
    source = making.source()
    client.force_login(making.user("ada", "view_datasource", "pull_datasource", "override_changeset_guard"))
    page = client.get(url("change", source))
    assert "Any model 1000 50" in text(page) and url("limits", source) not in page.content.decode()
    assert client.get(url("limits", source)).status_code == 403
    assert client.post(url("limits", source), {"rows:": "9"}).status_code == 403
    assert limits.limits_of(source).default.rows == 1000


def test_a_limit_is_raised_by_whoever_may_override_guards_alone(client: Any) -> None:
    source = making.source()
    client.force_login(making.user("ada", "change_datasource"))
    page = client.get(url("limits", source))
    assert "To raise a limit or take one back takes the permission to override guards" in text(page)
    given = {"rows:": "1001"} | making.seen(client, url("limits", source))
    assert client.post(url("limits", source), given).status_code == 403
    assert client.post(url("limits", source), given | {"rows:": "999"}).status_code == 302
    assert limits.limits_of(source).default.rows == 999
    client.force_login(making.user("bob", "change_datasource", "override_changeset_guard"))
    page = client.get(url("limits", source))
    assert "To raise a limit" not in text(page)


def test_limits_of_a_model_that_is_no_longer_registered_can_be_taken_back(admin_client: Any) -> None:
    source = making.source()
    source.delete_limits.create(model="gone.model", limit=3)
    assert "gone.model" in text(admin_client.get(url("limits", source)))
    admin_client.post(url("limits", source), making.seen(admin_client, url("limits", source)))
    assert not source.delete_limits.exists()


@pytest.mark.parametrize("has_seen", [True, False])
def test_a_form_of_limits_that_were_changed_meanwhile_takes_none_back(admin_client: Any, has_seen: bool) -> None:
    source = making.source()
    seen = making.seen(admin_client, url("limits", source)) if has_seen else {}
    limits.change_limits(source, actors.command_line(), {limits.ALL: {"rows": 0}, TERM: {"rows": 3}})
    answer = admin_client.post(url("limits", source), {"rows:": "", "percent:": "7"} | seen)
    assert answer.status_code == 409 and "The source was changed meanwhile" in text(answer)
    assert limits.limits_of(source).default == Limit(rows=0, percent=50)
    assert [answer.context["form"][name].value() for name in ("rows:", "percent:", f"rows:{TERM}")] == [0, None, 3]
    given = {"rows:": "0", "percent:": "7", f"rows:{TERM}": "3", "seen": answer.context["form"]["seen"].value()}
    assert admin_client.post(url("limits", source), given).status_code == 302
    assert limits.limits_of(source).default == Limit(rows=0, percent=7)


def test_a_guard_of_an_older_form_says_its_message(admin_client: Any) -> None:
    guard = {"code": "empty_side", "model": TERM, "message": "Something."}
    stored = making.changeset([making.delete(1)], state="blocked", guards=[guard])
    approval.override(stored.pk, actors.command_line(), "Fine.")
    assert "Something." in text(admin_client.get(url("change", stored)))
