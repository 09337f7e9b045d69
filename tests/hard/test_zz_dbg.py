from tests.hard.test_writing_rehearsal import *
from django.db import connection
from django.test.utils import CaptureQueriesContext
def test_dbg(environments):
    parent = None
    for number in range(3):
        parent = rows(Chapter, "default").create(path=f"{number}", parent=parent, pk=None) if parent else None
        if parent is None:
            parent = Chapter(path=f"{number}", pk=70 + number)
            parent.parent = parent
            parent.save(force_insert=True)
    environments.add(Chapter, path="x", only="default", parent_id=70)
    changeset = pending(environments)
    print(list(Chapter.objects.values_list("pk","path","parent_id")))
    print(list(changeset.changes.values_list("number", "key_text", "local_pk","requires")))
    with CaptureQueriesContext(connection) as c:
        found = rehearsed(environments, changeset)
    for q in c.captured_queries:
        if "DELETE" in q["sql"] or "hard_chapter" in q["sql"]: print(q["sql"][:200])
    print(found)
    assert 0
