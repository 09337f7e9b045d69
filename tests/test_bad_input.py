"""What bad input gets: a clear error with the record, the reason and what to do; nothing lost, nothing half done.

The source is `tests.impostor`, over real HTTP; everything goes through `run_pull`, and through apply
where a pull alone would not show the harm.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from data_sync.core.records import FileValue, Record
from data_sync.core.source import Request
from data_sync.core.states import ChangesetState, Outcome, PullState
from data_sync.models import Changeset
from data_sync.orm.read import LocalSource
from data_sync.services import sources
from tests.environments import Environments
from tests.impostor import Impostor, country, record
from tests.sources.hostile import Authority, Server, http
from tests.testapp.models import (
    Category,
    Country,
    Document,
    Everything,
    Label,
    Language,
    Product,
    Redirect,
    Tag,
)


@pytest.fixture
def target(environments: Environments) -> Environments:
    """Three countries and a language of it here, which no bad answer may harm."""
    for code in ("FR", "IT", "JP"):
        environments.add(Country, code=code, only="default")
    Language.objects.create(country=Country.objects.get(code="FR"), code="fr")
    return environments


@pytest.fixture
def impostor(target: Environments) -> Iterator[Impostor]:
    """Offers the same countries and one more; the language is gone."""
    made = Impostor(country=[country(code) for code in ("FR", "IT", "JP", "DE")])
    target.source = made.add_source()
    yield made
    made.close()


def refused(target: Environments, *labels: str) -> str:
    """Pulls, which has to fail with everything left as it was; gives the reason."""
    with target.untouched():
        pulled = target.pull(*labels)
    assert pulled.state == PullState.FAILED
    assert pulled.error
    assert pulled.active_source is None
    assert not Changeset.objects.exists()
    assert "Unexpected" not in pulled.error
    assert "kkkkkkk" not in pulled.error
    return pulled.error


def test_the_impostor_is_believed_while_it_is_honest(target: Environments, impostor: Impostor) -> None:
    changeset = target.changeset()
    assert [(change.key, change.operation) for change in changeset.changes.all()] == [(["DE"], "create")]


# Empty answers


@pytest.mark.parametrize("what", ["manifest", "export"])
@pytest.mark.parametrize("body", [b"[]", b"{}", b"", b"null", b"\n", b'""', b"0"], ids=repr)
def test_an_answer_of_nothing_deletes_nothing(target: Environments, impostor: Impostor, what: str, body: bytes) -> None:
    """The older package deleted every row when the source answered `[]`."""
    impostor.answers[what] = http("200 OK", body, Content_Type="application/json")
    refused(target)


def test_a_model_without_rows_there_is_blocked_and_writes_nothing(target: Environments, impostor: Impostor) -> None:
    impostor.records["testapp.country"] = []
    with target.untouched():
        changeset = target.changeset()
        assert changeset.state == ChangesetState.BLOCKED
        assert "testapp.country" in changeset.state_reason and "3" in changeset.state_reason


def test_a_source_that_offers_no_models_concludes_nothing(target: Environments, impostor: Impostor) -> None:
    impostor.manifest["models"] = {}
    assert "no models" in refused(target)


def test_a_manifest_that_leaves_a_model_out_says_nothing_about_its_rows(
    target: Environments, impostor: Impostor
) -> None:
    changeset = target.changeset()
    assert not changeset.changes.filter(model="testapp.language").exists()


# Half answers


def cuts(text: bytes) -> list[int]:
    """Places at and around every line end, and some within lines."""
    ends = [at + 1 for at, byte in enumerate(text) if byte == 0x0A]
    around = {at + step for at in ends for step in (-2, -1, 0, 1)}
    return sorted(at for at in around | set(range(0, len(text), 37)) if 0 <= at < len(text))


@pytest.mark.parametrize("framing", ["close", "length", "gzip"])
def test_a_stream_that_is_cut_anywhere_makes_no_changeset(
    target: Environments, impostor: Impostor, framing: str
) -> None:
    whole = impostor.stream("testapp.country")
    places = cuts(whole)[::3]
    assert len(places) > 5
    for at in places:
        cut = whole[:at]
        match framing:
            case "close":
                impostor.answers["export"] = http("200 OK", cut, length=-1)
            case "length":
                impostor.answers["export"] = http("200 OK", cut, length=len(whole))
            case _:
                packed = gzip.compress(whole)
                cut = packed[: at * len(packed) // len(whole)]
                impostor.answers["export"] = http("200 OK", cut, length=-1, Content_Encoding="gzip")
        refused(target)
    impostor.answers["export"] = http("200 OK", whole, length=-1)
    assert target.changeset().creates == 1


def test_a_stream_that_lost_a_line_makes_no_changeset(target: Environments, impostor: Impostor) -> None:
    lines = impostor.stream("testapp.country").splitlines(keepends=True)
    impostor.answers["export"] = http("200 OK", b"".join(lines[:2] + lines[3:]))
    assert "altered on its way" in refused(target)


def test_a_stream_with_one_flipped_bit_makes_no_changeset(target: Environments, impostor: Impostor) -> None:
    whole = bytearray(impostor.stream("testapp.country"))
    whole[whole.index(b'"DE"') + 1] ^= 1
    impostor.answers["export"] = http("200 OK", bytes(whole))
    refused(target)


def test_a_closing_line_that_counts_other_rows_makes_no_changeset(target: Environments, impostor: Impostor) -> None:
    whole = impostor.stream("testapp.country")
    impostor.answers["export"] = http("200 OK", whole.replace(b'"testapp.country":4', b'"testapp.country":3'))
    refused(target)


# Other answers than records


@pytest.mark.parametrize("what", ["manifest", "export"])
@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("401 Unauthorized", "key"),
        ("403 Forbidden", "403"),
        ("404 Not Found", "404"),
        ("500 Internal Server Error", "500"),
        ("503 Service Unavailable", "503"),
        ("302 Found", "redirect"),
        ("204 No Content", "204"),
    ],
)
def test_an_error_status_fails_the_pull_and_says_which(
    target: Environments, impostor: Impostor, what: str, status: str, says: str
) -> None:
    impostor.answers[what] = http(status, b"", Location="http://169.254.169.254/")
    assert says in refused(target)


@pytest.mark.parametrize("what", ["manifest", "export"])
def test_a_web_page_instead_of_data_fails_the_pull(target: Environments, impostor: Impostor, what: str) -> None:
    page = b"<!doctype html><title>Log in</title>"
    impostor.answers[what] = http("200 OK", page, Content_Type="text/html; charset=utf-8")
    assert "web page" in refused(target)
    impostor.answers[what] = http("200 OK", page, Content_Type="application/json")
    refused(target)


def test_a_source_that_falls_silent_fails_the_pull(target: Environments, impostor: Impostor, settings: Any) -> None:
    settings.DATA_SYNC_READ_TIMEOUT = 0.3
    impostor.answers["export"] = impostor._server.falls_silent(http("200 OK", b"", length=-1))
    refused(target)


def test_a_source_that_drips_for_ever_fails_the_pull(target: Environments, impostor: Impostor, settings: Any) -> None:
    settings.DATA_SYNC_REQUEST_TIMEOUT = 0.5
    impostor.answers["export"] = impostor._server.drips(http("200 OK", b"", length=-1), b" ", 0.05)
    refused(target)


def test_a_certificate_of_nobody_known_fails_the_pull(target: Environments, impostor: Impostor, tmp_path: Path) -> None:
    server = Server(lambda _: None, Authority(tmp_path).context("127.0.0.1"))
    target.source = sources.add_source("TLS", server.url, "k" * 43, target.actor)
    assert "ertificate" in refused(target)
    server.close()


def test_a_source_where_nobody_listens_fails_the_pull(target: Environments, impostor: Impostor) -> None:
    impostor.close()
    refused(target)


# Records that cannot be


def offer(impostor: Impostor, *records: Record) -> None:
    """The countries that are here as well, and these records."""
    for one in records:
        impostor.records[one.model].append(one)


def test_a_key_twice_at_the_source_is_refused_by_name(target: Environments, impostor: Impostor) -> None:
    offer(impostor, country("DE"))
    error = refused(target)
    assert '["DE"]' in error and "at the source" in error and "testapp.country" in error


def test_a_key_twice_here_is_refused_by_name(target: Environments, impostor: Impostor) -> None:
    Country.objects.create(code="FR")
    error = refused(target)
    assert '["FR"]' in error and "here" in error


def test_a_key_twice_in_the_sources_database_is_refused_by_name(environments: Environments) -> None:
    for _ in range(2):
        environments.add(Country, code="FR", only="source")
    environments.add(Country, code="FR", only="default")
    assert '["FR"]' in refused(environments)


def test_null_in_a_key_is_refused_by_the_row(environments: Environments) -> None:
    label = environments.add(Label, code=None, only="source")
    environments.add(Label, code="there")
    error = refused(environments)
    assert "testapp.Label" in error and "code" in error and str(label[0].pk) in error


def test_null_in_a_key_here_is_refused_by_the_row(environments: Environments) -> None:
    label = environments.add(Label, code=None, only="default")
    error = refused(environments)
    assert "testapp.Label" in error and "code" in error and str(label[1].pk) in error


def test_null_in_a_key_of_a_strange_source_is_refused(target: Environments, impostor: Impostor) -> None:
    offer(impostor, country(None))
    assert "null in its natural key" in refused(target)


def test_a_reference_to_nothing_in_the_sources_database_is_refused_by_the_row(environments: Environments) -> None:
    redirect = Redirect.objects.using("source").create(path="/old", country_id=4711)
    error = refused(environments)
    assert "testapp.Redirect" in error and str(redirect.pk) in error and "4711" in error


def test_a_reference_that_exists_on_neither_side_is_a_problem_of_its_change(
    target: Environments, impostor: Impostor
) -> None:
    with_languages = Impostor(
        country=impostor.records["testapp.country"],
        language=[record("language", "XX", "xx", country=["XX"], code="xx")],
    )
    target.source = sources.add_source("Languages", with_languages._server.url, "k" * 43, target.actor)
    with target.untouched():
        changeset = target.changeset()
        change = changeset.changes.get(key_text="XX · xx")
        assert [problem["code"] for problem in change.problems] == ["missing_reference"]
        target.accept_all(changeset)
        change.refresh_from_db()
        assert change.decision == "undecided"
    with_languages.close()


@pytest.fixture
def everything(target: Environments) -> Iterator[tuple[Impostor, dict[str, Any]]]:
    """A source of one row of every type, and that row's values to alter."""
    Everything.objects.create(name="row")
    with LocalSource(["testapp.everything"]).stream(Request(models=("testapp.everything",))) as blocks:
        lines = b"".join(blocks).splitlines()
    values = json.loads(lines[1])[1][2]
    made = Impostor(everything=[])
    made.records["testapp.everything"].append(Record(model="testapp.everything", key=("row",), fields=values))
    target.source = made.add_source()
    yield made, values
    made.close()


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("char", "x" * 101, "capacity"),
        ("char", "\U0001f600" * 101, "capacity"),
        ("amount", "123456789.0000", "capacity"),
        ("amount", "NaN", "capacity"),
        ("small", 40_000, "capacity"),
        ("big", 2**63, "capacity"),
        ("integer", -(2**31) - 1, "capacity"),
        ("integer", None, "null"),
        ("text", None, "null"),
        ("integer", "7", "type"),
        ("integer", True, "type"),
        ("integer", 1.5, "type"),
        ("text", 7, "type"),
        ("boolean", 1, "type"),
        ("moment", "yesterday", "type"),
        ("moment", "2026-01-01T00:00:00", "type"),
        ("date", "2026-02-30", "type"),
        ("time", "25:00", "type"),
        ("duration", "soon", "type"),
        ("amount", "a lot", "type"),
        ("amount", 1.5, "type"),
        ("binary", "!!!", "type"),
        ("uuid", "nobody", "type"),
        ("number", "many", "type"),
        ("number", 10**400, "type"),
        ("number", [1], "type"),
        ("uuid", [5], "type"),
        ("uuid", 5, "type"),
        ("binary", 5, "type"),
        ("date", 5, "type"),
        ("moment", "0001-01-01T00:00:00+14:00", "type"),
        ("duration", "99999999999999 00:00:00", "type"),
        ("char", ["a"], "type"),
        ("moment", {"a": 1}, "type"),
    ],
)
def test_a_value_that_the_column_cannot_hold_is_a_problem_of_its_change(
    target: Environments, everything: tuple[Impostor, dict[str, Any]], field: str, value: Any, code: str
) -> None:
    if connection.vendor == "sqlite" and code == "capacity" and field in ("small", "integer"):
        pytest.skip("SQLite has one size of integers")
    everything[1][field] = value
    with target.untouched():
        changeset = target.changeset()
    problems = changeset.changes.get().problems
    assert [(problem["code"], problem["field"]) for problem in problems] == [(code, field)]
    assert field in problems[0]["message"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "1.23456"),
        ("number", "NaN"),
        ("positive", -1),
        ("moment", "2026-01-01T00:00:00+05:00"),
        ("uuid", "{12345678-9ABC-4EF0-9234-56789ABCDEF0}"),
        ("date", "20260101"),
        ("duration", "1 day"),
        ("address", "2001:DB8::1"),
    ],
)
def test_a_value_that_would_not_come_back_as_it_is_writes_nothing(
    target: Environments, everything: tuple[Impostor, dict[str, Any]], field: str, value: Any
) -> None:
    """Where the column cannot be asked beforehand, reading back finds it before anything is committed."""
    everything[1][field] = value
    with target.untouched():
        changeset = target.changeset()
        target.accept_all(changeset)
        if changeset.changes.get().decision == "undecided":
            return
        applied = target.apply(target.approve(changeset))
    assert applied.state == ChangesetState.FAILED
    change = applied.changes.get()
    assert change.outcome == Outcome.FAILED
    assert "row" in change.outcome_reason


def strange(**fields: Any) -> Record:
    values = {"path": "/a", "country": ["FR"]} | fields
    return Record(model="testapp.redirect", key=("/a",), fields={k: v for k, v in values.items() if v is not Ellipsis})


@pytest.mark.parametrize(
    "odd",
    [
        strange(country="FR"),
        strange(country=["FR", "DE"]),
        strange(country=[["FR"]]),
        strange(country=5),
        strange(country={"code": "FR"}),
        strange(country=...),
        strange(extra=1),
        strange(path="/b"),
        Record(model="testapp.redirect", key=(), fields={"path": "/a", "country": ["FR"]}),
        Record(model="testapp.redirect", key=("/a", "/b"), fields={"path": "/a", "country": ["FR"]}),
        Record(model="testapp.redirect", key=(["/a"],), fields={"path": ["/a"], "country": ["FR"]}),
        Record(
            model="testapp.redirect",
            key=("/a",),
            fields={"path": "/a", "country": ["FR"]},
            files={"f": FileValue(name="a", size=1, checksum="sha256:" + "0" * 64)},
        ),
        Record(model="testapp.redirect", key=("/a",), fields={"path": "/a", "country": ["FR"]}, carried={"id": 1}),
    ],
    ids=lambda odd: odd.canonical()[19:60],
)
def test_a_record_of_another_shape_is_refused(target: Environments, odd: Record) -> None:
    impostor = Impostor(redirect=[odd])
    target.source = impostor.add_source()
    error = refused(target)
    assert "testapp.redirect" in error or "The line 2 at the source" in error
    impostor.close()


@pytest.mark.parametrize("country", [[None], [5], [True], [1.5], ["ZZ"]], ids=repr)
def test_a_reference_to_a_key_that_nobody_can_have_is_a_problem_of_its_change(
    target: Environments, country: Any
) -> None:
    impostor = Impostor(redirect=[strange(country=country)])
    target.source = impostor.add_source()
    with target.untouched():
        changeset = target.changeset()
    assert [problem["code"] for problem in changeset.changes.get().problems] == ["missing_reference"]
    impostor.close()


@pytest.mark.parametrize("tags", ["a", ["a"], [["a"], ["a"]], [["b"], ["a"]], [["a", "b"]], None, {}], ids=repr)
def test_links_of_another_shape_are_refused(target: Environments, tags: Any) -> None:
    for name in "ab":
        Tag.objects.create(name=name)
    Product.objects.create(sku="lamp", name="Lamp")
    values = {"sku": "lamp", "name": "Lamp", "category": None, "related": [], "tags": tags}
    impostor = Impostor(product=[Record(model="testapp.product", key=("lamp",), fields=values)])
    target.source = impostor.add_source()
    assert "testapp.product" in refused(target)
    impostor.close()


@pytest.mark.parametrize(
    "line",
    [
        b'[{},["testapp.country",["ZZ"],{"code":"ZZ","code":"ZZ"},{}]]',
        b'[{},["testapp.country",["ZZ"],{"code":NaN},{}]]',
        b'[{},["testapp.country",["ZZ"],{"code":1e999},{}]]',
        b'[{},["testapp.country",["ZZ"],{"code":"\\ud800"},{}]]',
        b'[{},["testapp.country",["ZZ"],{"code":"\\u0000"},{}]]',
        b'[{},["testapp.country",["ZZ"],{ "code":"ZZ"},{}]]',
        b'[{},["testapp.country",["ZZ"],{"code":"\\u005aZ"},{}]]',
        b'[{},["testapp.country",["ZZ"],{"code":"ZZ"}]]',
        b'[{},["testapp.country",["ZZ"],{"code":"ZZ"},{}],[]]',
        b'[[],["testapp.country",["ZZ"],{"code":"ZZ"},{}]]',
        b'[{},["testapp.tag",["ZZ"],{"name":"ZZ"},{}]]',
        b'[{},["testapp.country",["ZZ"],{"code":"\xff"},{}]]',
        b'[{},["testapp.country",' + b"[" * 5000 + b"]" * 5000 + b',{"code":"ZZ"},{}]]',
        b'[{},["testapp.country",["ZZ"],{"code":' + b"9" * 5000 + b"},{}]]",
        b"[]",
        b"null",
        b"",
    ],
    ids=lambda line: repr(line[18:60]),
)
def test_a_line_that_is_no_canonical_record_is_refused(target: Environments, impostor: Impostor, line: bytes) -> None:
    lines = impostor.stream("testapp.country").splitlines(keepends=True)
    body = b"".join(lines[:-1]) + line + b"\n"
    closing = json.loads(lines[-1])
    closing["counts"]["testapp.country"] += 1
    closing["digest"] = "sha256:" + hashlib.sha256(body).hexdigest()
    end = json.dumps(closing, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    impostor.answers["export"] = http("200 OK", body + end)
    refused(target)


def test_a_text_with_nul_that_is_here_is_refused_by_its_row(target: Environments, impostor: Impostor) -> None:
    if connection.vendor == "postgresql":
        pytest.skip("PostgreSQL cannot hold it")
    Country.objects.filter(code="IT").update(code="\0\0")
    with target.untouched():
        pulled = target.pull()
    assert pulled.state == PullState.FAILED
    assert "U+0000" in pulled.error


# What only a hostile source would say


def test_a_row_that_would_need_itself_to_exist_is_a_problem_of_its_change(target: Environments) -> None:
    """Over another one: a row that refers to itself can be written, two that need each other cannot."""
    folders = {"/a": "/b", "/b": "/a"}
    impostor = Impostor(folder=[record("folder", path, path=path, parent=[folders[path]]) for path in folders])
    target.source = impostor.add_source()
    with target.untouched():
        changeset = target.changeset()
    for change in changeset.changes.all():
        [problem] = change.problems
        assert (problem["code"], problem["field"]) == ("self_reference", "parent")
        assert "Make the column nullable" in problem["message"]
    impostor.close()


def test_a_row_that_refers_to_itself_where_it_may_wait_is_no_problem(environments: Environments) -> None:
    category = environments.add(Category, slug="own", only="source")[0]
    category.parent = category
    category.save()
    product = environments.add(Product, sku="own", name="own", only="source")[0]
    product.related.add(product)
    environments.sync()
    environments.assert_equal()


def test_a_lie_about_the_size_of_a_file_that_is_here_fails_the_pull(target: Environments) -> None:
    target.put("a.txt", b"here", only="default")
    Document.objects.create(name="doc", attachment="a.txt")
    impostor = Impostor(document=[])
    impostor.records["testapp.document"] = [
        record(
            "document",
            "doc",
            name="doc",
            title="",
            files={"attachment": replace(impostor.file(b"here"), size=5), "cover": None},
        )
    ]
    target.source = impostor.add_source()
    error = refused(target)
    assert 'testapp.document ["doc"]' in error and "attachment" in error and "5 bytes" in error
    impostor.close()


@pytest.mark.parametrize("count", [10**30, True, -1, 1.0, "1", None], ids=repr)
def test_a_count_of_rows_that_cannot_be_is_refused(target: Environments, impostor: Impostor, count: Any) -> None:
    impostor.manifest["models"]["testapp.country"]["count"] = count
    assert "testapp.country" in refused(target)


@pytest.mark.parametrize("count", [False, True, -1, 1.0, "1", None], ids=repr)
def test_a_closing_line_without_numbers_of_rows_is_refused(
    target: Environments, impostor: Impostor, count: Any
) -> None:
    impostor.records["testapp.country"] = [country("DE")] if count else []
    body = impostor.stream("testapp.country").rpartition(b'{"counts"')[0]
    closing = {
        "counts": {"testapp.country": count},
        "digest": "sha256:" + hashlib.sha256(body).hexdigest(),
        "end": True,
    }
    impostor.answers["export"] = http("200 OK", body + json.dumps(closing).encode() + b"\n")
    assert "closing line" in refused(target)


@pytest.mark.parametrize("number", [[5], {"a": 1}, 10**30, -(10**30), "5", 1.5, True, None], ids=repr)
def test_a_reference_by_a_number_that_no_column_holds_finds_nothing(target: Environments, number: Any) -> None:
    """Plain values are looked for and not found; others are no key."""
    Product.objects.create(sku="lamp", name="Lamp")
    values = {"product": ["lamp"], "currency": [number], "amount": "1.00"}
    impostor = Impostor(price=[Record(model="testapp.price", key=("lamp", number), fields=values)])
    target.source = impostor.add_source()
    if isinstance(number, list | dict | None):
        refused(target)
    else:
        changeset = target.changeset()
        assert [problem["code"] for problem in changeset.changes.get().problems] == ["missing_reference"]
    impostor.close()


# Schemas that differ


def test_another_key_of_a_model_that_is_referred_to_but_not_pulled_is_reported(
    target: Environments,
) -> None:
    """Its keys mean something else there, although they may look alike."""
    impostor = Impostor(redirect=[strange()])
    impostor.manifest["models"]["testapp.redirect"]["fields"]["country"]["key"] = ["name"]
    target.source = impostor.add_source()
    done = target.pull()
    assert done.report["schema"][0]["difference"] == "has key ['code'] here and ['name'] at the source"
    assert "testapp.redirect" not in {row["label"] for row in done.report["models"]}
    impostor.close()


def alter(path: list[str], value: Any) -> Callable[[dict[str, Any]], None]:
    def change(models: dict[str, Any]) -> None:
        *parents, last = path
        for name in parents:
            models = models[name]
        if value is None:
            del models[last]
        else:
            models[last] = value

    return change


COUNTRY = ["testapp.country", "fields"]


EXTRA = {"type": "CharField", "null": False}
FLAG = {"flag": {"type": "file", "null": False}}
OTHER = {"key": ["a"], "fields": {}, "files": {}, "count": 0}


@pytest.mark.parametrize(
    ("change", "model", "field", "says"),
    [
        (alter([*COUNTRY, "extra"], EXTRA), "testapp.country", "extra", "only at the source"),
        (alter([*COUNTRY, "code"], None), "testapp.country", "code", "only here"),
        (alter([*COUNTRY, "code", "max_length"], 3), "testapp.country", "code", "max_length 2 here and 3"),
        (alter([*COUNTRY, "code", "type"], "SlugField"), "testapp.country", "code", "type 'CharField' here"),
        (alter([*COUNTRY, "code", "null"], True), "testapp.country", "code", "null False here"),
        (alter(["testapp.country", "key"], ["name"]), "testapp.country", "", "natural key ['code'] here"),
        (alter(["testapp.country", "files"], FLAG), "testapp.country", "flag", "only at the source"),
        (alter(["other.model"], OTHER), "other.model", "", "not registered here"),
    ],
)
def test_schemas_that_differ_are_reported_by_model_and_field(
    target: Environments,
    impostor: Impostor,
    change: Callable[[dict[str, Any]], None],
    model: str,
    field: str,
    says: str,
) -> None:
    """The source is of an older version, which cannot leave fields out: the model is left out."""
    change(impostor.manifest["models"])
    report = target.pull().report
    told = [one for one in report["schema"] if "left alone" not in one["difference"]]
    assert [(one["model"], one["field"]) for one in told] == [(model, field)]
    assert says in told[0]["difference"]
    assert model not in {row["label"] for row in report["models"]}


@pytest.mark.parametrize("protocol", [0, 2, "1", None])
def test_another_protocol_is_refused(target: Environments, impostor: Impostor, protocol: Any) -> None:
    impostor.manifest["protocol"] = protocol
    assert "protocol" in refused(target)


@pytest.mark.parametrize(
    "models",
    [[], {"testapp.country": []}, {"testapp.country": {"key": "code", "fields": {}, "files": {}, "count": 0}}],
    ids=repr,
)
def test_a_manifest_of_another_shape_is_refused(target: Environments, impostor: Impostor, models: Any) -> None:
    impostor.manifest["models"] = models
    assert "manifest" in refused(target).lower()
