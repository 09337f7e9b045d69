"""`revert`: asked for, reviewed and applied at the terminal."""

from __future__ import annotations

from data_sync.models import Changeset, DataPull
from tests.environments import Environments
from tests.testapp.models import Comment, Product, Tag

from .conftest import Run


def test_a_revert_is_made_shown_and_applied(run: Run, environments: Environments) -> None:
    product = environments.add(Product, sku="p", name="P", only="default")[1]
    comment = Comment.objects.create(product=product, text="Nice")
    environments.add(Tag, name="new", only="source")
    done = environments.sync()
    ran = run("revert", str(done.pk), "--json")
    made = Changeset.objects.get(reverts=done)
    assert (ran.code, ran.document["changeset"], ran.document["conflicts"]) == (2, made.pk, 0)
    assert ran.document["counts"] == {"create": 1, "update": 0, "delete": 1, "rename": 0}
    shown = run("show", str(made.pk)).out
    assert "undoes #" in shown and "brings back 1 row:" in shown
    assert f"testapp.comment {comment.pk} “Nice” is there again" in " ".join(shown.split())
    if made.state == "blocked":
        assert run("override", str(made.pk), "--reason", "a test").code == 0
    assert run("accept", str(made.pk), "--all").code == 0
    assert run("accept", str(made.pk), "--all", "--operation", "delete").code == 0
    assert run("approve", str(made.pk)).code == 0
    assert run("apply", str(made.pk)).code == 0
    assert Comment.objects.get() == comment and not Tag.objects.exists()
    again = run("revert", str(done.pk))
    assert again.code == 1 and "is reverted and cannot be reverted" in again.err


def test_single_changes_and_what_needs_no_undoing(run: Run, environments: Environments) -> None:
    environments.add(Tag, name="a", only="source")
    environments.add(Tag, name="b", only="source")
    done = environments.sync()
    assert run("revert", str(done.pk), "--change", "9").code == 1
    assert run("revert", str(done.pk), "--change", "1").code == 2
    assert Changeset.objects.get(reverts=done).changes.get().key == ["a"]
    Tag.objects.all().delete()
    ran = run("revert", str(done.pk), "--json")
    assert (ran.code, ran.document["changeset"]) == (0, None)
    assert DataPull.objects.filter(kind="revert").count() == 2
