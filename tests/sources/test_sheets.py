"""Spreadsheets read as records: what each cell means, what is refused, and where."""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Sequence
from typing import Any

import openpyxl
import pytest
from django.utils import timezone

from data_sync.core.cells import harmless, meant
from data_sync.core.errors import MalformedSheet
from data_sync.core.records import Record, split_line
from data_sync.orm.resolution import schemas
from data_sync.sources.sheet import SheetSource
from data_sync.sources.sheet_rows import FORMATS
from data_sync.sources.table_files import write_table
from tests.sheet_writing import header_row, record_row


def records(label: str, content: str | bytes, form: str = "csv") -> list[Record]:
    data = content.encode() if isinstance(content, str) else content
    sheet = SheetSource(io.BytesIO(data), FORMATS[form], schemas()[f"testapp.{label}"])
    try:
        sheet._spool.seek(0)
        return [split_line(line.decode().rstrip("\n")).record() for line in sheet._spool]
    finally:
        sheet.close()


def refusal(label: str, content: str | bytes, form: str = "csv") -> str:
    with pytest.raises(MalformedSheet) as caught:
        records(label, content, form)
    return str(caught.value)


def workbook(*rows: Sequence[Any], also: Sequence[Sequence[Any]] = (), merge: str = "") -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(list(row))
    if also:
        other = book.create_sheet("Other")
        for row in also:
            other.append(list(row))
    if merge:
        book.active.merge_cells(merge)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def table(form: str, headers: Sequence[str], *rows: Sequence[Any]) -> bytes:
    file = io.BytesIO()
    write_table(form, headers, rows, file)
    return file.getvalue()


# Cells

HARD = {
    "name": "row",
    "big": 2**63 - 1,
    "big_or_null": None,
    "binary": "AAH/",
    "binary_or_null": None,
    "boolean": True,
    "boolean_or_null": None,
    "char": "=SUM(A1)",
    "char_or_null": "",
    "date": "2026-01-31",
    "date_or_null": None,
    "moment": "2026-01-31T10:00:00.123456+00:00",
    "moment_or_null": None,
    "amount": "-1.5000",
    "amount_or_null": None,
    "duration": "-1 23:59:59.000001",
    "duration_or_null": "2 03:04:05",
    "email": "''=@x",
    "email_or_null": None,
    "path": "/a b",
    "path_or_null": "'",
    "number": 0.1 + 0.2,
    "number_or_null": None,
    "address": "2001:db8::1",
    "address_or_null": None,
    "integer": -5,
    "integer_or_null": 0,
    "json": {"a": [1, "x", None, 1.5], "b": {}},
    "json_or_null": {"$json": None},
    "positive_big": 0,
    "positive_big_or_null": None,
    "positive": 7,
    "positive_or_null": None,
    "positive_small": 1,
    "positive_small_or_null": None,
    "slug": "00123",
    "slug_or_null": "NO",
    "small": -1,
    "small_or_null": None,
    "text": '  two\nlines _x000D_ax005F_, "quotes"; \ttab 日本 \U0001f600',
    "text_or_null": "1e3",
    "time": "12:00:00.000001",
    "time_or_null": None,
    "url": "",
    "url_or_null": "",
    "uuid": "00000000-0000-0000-0000-0000000000ff",
    "uuid_or_null": None,
}


@pytest.mark.parametrize("form", FORMATS)
def test_every_kind_of_value_reads_back_from_every_format_as_it_was_written(form: str) -> None:
    schema = schemas()["testapp.everything"]
    plain = Record(model="testapp.everything", key=("other",), fields=HARD | {"name": "other", "json": [], "text": ""})
    written = [Record(model="testapp.everything", key=("row",), fields=HARD), plain]
    rows = [record_row(schema, record, has_types=FORMATS[form].has_types) for record in written]
    assert records("everything", table(form, header_row(schema), *rows), form) == written


@pytest.mark.parametrize("form", FORMATS)
def test_references_links_and_fields_of_the_projects_own_read_back_from_every_format(form: str) -> None:
    for label, key, fields in (
        ("copy", ("FR", "fr", "a"), {"value": "@", "key": "a", "language": ["FR", "fr"]}),
        ("product", ("",), {"sku": "", "name": "", "category": [""], "tags": [["a,b"], ["c"]], "related": []}),
        ("paint", ("#ff0000",), {"colour": "#ff0000", "undertone": None, "names": '["=1", "x"]'}),
        ("price", ("A", 7), {"product": ["A"], "currency": [7], "amount": "1.00"}),
    ):
        record = Record(model=f"testapp.{label}", key=key, fields=fields)
        schema = schemas()[f"testapp.{label}"]
        row = record_row(schema, record, has_types=FORMATS[form].has_types)
        assert records(label, table(form, header_row(schema), row), form) == [record]


@pytest.mark.parametrize("text", ["", "'", "''", "=1", "'=1", "-", "+1", "@x", "\tx", "\rx", "\nx", "＝1", "x=1", "'x"])
def test_marks_are_taken_off_as_they_were_put_on(text: str) -> None:
    assert meant(harmless(text)) == text
    assert not harmless(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))


@pytest.mark.parametrize(
    ("column", "cell", "plain"),
    [
        ("integer", 5.0, 5),
        ("integer", " 007 ", 7),
        ("amount", 0.1, "0.1000"),
        ("amount", "1e2", "100.0000"),
        ("boolean", "TRUE", True),
        ("boolean", 0, False),
        ("date", datetime.datetime(2026, 1, 31), "2026-01-31"),
        ("moment", datetime.datetime(2026, 7, 1, 12), "2026-07-01T10:00:00+00:00"),
        ("moment", "2026-07-01 12:00", "2026-07-01T10:00:00+00:00"),
        ("moment", "2026-07-01T12:00:00Z", "2026-07-01T12:00:00+00:00"),
        ("time", datetime.time(9, 30), "09:30:00"),
        ("duration", datetime.timedelta(days=1, hours=2), "1 02:00:00"),
        ("address", "2001:DB8:0::1", "2001:db8::1"),
        ("json", "null", {"$json": None}),
        ("json_or_null", None, None),
        ("char_or_null", None, None),
        ("char_or_null", "'", ""),
        ("char", None, ""),
    ],
)
def test_what_a_cell_of_a_spreadsheet_means(column: str, cell: Any, plain: Any) -> None:
    with timezone.override("Europe/Berlin"):
        [record] = records("everything", workbook(("name", column), ("x", cell)), "xlsx")
    assert record.fields[column] == plain
    assert type(record.fields[column]) is type(plain)


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        ("integer", 1.5, "whole numbers"),
        ("integer", True, "whole numbers"),
        ("integer", "1.000", "whole numbers"),
        ("integer", 1e17, "rounded"),
        ("integer", None, "takes no null"),
        ("amount", "1.00001", "keeps 4 decimals"),
        ("amount", "1,5", "Write a point"),
        ("amount", "1e999999999", "decimal numbers"),
        ("boolean", "yes", "true or false"),
        ("boolean", 2, "true or false"),
        ("char", 123, "leading zeros"),
        ("char", True, "holds text"),
        ("char", datetime.datetime(2026, 1, 31), "holds text"),
        ("date", 46053, "Format the cell as a date"),
        ("date", "31.01.2026", "2026-01-31"),
        ("date", datetime.datetime(2026, 1, 31, 10), "holds dates"),
        ("moment", "2026-03-29 02:30", "leave out or have twice"),
        ("moment", "2026-10-25 02:30", "leave out or have twice"),
        ("binary", "?", "base64"),
        ("uuid", "x", "UUIDs"),
        ("address", "1.2.3", "IP address"),
        ("json", "{'a': 1}", "JSON"),
        ("json", '{"a": 1, "a": 2}', "twice"),
        ("json", "NaN", "JSON"),
        ("number", "1,5", "Write a point"),
        ("char", "#DIV/0!", "the error"),
        ("big", 4111111111111110, "rounded"),
        ("json", 4111111111111110, "rounded"),
        ("number", "1e400", "no double"),
        ("number", "-1e-400", "no double"),
        ("time", "10:00:00.1234567", "finer than a microsecond"),
        ("moment", "2026-07-01T12:00:00.0000001Z", "finer than a microsecond"),
        ("duration", "00:00:00.0000001", "finer than a microsecond"),
        ("address", "fe80::1%eth0", "IP address"),
    ],
)
def test_a_cell_that_may_mean_something_else_is_refused_by_row_and_column(column: str, cell: Any, reason: str) -> None:
    with timezone.override("Europe/Berlin"):
        told = refusal("everything", workbook(("name", column), (), ("x", cell)), "xlsx")
    assert f"Row 3, column “{column}” " in told
    assert reason in told


def test_empty_null_and_absent_are_three_things_in_json() -> None:
    [record] = records("everything", '[{"name": "x", "char_or_null": "", "text_or_null": null}]', "json")
    assert record.fields == {"name": "x", "char_or_null": "", "text_or_null": None}
    assert "Item 1, column “char” is null" in refusal("everything", '[{"name": "x", "char": null}]', "json")
    assert "Item 2 lacks “char”" in refusal("everything", '[{"name": "x", "char": ""}, {"name": "y"}]', "json")


def test_plain_words_of_yaml_are_texts_and_what_multiplies_is_refused() -> None:
    sheet = "- {code: NO}\n- {code: on}\n- {code: '7'}\n- {code: 07}\n"
    assert [record.key for record in records("country", sheet, "yaml")] == [("NO",), ("on",), ("7",), ("07",)]
    assert "number 7" in refusal("country", "- {code: 7}", "yaml")
    assert "anchor" in refusal("country", "- &a {code: NO}\n- *a", "yaml")
    assert "second time" in refusal("country", "- {code: NO, code: SE}", "yaml")
    assert "tag" in refusal("country", "- !!python/object:os.system {code: NO}", "yaml")
    assert "nested" in refusal("country", "- " + "[" * 5000, "yaml")


# Columns


@pytest.mark.parametrize(
    ("label", "header", "words"),
    [
        ("country", "code,name", "no column “name”. Rename it, or remove it. Known are: code."),
        ("country", "code,id", "“id” is the primary key"),
        ("country", "code,code", "give the same"),
        ("country", "code,", ""),
        ("country", "name", "no column “name”"),
        ("language", "code", "lacks country.code"),
        ("copy", "language.code,key", "needs all parts of its key. Add the column language.country.code"),
        ("copy", "language,language.code,language.country.code,key", "Keep one form"),
        ("copy", "language,key,thumbnail", "files do not travel in sheets"),
        ("country", ",code", "has no header"),
    ],
)
def test_headers_are_known_once_and_with_the_whole_key(label: str, header: str, words: str) -> None:
    if words:
        assert words in refusal(label, f"{header}\n")
    else:
        assert records(label, f"{header}\nFR,\n")


def test_a_reference_takes_the_paths_of_its_key_with_dots_or_underscores_or_one_column() -> None:
    wanted = [("FR", "fr", "title")]
    for sheet in (
        "language.country.code,language.code,key\nFR,fr,title\n",
        "language__country__code,language__code,key\nFR,fr,title\n",
        'language,key\n"[""FR"", ""fr""]",title\n',
        "\ufefflanguage.country.code;language.code;key\n\nFR;fr;title\n;;\n",
    ):
        assert [record.key for record in records("copy", sheet)] == wanted, sheet
    [record] = records("product", 'sku,category,tags,related\nA,shoes,"x, y",\n')
    assert record.fields == {"sku": "A", "category": ["shoes"], "tags": [["x"], ["y"]], "related": []}
    lacking = refusal("copy", "language.country.code,language.code,key\nFR,,x\n,,y\n,,\n'," + "',\n")
    assert lacking.splitlines()[1:] == [
        "Row 2, column “language.code” is empty, and other columns of language are not. Fill it in; ' stands for an "
        "empty text.",
        "Row 3, column “language.country.code” is empty, and every row refers to one. Fill it in.",
        "Row 5, column “key” is empty, and is part of the natural key. Fill it in; ' stands for an empty text.",
    ]


def test_a_generic_key_that_every_row_has_cannot_be_empty() -> None:
    with pytest.raises(MalformedSheet, match="column “marked” is empty, and every row refers to one"):
        SheetSource(io.BytesIO(b"code,marked\nx,\n"), FORMATS["csv"], schemas()["hard.mark"])


def test_all_errors_of_a_sheet_are_told_at_once_and_two_rows_of_one_key_by_both_numbers() -> None:
    told = refusal("slot", "name,place\na,x\nb,1\n\nb,2\nc,3,4\nd\n")
    assert told.splitlines() == [
        "Nothing was read: 4 errors.",
        "Row 2, column “place” is “x”, and the column holds whole numbers. Write digits, without separators.",
        'Row 5 has the natural key ["b"] of row 3. Remove one.',
        "Row 6 has a value right of the last header (column 2). Remove it.",
        "Row 7 has 1 cells, and the header 2. Is a separator missing?",
    ]
    many = refusal("slot", "name,place\n" + "".join(f"{number},x\n" for number in range(99)))
    assert many.startswith("Nothing was read: 20 errors; there may be more.")


def test_what_a_redacted_column_holds_is_in_no_error() -> None:
    told = refusal("customer", "name,limit\nx,hunter2\n")
    assert "Row 2, column “limit” cannot be used" in told
    assert "hunter2" not in told


# Files


def test_a_workbook_has_one_sheet_with_content_and_no_merged_or_uncalculated_cells() -> None:
    assert "“Sheet”, “Other”" in refusal("country", workbook(("code",), ("FR",), also=[("x",)]), "xlsx")
    assert "merged" in refusal("country", workbook(("code", "x"), ("FR",), merge="A2:B2"), "xlsx")
    assert "The cell A2 has a formula" in refusal("country", workbook(("code",), ("=1+1",)), "xlsx")
    assert [record.key for record in records("country", workbook(("code",), ("FR",), (None,), ("DE",)), "xlsx")] == [
        ("FR",),
        ("DE",),
    ]


def test_what_excel_writes_for_characters_that_xml_alters_is_read_as_they_are() -> None:
    shared = "a_x000D_\nb _x005F_x000D_ cx005F_"
    data, out = io.BytesIO(workbook(("word", "meaning"), ("x", "here"))), io.BytesIO()
    namespace = "http://schemas.openxmlformats.org"
    with zipfile.ZipFile(data) as source, zipfile.ZipFile(out, "w") as archive:
        for name in source.namelist():
            text = source.read(name).decode()
            text = text.replace('t="inlineStr"><is><t>here</t></is>', 't="s"><v>0</v>')
            text = text.replace(
                "</Types>",
                '<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats-officedocument.'
                'spreadsheetml.sharedStrings+xml"/></Types>',
            )
            archive.writestr(name, text)
        strings = f'<sst xmlns="{namespace}/spreadsheetml/2006/main"><si><t>{shared}</t></si></sst>'
        archive.writestr("xl/sharedStrings.xml", strings)
    [record] = records("term", out.getvalue(), "xlsx")
    assert record.fields["meaning"] == "a\r\nb _x000D_ cx005F_"
    [record] = records("term", table("xlsx", ["word", "meaning"], ["x", "=\r_x0041_\x01"]), "xlsx")
    assert record.fields["meaning"] == "=\r_x0041_\x01"


def test_white_space_of_an_ods_file_is_in_elements_so_that_programs_keep_it() -> None:
    with zipfile.ZipFile(io.BytesIO(table("ods", ["word"], ["x\ny  z\tq"]))) as archive:
        content = archive.read("content.xml").decode()
    assert all(f"<text:{name}" in content for name in ("line-break", "s", "tab"))


def test_repeated_cells_and_rows_of_libreoffice_stay_in_their_columns() -> None:
    cell = '<table:table-cell office:value-type="string"{}><text:p>{}</text:p></table:table-cell>'
    empty = '<table:table-cell table:number-columns-repeated="{}"/>'
    rows = (
        "".join(cell.format("", name) for name in ("sku", "name", "category.slug", "tags")) + empty.format(16380),
        cell.format("", "A") + empty.format(2) + cell.format("", "x,<text:s text:c='2'/>y") + empty.format(16380),
        cell.format(' table:number-columns-repeated="2"', "B"),
    )
    body = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows[:2])
    body += f'<table:table-row table:number-rows-repeated="9">{empty.format(16384)}</table:table-row>'
    body += f"<table:table-row>{rows[2]}</table:table-row>"
    assert [(one.key, one.fields["name"], one.fields["tags"]) for one in records("product", _ods(body), "ods")] == [
        (("A",), "", [["x"], ["y"]]),
        (("B",), "B", []),
    ]
    head = "".join(cell.format("", name) for name in ("sku", "created"))
    moment = '<table:table-cell office:value-type="date" office:date-value="{}"/>'
    for given, said in (
        ("2026-01-31T10:00:00.9999999995", ["2026-01-31T16:00:01+00:00"]),
        ("31.1.2026", "Row 2, column “created” is said to be a date, and is none."),
    ):
        body_of = f"<table:table-row>{head}</table:table-row><table:table-row>{cell.format('', 'A')}"
        data = _ods(f"{body_of}{moment.format(given)}</table:table-row>")
        if isinstance(said, list):
            assert [one.carried["created"] for one in records("product", data, "ods")] == said
        else:
            assert said in refusal("product", data, "ods")
    twice = body + f'<table:table-row table:number-rows-repeated="2">{cell.format("", "C")}</table:table-row>'
    assert "Row 14 has the natural key" in refusal("product", _ods(twice), "ods")


def _ods(rows: str) -> bytes:
    names = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    content = (
        f"<office:document-content{names}><office:body><office:spreadsheet>"
        f'<table:table table:name="One">{rows}</table:table></office:spreadsheet></office:body>'
        "</office:document-content>"
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("content.xml", content)
    return file.getvalue()
