"""A file carried over by hand, from the list of pulls to the review: on a small screen, without JavaScript."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from data_sync.services import bundle
from data_sync.services.actors import command_line
from tests.testapp.models import Term

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("script", "width"), [(True, 1280), (False, 320)], ids=["with-script", "small-without-script"])
def test_a_person_uploads_a_bundle_and_reviews_it(arrive, tmp_path: Path, script: bool, width: int) -> None:
    Term.objects.create(word="boots", meaning="Warm ones")
    made = bundle.write_bundle(tmp_path / "staging.zip", ["testapp.term"], command_line())
    Term.objects.update(meaning="Cold ones")
    (tmp_path / "cut.zip").write_bytes(made.path.read_bytes()[:-9])
    person = arrive(
        permissions=("pull_datasource", "view_changeset"),
        java_script_enabled=script,
        viewport={"width": width, "height": 800},
    )
    page = person.page
    person.visit("datapull/")
    page.get_by_role("link", name="Upload a file").click()

    page.wait_for_load_state()
    assert page.evaluate("document.documentElement.scrollWidth") <= width

    # What is wrong is said where the file was chosen
    page.get_by_label("File").set_input_files(tmp_path / "cut.zip")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".ds-field.errors")).to_contain_text("cut short")

    page.get_by_label("File").set_input_files(made.path)
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".ds-meta")).to_contain_text("staging.zip")
    expect(page.locator(".ds-meta")).to_contain_text(made.checksum)
    page.get_by_role("link", name="Review changeset").click()
    expect(page.get_by_role("article", name="boots")).to_contain_text("Warm")
    expect(page.locator(".ds-head")).to_contain_text("bundle")
