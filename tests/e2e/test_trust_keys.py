"""A person makes a key, rotates it and revokes it; pictures of each step are left in test-results/."""

from __future__ import annotations

import re

import pytest

from data_sync.models import Event, ExportKey
from data_sync.services import callers, export_events, keys
from data_sync.services.actors import command_line
from tests.admin import making

from .test_screens import PICTURES

pytestmark = pytest.mark.django_db(transaction=True)


def shown_key(page) -> str:
    return page.locator(".ds-secret code").inner_text()


@pytest.mark.parametrize(("width", "scheme"), [(1366, "light"), (320, "dark")])
@pytest.mark.parametrize("script", [True, False])
def test_a_key_is_made_rotated_and_revoked(arrive, width, scheme, script):
    person = arrive(viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script)
    page = person.page
    folder = PICTURES / f"{width}-{scheme}"
    folder.mkdir(parents=True, exist_ok=True)

    def picture(name: str) -> None:
        page.screenshot(path=folder / f"key-{name}.png", full_page=True)
        if script:
            assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth"), name

    person.visit("exportkey/add/")
    page.get_by_role("textbox", name="Name").fill("Production")
    page.get_by_label("(testapp.term)").check()
    page.get_by_role("spinbutton", name="Expires after").fill("365")
    page.get_by_role("button", name="Create the key").click()
    first = shown_key(page)
    assert making.readable(first)
    picture("created")

    page.get_by_role("link", name="I have copied it").click()
    assert first.partition(".")[2] not in page.content()
    page.get_by_role("link", name="Rotate…").click()
    picture("rotate")
    page.get_by_role("button", name="Make the new key").click()
    second = shown_key(page)
    assert making.readable(second) == making.readable(first)
    picture("rotated")

    person.visit("exportkey/")
    picture("list")
    page.get_by_role("link", name=re.compile(r"^Production \(old, ")).click()
    assert page.get_by_role("listitem").filter(has_text="Rotated").count() == 1
    page.get_by_role("link", name="Revoke…").click()
    picture("revoke")
    page.get_by_role("link", name="Cancel").click()
    assert making.readable(first) is not None
    page.get_by_role("link", name="Revoke…").click()
    page.get_by_role("button", name="Revoke this key").click()
    assert "nobody can read with it any more" in page.content()
    picture("revoked")
    assert making.readable(first) is None and making.readable(second) is not None
    assert list(Event.objects.order_by("pk").values_list("action", flat=True)) == [
        "created",
        "created",
        "rotated",
        "revoked",
    ]


def test_a_key_s_page_fits_whatever_has_happened(arrive):
    key, text = keys.create_key("Production", command_line(), expires_in_days=10)
    caller = callers.authenticate(f"Bearer {text}", "2001:db8:1234:5678:9abc:def0:1234:5678")
    assert caller is not None
    export_events.record_some(caller, "files_read", {"checksum": "sha256:" + "0" * 64, "size": 1}, None)
    rows = {f"shop.a_model_with_a_rather_long_name_{number}": 1_000_000 for number in range(12)}
    for action in ("listed", "exported"):
        detail = {"rows": rows, "digest": "sha256:" + "0" * 64, "omitted": {}, "address": caller.address}
        export_events.audit.record_of(keys.chain(key), command_line(), action, detail)
    for width, scheme in ((1366, "light"), (320, "dark")):
        person = arrive(viewport={"width": width, "height": 900}, color_scheme=scheme)
        person.visit(f"exportkey/{ExportKey.objects.get().pk}/change/")
        person.page.screenshot(path=PICTURES / f"{width}-{scheme}" / "key-events.png", full_page=True)
        assert not person.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
