"""`column IN (…)` for many values, as it costs least on each database."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models.lookups import In


def among(column: str, values: Iterable[Any]) -> Any:
    """A condition for `filter`: whether a column (`attname`, or "pk") has one of these values."""
    return _Among(models.F(column), list(values))


class _Among(In):
    """On PostgreSQL one parameter: to bind one for each value takes longer than to find the rows."""

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        _, values = self.process_rhs(compiler, connection)
        return f"{column} = ANY(%s)", [*params, list(values)]
