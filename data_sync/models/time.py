"""The database's clock, which every worker shares."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now


class UtcNow(Now):
    """`Now()`, in UTC also on MySQL and MariaDB, whose sessions may be in another time zone."""

    def as_mysql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra)
