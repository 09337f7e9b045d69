"""What a browser must show of a review, one numbered check each; the other numbers are in the modules beside this."""

from __future__ import annotations

import hashlib
import io
import time

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.urls import reverse
from PIL import Image
from playwright.sync_api import expect

from data_sync.core.records import FileValue
from data_sync.models import Change
from data_sync.orm.staging import stage
from tests.admin import making
from tests.admin.making import changeset, create, delete, update
from tests.testapp.models import Term

pytestmark = pytest.mark.django_db(transaction=True)

SCRIPT = "<script>document.title='owned'</script>"


def at_review(arrive, stored, query: str = "", **options):
    person = arrive(**options)
    person.visit(f"changeset/{stored.pk}/change/{query}")
    return person


def test_03_no_screen_complains_under_a_strict_policy(arrive):
    stored = changeset([update(1), create(2), delete(3)])
    pulled, source = making.pull(), making.source()
    person = arrive()

    for path in (
        "changeset/",
        *(f"changeset/{stored.pk}/{page}/" for page in ("change", "print", "apply", "reject", "result", "history")),
        "datapull/",
        "datapull/add/",
        f"datapull/{pulled.pk}/change/",
        "datasource/",
        "datasource/add/",
        f"datasource/{source.pk}/change/",
        f"datasource/{source.pk}/edit/",
        f"datasource/{source.pk}/delete/",
        "exportkey/",
        "exportkey/add/",
    ):
        person.visit(path)
        expect(person.page.locator("h1")).not_to_have_text("")
        assert person.complaints == [], path


CONTRAST = """(cell) => {
    const parse = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    return ["del", "ins"].map((name) => {
        const word = document.querySelector(`.ds-diff ${name}`);
        const style = getComputedStyle(word);
        const ends = [luminance(parse(style.color)), luminance(parse(style.backgroundColor))].sort((a, b) => b - a);
        return (ends[0] + 0.05) / (ends[1] + 0.05);
    });
}"""


def test_04_the_theme_toggle_recolours_cells_and_text_stays_readable(arrive):
    person = at_review(arrive, changeset([update(1, "Boots 2025", "Boots 2026")]))
    page = person.page
    colours = {}

    for _ in range(3):
        theme = page.evaluate("document.documentElement.dataset.theme")
        cell = page.locator(".ds-diff td.ds-added").first
        colours[theme] = cell.evaluate("cell => getComputedStyle(cell).backgroundColor")
        assert min(page.evaluate(CONTRAST)) >= 4.5, theme
        page.locator("button.theme-toggle").first.click()

    assert set(colours) == {"auto", "light", "dark"} and colours["light"] != colours["dark"]


def test_06_markup_from_a_source_shows_as_it_is(arrive):
    stored = changeset(
        [
            making.change(
                1,
                key=[SCRIPT],
                before={"word": SCRIPT, "meaning": "old"},
                after={"word": SCRIPT, "meaning": f"new {SCRIPT}"},
                cascades=[],
                problems=[{"code": "x", "field": "meaning", "message": SCRIPT}],
                warnings=[{"code": "x", "field": "meaning", "message": SCRIPT}],
            ),
            delete(2, cascades=[{"model": "x.y", "pk": "1", "label": SCRIPT, "effect": "delete", "column": "x"}]),
        ],
        source_name=SCRIPT,
        actor=SCRIPT,
    )
    person = at_review(arrive, stored)
    page = person.page
    card = page.locator("#change-1")
    card.get_by_text("Comment", exact=True).click()
    card.get_by_label("New comment").fill(SCRIPT)
    card.get_by_role("button", name="Add comment").click()

    for path in ("change", "print", "apply", "history"):
        person.visit(f"changeset/{stored.pk}/{path}/")
        assert page.title() != "owned"
        assert page.locator(".ds-root script").count() == 0
    person.visit(f"changeset/{stored.pk}/change/?q=script")
    assert card.inner_text().count(SCRIPT) >= 4
    expect(page.locator("#change-2")).to_have_count(0)
    assert page.locator("body").inner_text().count(SCRIPT) >= 6


def test_07_of_a_thousand_words_the_one_that_was_edited_is_marked(arrive):
    words = [f"word{number % 97}" for number in range(1000)]
    edited = [*words[:500], "edited", *words[501:]]
    person = at_review(arrive, changeset([update(1, " ".join(words), " ".join(edited))]))

    expect(person.page.locator(".ds-diff ins")).to_have_text("edited")
    expect(person.page.locator(".ds-diff del")).to_have_text(words[500])


def test_08_a_hostile_field_is_shown_coarsely_and_says_so(arrive):
    """Texts of 100 kB that share each second word: what word diffs take forever for."""
    left = " ".join(f"a{number} same" for number in range(9_000))
    right = " ".join(f"b{number} same" for number in range(9_000))
    stored = changeset([update(1, left, right)])
    person = arrive()

    began = time.monotonic()
    person.visit(f"changeset/{stored.pk}/change/")
    seconds = time.monotonic() - began

    expect(person.page.locator(".ds-note").first).to_contain_text("Too large to mark each word")
    assert person.page.evaluate("document.querySelectorAll('*').length") < 10_000
    assert seconds < 10, f"{seconds:.1f} s; a second is what it should take"


@pytest.mark.parametrize("width", [1366, 320])
def test_08_keys_and_values_of_any_size_leave_the_page_light_and_within_the_screen(arrive, width):
    stored = changeset(making.hostile_changes())
    person = arrive(viewport={"width": width, "height": 800})

    for path in ("change", "print", "apply"):
        person.visit(f"changeset/{stored.pk}/{path}/")
        assert person.page.evaluate("document.querySelectorAll('*').length") < 10_000, path
        assert person.page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_09_a_trailing_space_shows(arrive):
    person = at_review(arrive, changeset([update(1, "Bonjour", "Bonjour ")]))

    expect(person.page.locator(".ds-note")).to_have_text("White space only")
    space = person.page.locator(".ds-diff .ds-added .ds-spaces")
    expect(space).to_be_visible()
    assert space.bounding_box()["width"] > 2


def test_14_a_filtered_address_gives_the_same_changes_elsewhere(arrive):
    stored = changeset([update(number) for number in range(1, 5)] + [create(5), delete(6)])
    mira = at_review(arrive, stored)
    page = mira.page
    page.get_by_role("searchbox").fill("word-")
    page.get_by_label("Operation").select_option("update")
    page.get_by_role("button", name="Filter").click()
    shown = page.get_by_role("article").all_inner_texts()

    tomas = arrive("tomas")
    tomas.page.goto(page.url)

    assert tomas.page.get_by_role("article").all_inner_texts() == shown
    assert len(shown) == 4


def test_17_a_hundred_thousand_changes_stay_usable(arrive):
    stored = changeset([update(1)])
    first = Change.objects.get()
    columns = {field.attname: getattr(first, field.attname) for field in Change._meta.concrete_fields}
    columns.pop("id")
    Change.objects.bulk_create(
        (
            Change(**columns | {"number": number, "key": [f"w{number}"], "key_text": f"w{number}"})
            for number in range(2, 100_001)
        ),
        batch_size=2_000,
    )
    type(stored).objects.update(updates=100_000)
    person = arrive()
    took = {}

    for name, query in (("first", ""), ("last", "?last=1"), ("search", "?q=w99999")):
        began = time.monotonic()
        person.visit(f"changeset/{stored.pk}/change/{query}")
        took[name] = time.monotonic() - began
        assert person.page.evaluate("document.querySelectorAll('*').length") < 10_000

    expect(person.page.locator("#change-99999")).to_be_visible()
    assert max(took.values()) < 10, f"{took}; a second is what each should take"
    person.visit(f"changeset/{stored.pk}/change/?last=1")
    card = person.page.locator("#change-100000")
    card.get_by_label("Accept").check()
    expect(person.page.locator(".ds-bar")).to_contain_text("99999 undecided")


def test_19_rejecting_a_create_that_others_need_lists_them(arrive):
    stored = changeset(
        [create(1, decision="accepted"), create(2, requires=[1], decision="accepted"), update(3, requires=[1])]
    )
    person = at_review(arrive, stored)
    card = person.page.get_by_role("article", name="word-1")

    card.get_by_label("Reject").click()

    expect(card.get_by_role("alert").get_by_role("link")).to_have_text(["#2 word-2"])
    card.get_by_role("button", name="Reject both").click()
    expect(person.page.locator(".ds-bar")).to_contain_text("0 accepted · 2 rejected · 1 undecided")
    person.complaints = [text for text in person.complaints if "400" not in text]


def test_20_many_deletes_are_refused_until_the_name_is_typed(arrive):
    rows = [Term.objects.create(word=f"word-{number}", meaning="old") for number in range(1, 13)]
    stored = changeset([delete(number, decision="accepted", local_pk=row.pk) for number, row in enumerate(rows, 1)])
    person = arrive()
    person.visit(f"changeset/{stored.pk}/apply/")
    page = person.page
    box = page.get_by_label("12 rows are deleted")

    page.get_by_role("button", name="Approve only").click()  # The browser asks for it first.
    expect(box).to_be_focused()
    box.fill("yes")
    page.get_by_role("button", name="Approve only").click()
    expect(page.get_by_text("Nothing was done: to have these rows deleted")).to_be_visible()
    stored.refresh_from_db()
    assert stored.state == "pending"
    page.get_by_label("12 rows are deleted").fill(f"Changeset {stored.pk}")
    page.get_by_role("button", name="Approve only").click()

    expect(page.locator(".ds-title .ds-badge")).to_contain_text("approved")


def test_22_a_row_that_was_edited_after_the_pull_is_shown_and_has_to_be_seen(arrive, environments):
    environments.add(Term, word="boots", meaning=("Boots of 2026", "Boots of 2025"))
    stored = environments.changeset()
    person = at_review(arrive, stored)  # A page that does not know of the edit yet.
    Term.objects.update(meaning="Boots of 2025, edited")
    card = person.page.get_by_role("article", name="boots")
    card.get_by_label("Accept").click()
    expect(card).to_contain_text("was changed here since the pull: meaning")
    card.get_by_role("button", name="Reload").click()

    expect(card.locator(".ds-badge")).to_contain_text("Changed since the pull")
    expect(card.get_by_role("columnheader")).to_have_text(["Field", "At the pull", "Here now", "Incoming"])
    expect(card.get_by_role("cell")).to_have_text(["Boots of 2025", "Boots of 2025, edited", "Boots of 2026"])
    card.get_by_label("Accept").click()
    expect(card.get_by_label("I have seen the row as it is now")).to_be_focused()
    card.get_by_label("I have seen the row as it is now").check()
    card.get_by_label("Accept").check()
    expect(person.page.locator(".ds-bar")).to_contain_text("1 accepted")
    person.complaints = [text for text in person.complaints if "400" not in text]
    person.page.get_by_role("link", name="Review & apply").click()
    person.page.get_by_role("button", name="Approve and apply").click()

    expect(person.page.locator(".ds-title .ds-badge")).to_contain_text("applied")
    assert Term.objects.get().meaning == "Boots of 2026"


def test_24_pictures_have_thumbnails_sizes_and_checksums_and_svg_is_downloaded(arrive, settings, tmp_path):
    settings.MEDIA_ROOT, settings.DATA_SYNC_STAGING_ROOT = tmp_path / "media", tmp_path / "staged"

    def picture(colour: str) -> bytes:
        out = io.BytesIO()
        Image.new("RGB", (640, 480), colour).save(out, "PNG")
        return out.getvalue()

    def described(name: str, content: bytes) -> dict[str, object]:
        return {"name": name, "size": len(content), "checksum": f"sha256:{hashlib.sha256(content).hexdigest()}"}

    old, new, svg = picture("red"), picture("blue"), b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    default_storage.save("a.png", ContentFile(old))
    for name, content in (("b.png", new), ("c.svg", svg)):
        stage(FileValue(**described(name, content)), [content])
    stored = changeset(
        [
            making.change(
                number,
                model="testapp.copy",
                before={},
                after={},
                files={"thumbnail": {"before": described("a.png", old), "after": described(name, content)}},
            )
            for number, name, content in ((1, "b.png", new), (2, "c.svg", svg))
        ]
    )
    person = at_review(arrive, stored)
    page, card = person.page, person.page.locator("#change-1")

    pictures = card.locator("img.ds-thumbnail")
    expect(pictures).to_have_count(2)
    for place in range(2):
        pictures.nth(place).scroll_into_view_if_needed()
        page.wait_for_function("(i) => document.querySelectorAll('#change-1 img')[i].naturalWidth === 256", arg=place)
    expect(card).to_contain_text("640 × 480 pixels")
    expect(card).to_contain_text(hashlib.sha256(new).hexdigest()[:12])
    expect(page.locator("#change-2 img")).to_have_count(1)  # The side that is a PNG.
    with page.expect_download() as download:
        page.locator("#change-2").get_by_role("link", name="c.svg").click()
    assert download.value.path().read_bytes() == svg


def test_25_a_change_that_failed_shows_its_cause(arrive):
    Term.objects.create(word="word-2", meaning="old")
    stored = changeset(
        [update(1, decision="accepted", outcome="failed", outcome_reason="The column takes 200 characters.")],
        state="failed",
        attempt=1,
        state_reason="One change could not be written.",
    )
    person = at_review(arrive, stored)

    expect(person.page.locator("#change-1")).to_contain_text("The column takes 200 characters.")
    person.page.goto(person.base + reverse("admin:data_sync_changeset_result", args=(stored.pk,)))
    row = person.page.get_by_role("row", name="word-1")
    expect(row).to_contain_text("The column takes 200 characters.")
    expect(row).to_contain_text("Mend the cause here or at the source and pull again")
