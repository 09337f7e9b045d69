"""Following work that another process does."""

from __future__ import annotations

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from data_sync.models import DataPull
from tests.admin import making
from tests.leasing import beat


@pytest.fixture
def reading(db):
    pull = making.pull(state="reading", started_at=timezone.now(), source=making.source())
    beat(pull, phase="rows", done=10, total=100)
    return pull


def test_progress_moves_without_a_reload_and_is_said_by_phases_and_quarters(arrive, reading):
    person = arrive()
    person.visit(f"datapull/{reading.pk}/change/")
    page = person.page
    bar, words, said = page.locator("progress"), page.locator("[data-ds-words]"), page.locator("[data-ds-said]")
    expect(words).to_have_text("Reading both sides: 10 rows read")
    expect(said).to_have_text("Reading both sides: 10 rows read")
    beat(reading, phase="rows", done=20, total=100)
    expect(words).to_have_text("Reading both sides: 20 rows read")
    expect(said).to_have_text("Reading both sides: 10 rows read")
    beat(reading, phase="rows", done=60, total=100)
    expect(said).to_have_text("Reading both sides: 60 rows read")
    assert bar.get_attribute("value") == "60"
    beat(reading, phase="files", done=3, total=0)
    expect(said).to_have_text("Fetching files: 3 looked at")
    assert bar.get_attribute("value") is None

    DataPull.objects.update(state="done", compared=8120, finished_at=timezone.now())
    expect(page.locator(".ds-banner")).to_contain_text("Nothing differs.", timeout=10_000)


def test_a_pull_that_nobody_is_at_says_so_and_how_to_go_on(arrive, reading):
    beat(reading, -1)
    person = arrive()
    person.visit(f"datapull/{reading.pk}/change/")
    page = person.page
    expect(page.locator(".ds-banner")).to_contain_text("Nobody is working at this pull.")
    expect(page.get_by_role("button", name="Pull again")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel the pull")).to_be_visible()
    expect(page.locator("progress")).to_have_count(0)
