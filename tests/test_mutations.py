"""The table of guards that are switched off one at a time fits the code; switching them off is a command of its own."""

from __future__ import annotations

import ast

import pytest

from tests.mutations.mutation import ROOT, Mutation
from tests.mutations.table import MUTATIONS

pytestmark = pytest.mark.no_database


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.guard)
def test_each_guard_stands_in_the_code_once_and_has_tests(mutation: Mutation) -> None:
    text = (ROOT / mutation.path).read_text(encoding="utf-8")
    ast.parse(mutation.applied_to(text))
    assert mutation.tests
    for test in mutation.tests:
        file, _, name = test.partition("::")
        assert (ROOT / file).exists()
        assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8") if name else True


def test_no_guard_is_named_twice() -> None:
    guards = [mutation.guard for mutation in MUTATIONS]
    assert len(set(guards)) == len(guards)
