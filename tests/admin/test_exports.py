"""The audit's tables as spreadsheets: who may have them, what they hold, and that nothing in them is calculated."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import openpyxl
import pytest
import yaml
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from data_sync.core.redaction import diff_rows
from data_sync.models import Change, Changeset, Event
from data_sync.services import audit
from data_sync.services.actors import command_line
from data_sync.sources.table_files import CONTENT_TYPES
from tests.admin import making

pytestmark = pytest.mark.django_db

SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝")
HOSTILE = [f"{sign}1+cmd|' /C calc'!A0" for sign in SIGNS]


@pytest.fixture
def boss(client: Client) -> Client:
    client.force_login(making.user("mira", "*"))
    return client


def hostile() -> Changeset:
    """Keys, a source, an actor and events that begin with each of the signs."""
    rows = [
        making.change(number, key=[text], after={"word": text, "meaning": text})
        for number, text in enumerate(HOSTILE, 1)
    ]
    found = making.changeset(rows, source_name=HOSTILE[0], actor=HOSTILE[1], state_reason=HOSTILE[3])
    audit.record(found.pk, command_line(), "commented", {"change": 1, "text": "=1"})
    return found


def table(client: Client, model: str, form: str, query: str = "") -> bytes:
    answer = client.post(reverse(f"admin:data_sync_{model}_table") + query, {"format": form})
    assert answer.status_code == 200 and answer["Content-Type"] == CONTENT_TYPES[form], answer.content[:500]
    assert f"{model}s-" in answer["Content-Disposition"]
    return b"".join(answer.streaming_content)


def cells(form: str, content: bytes) -> list[list[Any]]:
    if form == "xlsx":
        sheet = openpyxl.load_workbook(io.BytesIO(content)).active
        assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
        return [[cell.value for cell in row] for row in sheet.iter_rows()]
    if form == "ods":
        from tablib import Dataset

        data = Dataset().load(io.BytesIO(content), format="ods")
        assert b"table:formula" not in content
        return [list(data.headers), *map(list, data)]
    return [*csv.reader(io.StringIO(content.decode(), newline=""), delimiter="\t" if form == "tsv" else ",")]


@pytest.mark.parametrize("form", ["csv", "tsv", "xlsx", "ods"])
def test_no_cell_of_a_spreadsheet_begins_with_what_is_calculated(boss: Client, form: str) -> None:
    hostile()
    for model in ("changeset", "change", "event"):
        header, *rows = cells(form, table(boss, model, form))
        assert rows
        for row in rows:
            assert not [cell for cell in row if isinstance(cell, str) and cell.startswith(SIGNS)]
    keys = [row[header.index("detail")] for row in rows]
    assert any('"text": "=1"' in str(one) for one in keys)


def test_json_and_yaml_hold_every_value_as_it_is(boss: Client) -> None:
    found = hostile()
    change = json.loads(table(boss, "change", "json"))[-1]
    assert change["natural_key"] in [[text] for text in HOSTILE]
    rows = {
        form: sorted(read(table(boss, "change", form)), key=lambda row: row["number"])
        for form, read in (("json", json.loads), ("yaml", yaml.safe_load))
    }
    assert rows["json"] == rows["yaml"]
    assert [row["after"]["meaning"] for row in rows["json"]] == HOSTILE
    [changeset] = json.loads(table(boss, "changeset", "json"))
    assert (changeset["number"], changeset["source"], changeset["creates"]) == (found.pk, HOSTILE[0], len(HOSTILE))
    assert changeset["created_at"].endswith("+00:00")
    events = json.loads(table(boss, "event", "json"))
    assert {"hash", "previous", "chain", "detail"} <= events[0].keys()


def test_no_table_has_a_redacted_value(boss: Client) -> None:
    sides = {"before": {"name": "ada", "account": "old-secret"}, "after": {"name": "ada", "account": "new-secret"}}
    change = making.change(1, model="testapp.customer", key=["ada"], **sides)
    change.diff = diff_rows(sides["before"], sides["after"], {"account"})
    making.changeset([change], redacted={"testapp.customer": ["account"]}, leaf_key=b"k" * 32)
    for form in CONTENT_TYPES:
        content = table(boss, "change", form)
        if form in ("xlsx", "ods"):
            content = repr(cells(form, content)).encode()
        assert b"secret" not in content and b"ada" in content
    [row] = json.loads(table(boss, "change", "json"))
    assert row["redacted"] == ["account"] and row["after"] == {"name": "ada"}


def test_the_page_exports_what_the_list_shows_and_the_action_what_was_chosen(boss: Client) -> None:
    making.changeset([making.create(1), making.update(2), making.delete(3)])
    assert {row["number"] for row in json.loads(table(boss, "change", "json", "?operation__exact=delete"))} == {3}
    assert {row["number"] for row in json.loads(table(boss, "change", "json", "?q=word-2"))} == {2}
    chosen = Change.objects.filter(number__lt=3).values_list("pk", flat=True)
    url = reverse("admin:data_sync_change_changelist")
    answer = boss.post(url, {"action": "export_rows", "_selected_action": list(chosen)})
    assert {row["number"] for row in json.loads(table(boss, "change", "json", "?" + answer.url.partition("?")[2]))} == {
        1,
        2,
    }
    everything = boss.post(
        url + "?q=word", {"action": "export_rows", "_selected_action": [chosen[0]], "select_across": "1"}
    )
    assert everything.url.endswith("/table/?q=word")
    page = boss.get(url + "?q=word-2").content.decode()
    assert f'href="{reverse("admin:data_sync_change_table")}?q=word-2"' in page
    assert boss.get(reverse("admin:data_sync_change_table") + "?colour=red").status_code == 302


def test_a_table_is_an_event_and_takes_its_permission(client: Client) -> None:
    making.changeset([making.create(1)])
    client.force_login(making.user("viewer", "view_changeset"))
    page = client.get(reverse("admin:data_sync_change_changelist")).content.decode()
    assert "export_rows" not in page and "table/" not in page
    assert client.get(reverse("admin:data_sync_change_table")).status_code == 403
    client.force_login(making.user("exporter", "view_changeset", "export_changeset"))
    assert "export_rows" in client.get(reverse("admin:data_sync_change_changelist")).content.decode()
    table(client, "change", "csv")
    event = Event.objects.get(action="table_exported")
    assert (event.actor, event.detail) == ("exporter", {"table": "change", "format": "csv", "rows": 1})


def test_the_lists_of_changes_and_events_find_rows_in_a_few_queries(boss: Client) -> None:
    found = making.changeset([making.create(number) for number in range(1, 60)])
    audit.record(found.pk, command_line(), "commented", {"change": 1, "text": "why"})
    # Links by date, which the events have, ask for the first and the last.
    for model, query, most in (("change", "?q=term+word-7", 5), ("event", f"?q=changeset:{found.pk}", 8)):
        with CaptureQueriesContext(connection) as queries:
            page = boss.get(reverse(f"admin:data_sync_{model}_changelist") + query)
        assert page.context["cl"].result_count == 1
        assert len(queries) <= most + (1 if connection.vendor == "mysql" else 0), [one["sql"] for one in queries]
    assert f"/changeset/{found.pk}/history/" in page.content.decode()


def test_the_list_of_changesets_leads_to_its_table(boss: Client) -> None:
    making.changeset([making.create(1)])
    page = boss.get(reverse("admin:data_sync_changeset_changelist") + "?state__exact=pending").content.decode()
    assert f'href="{reverse("admin:data_sync_changeset_table")}?state__exact=pending"' in page
