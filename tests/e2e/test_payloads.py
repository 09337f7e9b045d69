"""A real browser on pages full of hostile texts: nothing runs, nothing is fetched, nothing is even attempted."""

from __future__ import annotations

import pytest

from tests.admin import making
from tests.payloads import PAYLOADS, scene

pytestmark = pytest.mark.django_db(transaction=True)

HANDLERS = """
    [...document.querySelectorAll("*")].some(one => one.getAttributeNames().some(name => name.startsWith("on")))
"""


def test_no_text_runs_and_none_is_stopped_by_the_policy_alone(arrive):
    """The strict policy of the tests reports what it stops to the console; `arrive` fails for a word there."""
    person = arrive()
    dialogs, elsewhere = [], []
    person.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    person.page.on(
        "request", lambda asked: elsewhere.append(asked.url) if not asked.url.startswith(person.base) else None
    )
    text = " ".join(PAYLOADS)
    pages = scene(text, making.user(text[:150], "*"))
    every = making.changeset(
        [making.create(number, payload, key=[payload]) for number, payload in enumerate(PAYLOADS, start=1)]
    )

    for url in [*pages.values(), f"/admin/data_sync/changeset/{every.pk}/change/"]:
        person.page.goto(person.base + url)
        assert not person.page.evaluate(HANDLERS)
    person.page.locator("article").first.hover()

    assert person.page.locator("article").count() == len(PAYLOADS)
    assert (dialogs, elsewhere) == ([], [])
