import uuid
from django.contrib.contenttypes.models import ContentType
from data_sync.models import Changeset
from tests.hard import models as m

def fill(alias):
    def mk(model, **v):
        return model._base_manager.using(alias).create(**v)
    root = mk(m.Node, slug="root"); mk(m.Node, slug="leaf", parent=root)
    h = mk(m.Hen, name="h"); e = mk(m.Egg, name="e", hen=h); h.egg = e; h.save(using=alias)
    room = mk(m.Room, name="r"); mk(m.Lesson, code="l", room=room, hour=1); mk(m.Locker, room=room, number=2)
    mk(m.Amount, recipe=mk(m.Recipe, name="x"), ingredient=mk(m.Ingredient, name="y"), grams=3)
    a = mk(m.Album, name="a"); a.songs.add(mk(m.Song, name="s"))
    ann, bob = mk(m.Member, name="ann"), mk(m.Member, name="bob"); ann.friends.add(bob); ann.follows.add(bob)
    p = mk(m.Pizzeria, slug="luigi", name="L", oven="wood", stars=2)
    p.near.add(mk(m.Place, slug="harbour"))
    t = mk(m.Taxi, plate="T1", number=1); t.parked.add(room)
    mk(m.Smartphone, serial="1", maker="a", network="4g", system="x")
    mk(m.Tower, code="n", worth=1, bells=3)
    mk(m.Offer, name="o", item=mk(m.Item, code="lamp"))
    tk = mk(m.Ticket, code="T"); ev = mk(m.Event, id=uuid.UUID(int=5))
    mk(m.City, nation=mk(m.Nation, code="FR"), name="Lyon", event=ev, ticket=tk)
    mk(m.Portrait, profile=mk(m.Profile, member=ann), style="oil")
    mk(m.Gauge, name="g", unit=mk(m.Unit, name="deg", symbol="°"))
    ct = lambda x: ContentType.objects.db_manager(alias).get_for_model(x)
    mk(m.Remark, code="1", content_type=ct(m.Node), object_id=str(root.pk))
    mk(m.Remark, code="2", content_type=ct(m.Ticket), object_id=str(tk.pk))
    mk(m.Remark, code="3")
    mk(m.Mark, code="1", kind=ct(m.Restaurant), row=p.pk)
    q = mk(m.Quoted, select="q"); q.tags.add(room); mk(m.QuotedChild, quoted=mk(m.Quoted, select="z", parent=q))
    mk(m.Memo, slug="x", hidden=True); mk(m.Post, slug="y"); mk(m.Post, slug="z", live=False)
    mk(m.Stamp, name="x"); mk(m.Checked, name="c", number=3); mk(m.Total, name="t", count=2, price=3)
    mk(m.Sense, word=mk(m.Word, text="Wort"), name="First")
    mk(m.SavedByModel, name="s", title="abc"); mk(m.Booking, name="b", start=1, end=2); mk(m.Limits, name="b")


def test_deletes(environments):
    mk = m.Owner._base_manager.using("source")
    for i in range(50): mk.create(name=f"o{i}")
    mk.all().delete()
    fill("source"); fill("default")
    g = lambda x: x._base_manager.using("source")
    g(m.Mark).all().delete(); g(m.Remark).filter(code="2").delete()
    g(m.Pizzeria).get().delete(using="source", keep_parents=True)
    g(m.Taxi).get().delete(using="source", keep_parents=True)
    g(m.Tower).get().delete(using="source")
    g(m.Smartphone).get().delete(using="source")
    g(m.Device).create(serial="1", maker="a")
    g(m.Ticket).all().delete(); g(m.Event).all().delete()
    g(m.Nation).all().delete()
    g(m.Member).filter(name="ann").delete()
    g(m.Quoted).filter(select="q").delete()
    g(m.Album).all().delete(); g(m.Recipe).all().delete()
    g(m.Node).filter(slug="root").delete()
    g(m.Item).all().delete()
    cs = environments.changeset()
    for c in cs.changes.order_by("number"):
        print(c.number, c.operation, c.model, c.key, c.requires, c.problems, [(x["model"],x["effect"]) for x in c.cascades])
    environments.accept_all(cs)
    done = environments.apply(environments.approve(cs))
    print(done.state, done.state_reason)
    for c in cs.changes.exclude(outcome="applied"): print(c.number, c.model, c.outcome, getattr(c,'outcome_reason',''))
    environments.assert_equal()
    again = environments.pull()
    assert not Changeset.objects.filter(pull=again).count(), again.error
    assert m.Place.objects.count() == 2 and m.Asset.objects.count() == 0 and m.Phone.objects.count() == 0
