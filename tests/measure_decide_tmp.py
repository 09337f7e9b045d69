import time, pytest, hashlib
from django.db import connection
from django.test.utils import CaptureQueriesContext
from data_sync.models import Change, Changeset, DataSource, DataPull
from data_sync.services import review, approval, seals
from data_sync.services.supersede import supersede
from tests.reviewing import ACTOR, _change, decide
N=100_000
def build(source, n=N):
    cs = Changeset.objects.create(state="pending", source_name="S", source=source, model_labels=["testapp.tag","testapp.country"])
    rows = []
    for i in range(1, n+1):
        c = _change(cs, i, "update", [i-1] if i % 10 == 0 else [])
        c.before = {"a": "x"*200}; c.after = {"a": "y"*200}
        rows.append(c)
        if len(rows) == 2000: Change.objects.bulk_create(rows); rows = []
    Change.objects.bulk_create(rows)
    cs.content_seal = seals.current_content_seal(cs); cs.save()
    return cs
def t(what, f):
    with CaptureQueriesContext(connection) as q:
        s = time.perf_counter(); f(); e = time.perf_counter() - s
    print(f"{what}: {e*1000:.0f} ms, {len(q)} statements")
@pytest.mark.django_db(transaction=True)
def test_it():
    src = DataSource.objects.create(name="S", url="https://x.example.org")
    cs = build(src)
    t("accept one", lambda: decide(cs, "accepted", 50_010))
    t("reject one", lambda: decide(cs, "rejected", 70_009))
    t("accept all", lambda: decide(cs, "accepted"))
    t("reject one of many accepted", lambda: decide(cs, "rejected", 70_011))
    t("accept one with requirements", lambda: decide(cs, "accepted", 70_010, options={"with_requirements": True}))
    cs.refresh_from_db()
    t("unmet", lambda: approval.unmet_requirements(cs))
    t("approve", lambda: approval.approve(cs.pk, ACTOR, revision=cs.revision))
    new = build(src)
    pull = DataPull.objects.create(source=src, source_name="S", state="comparing", actor="m")
    t("supersede, carry over 100k", lambda: supersede(pull, ["testapp.tag","testapp.country"], new))
    t("accept all with requirements", lambda: (decide(new, "undecided", decision="accepted"), decide(new, "accepted", options={"with_requirements": True})))
