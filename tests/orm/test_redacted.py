"""Of which models the `str()` of a row may hold what another one's registration redacts."""

from __future__ import annotations

import pytest
from django.db import models

from data_sync.orm.redacted import may_tell, redacting_models
from data_sync.orm.resolution import schemas
from tests.hard.models import Mark
from tests.testapp.models import Booking, Comment, Country, Customer, Product, Shelf, Tag, Vote

pytestmark = pytest.mark.no_database


@pytest.mark.parametrize(
    ("model", "redacting", "may"),
    [
        (Product, Product, True),
        (Comment, Product, True),
        (Vote, Product, True),
        (Vote, Tag, True),
        (Shelf, Tag, True),
        (Mark, Country, True),
        (Product, Comment, False),
        (Tag, Product, False),
        (Vote, Country, False),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_leads_to_a_redacting_row_may_tell_of_it(
    model: type[models.Model], redacting: type[models.Model], may: bool
) -> None:
    assert may_tell(model, [redacting]) is may
    assert not may_tell(model, [])


def test_models_redact_by_their_registration_or_because_the_source_says_so() -> None:
    assert redacting_models() == {Customer}
    tag = schemas()["testapp.tag"]
    assert redacting_models([tag]) == {Customer}
    assert redacting_models([tag.redacting(["name"])]) == {Customer, Tag}
    assert may_tell(Booking, redacting_models())
