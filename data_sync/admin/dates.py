"""Times with their zone; the stock list with its links by date, where the database can make them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.db import connections
from django.utils import dateformat, formats, timezone


class DatedList(ChangeList):
    """MySQL and MariaDB come without time zones, and a date hierarchy in local time is then an error."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if not knows_time_zone(self.root_queryset.db, timezone.get_current_timezone_name()):
            self.date_hierarchy = None


def knows_time_zone(alias: str, name: str) -> bool:
    """Whether the database can tell the local date of a stored moment. One query on MySQL, none elsewhere."""
    connection = connections[alias]
    if connection.vendor != "mysql" or name == connection.timezone_name:
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT CONVERT_TZ('2001-01-01 01:00:00', %s, %s)", [connection.timezone_name, name])
        return cursor.fetchone()[0] is not None


def moment(at: datetime | None, style: str = "DATETIME_FORMAT") -> str:
    """A time in the zone of the screen, which it names: others may look from elsewhere. "" for none."""
    if at is None:
        return ""
    local = timezone.localtime(at) if timezone.is_aware(at) else at
    return f"{formats.date_format(local, style)} {dateformat.format(local, 'T')}".rstrip()
