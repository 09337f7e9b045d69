import time

import pytest

from data_sync.models import Change
from tests.admin import making


@pytest.mark.django_db(databases="__all__")
def test_big(run):
    cs = making.changeset([making.update(1)])
    one = cs.changes.get()
    rows = []
    for n in range(2, 120001):
        c = Change(**{f.attname: getattr(one, f.attname) for f in Change._meta.concrete_fields if f.attname != "id"})
        c.number = n; c.operation = "delete" if n % 3 == 0 else "update"; rows.append(c)
    Change.objects.bulk_create(rows, batch_size=2000)
    for words in (["accept", cs.pk, "--all"], ["reject", cs.pk, "--all"], ["accept", cs.pk, "--all", "--operation", "delete"], ["show", cs.pk], ["show", cs.pk, "--json"], ["accept", cs.pk, "--change", *range(1, 3000)], ["show", cs.pk, "--change", "3"], ["list"], ["export", cs.pk]):
        t = time.time(); r = run(*words); print(str(words)[:40], r.code, r.err[-200:], len(r.out), time.time() - t)
