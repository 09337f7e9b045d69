"""Every field type travels without loss, and equal rows have equal lines on every database."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import models
from django.utils import timezone as django_timezone

from data_sync.core.source import Request
from data_sync.core.wire import StreamReader
from data_sync.models import Changeset
from data_sync.orm.read import LocalSource
from data_sync.orm.values import codec_of
from tests.environments import Environments
from tests.testapp.fields import Colour, ColourField
from tests.testapp.models import Everything, Paint

ALL_PLANES = "".join(chr(plane << 16 | 0x0101) for plane in range(17))
"""One character of every plane of Unicode, private and unassigned ones too."""

WIDE = "".join(
    (
        "\t\n\r\x01\x7f\x85\u2028\u2029",  # Control characters and line ends of all kinds.
        "\"\\/'<>&",  # What JSON, SQL and HTML have to escape.
        "é e\u0301 \ufb01",  # Composed, decomposed, ligature: three texts that normalising would join.
        "\u202e\u200b\ufeff\ufffe\uffff",  # Direction, nothing, byte order, noncharacters.
        "  both ends  ",
    )
)

VALUES: list[tuple[str, Any]] = [
    ("big", -(2**63)),
    ("big", 2**63 - 1),
    ("big", 2**53 + 1),
    ("binary", b""),
    ("binary", bytes(range(256))),
    ("boolean", True),
    ("char", ALL_PLANES),
    ("char", WIDE),
    ("char", ""),
    ("date", date(1, 1, 1)),
    ("date", date(9999, 12, 31)),
    ("moment", datetime(2026, 3, 29, 1, 59, 59, 999999, tzinfo=UTC)),
    ("moment", datetime(2026, 10, 25, 3, 30, 0, 1, tzinfo=timezone(timedelta(hours=5, minutes=45)))),
    ("moment", datetime(1970, 1, 1, tzinfo=UTC)),
    ("amount", Decimal("99999999.9999")),
    ("amount", Decimal("-0.0001")),
    ("amount", Decimal("1.1000")),
    ("duration", timedelta(days=-1, microseconds=1)),
    ("duration", timedelta(days=-400, hours=5)),
    ("duration", timedelta(days=36500, seconds=86399, microseconds=999999)),
    ("duration", timedelta(microseconds=-1)),
    ("email", "ünïcode@exämple.com"),
    ("path", "/etc/hostname"),
    ("number", 0.1 + 0.2),
    ("number", -1.5e-300),
    ("number", 1.7976931348623157e308),
    ("number", 1e16),
    ("number", 3.0),
    ("address", "255.255.255.255"),
    ("address", "2001:db8::1"),
    ("address", "::ffff:10.10.10.10"),
    ("integer", -(2**31)),
    ("integer", 2**31 - 1),
    ("json", {}),
    ("json", []),
    ("json", 0),
    ("json", False),
    ("json", ""),
    ("json", "text"),
    ("json", {"nested": [{"a": None, "ü": [1, 1.5, True, "\U0001f600"]}], "": "empty name"}),
    ("json", [1, True, 1.5, "1", None]),
    ("json", {"$json": None}),
    ("json", 2**53 + 1),
    ("positive_big", 2**63 - 1),
    ("positive", 2**31 - 1),
    ("positive_small", 2**15 - 1),
    ("slug", "a-slug_1"),
    ("small", -(2**15)),
    ("text", ALL_PLANES + WIDE),
    ("text", "x" * 100_000),
    ("time", time(0, 0, 0, 1)),
    ("time", time(23, 59, 59, 999999)),
    ("url", "https://exämple.com/?q=ü#é"),
    ("uuid", UUID("12345678-9abc-4ef0-9234-56789abcdef0")),
]


def test_every_value_arrives_as_it_was(environments: Environments) -> None:
    for number, (field, value) in enumerate(VALUES):
        environments.add(Everything, name=f"created-{number}", **{field: value}, only="source")
        environments.add(Everything, name=f"filled-{number}", **{f"{field}_or_null": (value, None)})
        environments.add(Everything, name=f"nulled-{number}", **{f"{field}_or_null": (None, value)})
    changeset = environments.sync("testapp.everything")
    assert (changeset.creates, changeset.updates) == (len(VALUES), 2 * len(VALUES))

    for there in Everything.objects.using("source"):
        here = Everything.objects.get(name=there.name)
        for column in Everything._meta.concrete_fields[1:]:
            ours, theirs = getattr(here, column.attname), getattr(there, column.attname)
            if isinstance(column, models.JSONField):
                ours, theirs = (json.dumps(value, sort_keys=True) for value in (ours, theirs))
            assert (type(ours), repr(ours)) == (type(theirs), repr(theirs)), (there.name, column.name)
    for number, (field, value) in enumerate(VALUES):
        given = Everything._meta.get_field(field).to_python(value)
        stored = getattr(Everything.objects.get(name=f"created-{number}"), field)
        assert stored == given, (field, value)
    assert not Changeset.objects.filter(pull=environments.pull("testapp.everything")).exists()


CONFUSED = [
    (None, "null"),
    ("null", None),
    ("null", {}),
    ([1], [True]),
    ([1], [1.0]),
    ({"a": 0}, {"a": False}),
    ({"a": None}, {}),
    ({"$json": None}, "null"),
    ({"$json": {"$json": None}}, {"$json": None}),
    (0, False),
    ("", None),
]


def test_json_values_that_python_or_sql_confuse_stay_apart(environments: Environments) -> None:
    null = models.Value(None, models.JSONField())
    for number, (before, after) in enumerate(CONFUSED):
        pair = tuple(null if value == "null" else value for value in (after, before))
        environments.add(Everything, name=f"row-{number}", json_or_null=pair)
    changeset = environments.changeset("testapp.everything")
    assert changeset.updates == len(CONFUSED)
    environments.accept_all(changeset)
    applied = environments.apply(environments.approve(changeset))
    assert applied.state == "applied", applied.state_reason
    for number, (_, after) in enumerate(CONFUSED):
        for alias in ("source", "default"):
            rows = Everything.objects.using(alias).filter(name=f"row-{number}")
            assert rows.filter(json_or_null__isnull=True).exists() == (after is None), (alias, after)
            assert rows.filter(json_or_null=null).exists() == (after == "null"), (alias, after)
    environments.assert_equal()
    assert not Changeset.objects.filter(pull=environments.pull("testapp.everything")).exists()


@pytest.mark.parametrize("column", ["char", "text", "binary"])
def test_null_and_empty_are_two_values(environments: Environments, column: str) -> None:
    empty = b"" if column == "binary" else ""
    environments.add(Everything, name="emptied", **{f"{column}_or_null": (empty, None)})
    environments.add(Everything, name="nulled", **{f"{column}_or_null": (None, empty)})
    assert environments.sync("testapp.everything").updates == 2
    assert getattr(Everything.objects.get(name="emptied"), f"{column}_or_null") == empty
    assert getattr(Everything.objects.get(name="nulled"), f"{column}_or_null") is None


def test_custom_fields_travel_by_their_own_conversions(environments: Environments) -> None:
    environments.add(Paint, colour=Colour(1, 2, 255), names=(["bleu", "", "蓝"], ["blue"]))
    environments.add(Paint, colour=Colour(255, 0, 0), undertone=Colour(9, 9, 9), names=[], only="source")
    environments.add(Paint, colour=Colour(0, 0, 0), undertone=(None, Colour(1, 1, 1)), names=["black"])
    changeset = environments.sync("testapp.paint")
    assert {tuple(change.key) for change in changeset.changes.all()} == {("#0102ff",), ("#ff0000",), ("#000000",)}
    assert Paint.objects.get(colour=Colour(1, 2, 255)).names == ["bleu", "", "蓝"]
    assert Paint.objects.get(colour=Colour(255, 0, 0)).undertone == Colour(9, 9, 9)
    assert Paint.objects.get(colour=Colour(0, 0, 0)).undertone is None
    environments.assert_equal()


PLAIN = {
    "null": None,
    "true": True,
    "0": 0,
    "10**400": 10**400,
    "1.5": 1.5,
    "text": "text",
    "empty": "",
    "nul": "\0",
    "huge": "9" * 400,
    "far": "0001-01-01T00:00:00+14:00",
    "days": "99999999999999 00:00:00",
    "list": [5],
    "object": {"a": 1},
}
READ = {
    models.BooleanField(): {"true"},
    models.IntegerField(): {"0", "10**400"},
    models.BigAutoField(primary_key=True): {"0", "10**400"},
    models.FloatField(): {"0", "1.5"},
    models.DecimalField(max_digits=5, decimal_places=2): {"huge"},
    models.DateField(): set(),
    models.TimeField(): set(),
    models.DateTimeField(): set(),
    models.DurationField(): {"empty"},
    models.BinaryField(): {"text", "empty", "huge"},
    models.UUIDField(): set(),
    models.CharField(max_length=9): {"text", "empty", "nul", "huge", "far", "days"},
    models.TextField(): {"text", "empty", "nul", "huge", "far", "days"},
    models.GenericIPAddressField(): {"text", "empty", "nul", "huge", "far", "days"},
    models.JSONField(): set(PLAIN),
    ColourField(max_length=7): {"null"},
}


@pytest.mark.no_database
@pytest.mark.parametrize("plain", PLAIN)
@pytest.mark.parametrize("field", READ, ids=lambda field: type(field).__name__)
def test_plain_values_of_another_type_are_refused_by_value_error_only(field: Any, plain: str) -> None:
    from_plain = codec_of(field).from_plain
    if plain in READ[field]:
        from_plain(PLAIN[plain])
    else:
        with pytest.raises(ValueError):
            from_plain(PLAIN[plain])


@pytest.mark.no_database
@pytest.mark.parametrize(
    ("places", "value", "text"),
    [
        (2, "1" * 60 + ".125", "1" * 60 + ".12"),
        (30, "0." + "3" * 30, "0." + "3" * 30),
        (30, "-12345678901234567890." + "1" * 30, "-12345678901234567890." + "1" * 30),
        (2, "-0.001", "0.00"),
        (2, "1E+3", "1000.00"),
        (None, "1" * 60 + "." + "3" * 60 + "00", "1" * 60 + "." + "3" * 60),
        (None, "-0.000", "0"),
        (None, "1E+40", "1" + "0" * 40),
        (None, "NaN", "NaN"),
    ],
)
def test_decimals_keep_every_digit(places: int | None, value: str, text: str) -> None:
    codec = codec_of(models.DecimalField(max_digits=200, decimal_places=places))
    assert codec.to_text(Decimal(value)) == f'"{text}"'
    assert text == "NaN" or codec.from_plain(text) == Decimal(text)


GOLDEN_ROW = {
    "name": "golden",
    "big": -(2**63),
    "binary": bytes(range(256)),
    "boolean": True,
    "char": '"\\\t\u2028é\U0001f600',
    "char_or_null": "",
    "date": date(1, 2, 3),
    "moment": datetime(2026, 7, 1, 1, 2, 3, 45, tzinfo=timezone(timedelta(hours=-7))),
    "amount": Decimal("-12.5"),
    "duration": timedelta(days=-2, microseconds=7),
    "email": "a@b.example",
    "path": "/tmp",
    "number": 0.1 + 0.2,
    "number_or_null": 1e22,
    "address": "2001:DB8::1",
    "integer": 7,
    "json": {"z": [1, 1.0, True, None, 1e3, -0.0], "a": {"é": "\U0001f600"}},
    "json_or_null": models.Value(None, models.JSONField()),
    "positive_big": 2**63 - 1,
    "positive": 1,
    "positive_small": 2,
    "slug": "s",
    "small": -3,
    "text": "line\nline",
    "time": time(1, 2, 3, 4),
    "url": "https://example.com/",
    "uuid": UUID("12345678-9abc-4ef0-9234-56789abcdef0"),
}
GOLDEN_LINE = (
    '[{},["testapp.everything",["golden"],{"address":"2001:db8::1","address_or_null":null,'
    '"amount":"-12.5000","amount_or_null":null,"big":-9223372036854775808,"big_or_null":null,'
    '"binary":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P'
    "0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5fYGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKDhIWG"
    "h4iJiouMjY6PkJGSk5SVlpeYmZqbnJ2en6ChoqOkpaanqKmqq6ytrq+wsbKztLW2t7i5uru8vb6/wMHCw8TFxsfIycrLzM3"
    'Oz9DR0tPU1dbX2Nna29zd3t/g4eLj5OXm5+jp6uvs7e7v8PHy8/T19vf4+fr7/P3+/w==","binary_or_null":null,'
    '"boolean":true,"boolean_or_null":null,"char":"\\"\\\\\\t\u2028é\U0001f600","char_or_null":"","date":"0001-02-03",'
    '"date_or_null":null,"duration":"-2 00:00:00.000007","duration_or_null":null,'
    '"email":"a@b.example","email_or_null":null,"integer":7,"integer_or_null":null,"json":{'
    '"a":{"é":"\U0001f600"},"z":[1,1.0,true,null,1000.0,0.0]},"json_or_null":{"$json":null},'
    '"moment":"2026-07-01T08:02:03.000045+00:00","moment_or_null":null,"name":"golden",'
    '"number":0.30000000000000004,"number_or_null":10000000000000000000000,"path":"/tmp",'
    '"path_or_null":null,"positive":1,"positive_big":9223372036854775807,'
    '"positive_big_or_null":null,"positive_or_null":null,"positive_small":2,'
    '"positive_small_or_null":null,"slug":"s","slug_or_null":null,"small":-3,"small_or_null":null,'
    '"text":"line\\nline","text_or_null":null,"time":"01:02:03.000004","time_or_null":null,'
    '"url":"https://example.com/","url_or_null":null,"uuid":"12345678-9abc-4ef0-9234-56789abcdef0",'
    '"uuid_or_null":null},{}]]'
)
GOLDEN_DIGEST = "a3be729101e64b1781abd591434055fc9ab49c478597b0b0407c72845bc4f279"


def lines(label: str) -> list[str]:
    with LocalSource([label]).stream(Request(models=(label,))) as blocks:
        return [line.decode() for some in StreamReader(blocks, [label]) for _, line in some]


@pytest.mark.django_db
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "America/St_Johns"])
def test_the_line_of_a_row_is_the_same_on_every_database_and_in_every_time_zone(zone: str) -> None:
    Everything.objects.create(**GOLDEN_ROW)
    with django_timezone.override(zone):
        assert lines("testapp.everything") == [GOLDEN_LINE]
    record = GOLDEN_LINE.removeprefix("[{},").removesuffix("]")
    assert hashlib.sha256(record.encode()).hexdigest() == GOLDEN_DIGEST


def test_the_line_of_a_row_is_the_same_from_another_process(environments: Environments) -> None:
    """The other process has its own hash seed and the time zone of Auckland."""
    environments.add(Everything, **GOLDEN_ROW, only="source")
    changeset = environments.changeset("testapp.everything")
    assert changeset.changes.get().after_digest == f"sha256:{GOLDEN_DIGEST}"
