"""`column IN (…)` for many values, as it costs least on each database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import models
from django.db.models.lookups import In


def among(column: str, values: Iterable[Any]) -> Any:
    """A condition for `filter`: whether a column (`attname`, or "pk") has one of these values."""
    return _Among(models.F(column), list(values))


class _Among(In):
    """One parameter, where the database takes that: to bind one for each value takes longer than to find the rows."""

    def get_prep_lookup(self) -> Any:
        return self.rhs  # As the column has them: there is nothing to prepare.

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, Sequence[Any]]:
        column, params = self.process_lhs(compiler, connection)
        values = self.rhs if self._are_integers() else self.process_rhs(compiler, connection)[1]
        return f"{column} = ANY(%s)", [*params, list(values)]

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, Sequence[Any]]:
        if not self._are_integers():
            return self.as_sql(compiler, connection)
        column, params = self.process_lhs(compiler, connection)
        return f"{column} IN (SELECT value FROM json_each(%s))", [*params, json.dumps(self.rhs)]  # noqa: S608

    def _are_integers(self) -> bool:
        """Whether a column of integers is asked for plain ones: of others, the field has to be asked about each."""
        field = self.lhs.output_field
        while field.remote_field is not None:
            field = field.target_field
        return isinstance(field, models.IntegerField) and set(map(type, self.rhs)) == {int}
