"""Whether what is applied without review stays within bounds that somebody meant, and on whose authority."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.checks import CheckMessage, Info, Warning

from data_sync import conf
from data_sync.models import Trust
from data_sync.services import trust

from .registering import stored

MANY_CHANGES, MANY_DELETES = 10_000, 1_000
"""From here on a limit is none: most projects have no model of more rows that one source should be able to change."""


@stored
def check_trust() -> Iterator[CheckMessage]:
    standing = list(Trust.objects.filter(is_on=True).select_related("source", "user").order_by("pk"))
    for one in standing:
        if one.max_changes > MANY_CHANGES or one.max_deletes > MANY_DELETES:
            yield Warning(
                f"What is pulled from “{one.source.name}” may be applied without review, up to {one.max_changes:,} "
                f"changes and {one.max_deletes:,} deletes at a time: a wrong source could replace whole tables.",
                hint="data_sync source trust NAME --max-changes N --max-deletes N: somewhat above what is usual there.",
                id="data_sync.W030",
            )
        if reason := trust.lacking(one):
            yield Warning(
                f"“{one.source.name}” is trusted, and nothing from it will be applied without review: {reason}",
                hint="Have somebody who may do so switch trust on anew, or end it: data_sync source untrust NAME.",
                id="data_sync.W031",
            )
    unattended = [f"“{one.source.name}”" for one in standing if one.unattended]
    if unattended and not conf.four_eyes():
        yield Info(
            f"Applied without anybody looking: {', '.join(unattended)}. DATA_SYNC_FOUR_EYES is off, so one person can "
            "switch that on, and pull, alone.",
            hint="Set DATA_SYNC_FOUR_EYES = True where two have to agree.",
            id="data_sync.I005",
        )
