"""What Hypothesis draws for two environments: rows of many kinds of schema, small enough to meet each other often.

A world is plain data. Names that nothing goes by are references to nothing, and left out when it is built, so that
every world can be built on every database.
"""

from __future__ import annotations

import datetime
import uuid
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connection, models
from hypothesis import strategies as st

from tests.hard import models as hard
from tests.testapp.models import Category, Customer, Detail, Document, Everything, Player, Product, Tag, Team

World = dict[str, Any]

names = st.sampled_from(["a", "b", "c", "d"])
some_names = st.sets(names, max_size=3)
words = st.sampled_from(["x", "y", ""])
small = st.integers(0, 3)
json_values = st.recursive(
    # A zero has no sign, as it has none in PostgreSQL's JSON: it does not travel.
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-2, 2).map(lambda x: x + 0.0)
    | st.sampled_from(["", "é"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
#: Every character that a key may have: no NUL, no half surrogate pairs. Of those that MariaDB's collation takes for
#: equal, as many as there are, a key can have one.
characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
texts = st.text(st.sampled_from("abc012日本") if connection.vendor == "mysql" else characters, min_size=1, max_size=3)
moments = st.datetimes(
    datetime.datetime(1900, 1, 2),
    datetime.datetime(2100, 1, 1),
    timezones=st.sampled_from(
        [datetime.UTC, *map(ZoneInfo, ("Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "Europe/Berlin"))]
    ),
)
durations = st.timedeltas(datetime.timedelta(-999), datetime.timedelta(999))
places_of_books = st.tuples(names, small)
references = st.none() | st.tuples(st.sampled_from(["node", "nation", "event"]), names)


def by_name(*values: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names, st.tuples(*values), max_size=most)


def distinct(*values: st.SearchStrategy[Any], by: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.tuples(*values), max_size=4, unique_by=by)


plain = {
    "tags": some_names,
    "categories": by_name(st.none() | names),
    "products": by_name(words, st.none() | names, some_names, some_names),
    "details": by_name(words, most=3),
    # Account, notes, adviser and groups are redacted.
    "customers": by_name(words, st.none() | words, json_values, st.none() | names, some_names, most=3),
    "teams": by_name(st.sets(st.integers(0, 2)), st.none() | st.integers(0, 2), most=2),
    "moments": by_name(
        moments, st.none() | st.times(), st.none() | st.dates(), durations, st.binary(max_size=3), most=3
    ),
    "documents": by_name(words, st.sampled_from([None, b"", b"1", b"22"]), most=3),
    "values": by_name(json_values, st.decimals(-9, 9, places=4), st.none() | st.text("aé\n ", max_size=3), most=3),
}
hard_ones = {
    "nodes": by_name(st.none() | names, words),
    "hens": by_name(st.none() | names),
    "eggs": by_name(st.none() | names),
    "shops": by_name(st.none() | names, st.none() | names),
    "branches": by_name(names),
    # Name, place and badge; no two have one of these.
    "seats": distinct(names, small, st.none() | names, by=(lambda s: s[0], lambda s: s[1], lambda s: s[2] or s)),
    # Code, room and hour; one lesson in a room at an hour.
    "lessons": distinct(names, names, small, by=(lambda one: one[0], lambda one: one[1:])),
    # Name, room, and whether it is the room's active one.
    "editions": distinct(names, names, st.booleans(), by=(lambda e: e[0], lambda e: e[1] if e[2] else e)),
    "libraries": by_name(words),
    "books": distinct(names, small, words, by=lambda book: book[:2]),
    # Library and shelf of the book that is lent, and of others.
    "loans": by_name(st.none() | places_of_books, st.sets(places_of_books, max_size=2)),
    # Code, and library and shelf of the book it lies in; one at most in a book.
    "bookmarks": distinct(names, places_of_books, by=(lambda mark: mark[0], lambda mark: mark[1])),
    "amounts": distinct(names, names, small, by=lambda amount: amount[:2]),
    "members": by_name(some_names, some_names, st.none() | words),
    "places": by_name(st.integers(1, 4), words, small, words, st.none() | names),
    # The level of a place says what it is; those of level 4 are stops, with the one that follows, and a line.
    "stops": by_name(st.none() | names, st.none() | names),
    "lines": by_name(names),
    "cars": by_name(small, small, some_names),
    "nations": by_name(words),
    "events": by_name(words),
    "cities": distinct(names, names, st.none() | names, by=lambda city: city[:2]),
    "remarks": by_name(references),
    "memos": by_name(words, st.booleans()),
    "totals": by_name(small, small),
    "words": st.dictionaries(texts, words, max_size=3),
}
worlds: st.SearchStrategy[World] = st.fixed_dictionaries(plain | hard_ones)


def shuffled(world: World, random: Any) -> World:
    """The same world, whose rows are made in another order."""

    def order(rows: Any) -> Any:
        if isinstance(rows, dict):
            return dict(random.sample(sorted(rows.items(), key=repr), len(rows)))
        return random.sample(sorted(rows, key=repr), len(rows))

    return {kind: order(rows) for kind, rows in world.items()}


def build(world: World, alias: str) -> None:
    """Makes a world's rows in a database, in the world's order."""

    def rows(model: type[models.Model]) -> Any:
        return model._base_manager.using(alias)

    _build_plain(world, rows)
    _build_times_and_files(world, rows, alias)
    _build_trees(world, rows)
    _build_unique(world, rows)
    _build_linked(world, rows)
    _build_inherited(world, rows)
    _build_generic(world, rows, alias)


def _build_plain(world: World, rows: Any) -> None:
    tags = {name: rows(Tag).create(name=name) for name in world["tags"]}
    categories = {name: rows(Category).create(slug=name) for name in world["categories"]}
    for name, (parent,) in world["categories"].items():
        categories[name].parent = categories.get(parent)
        categories[name].save()
    products = {}
    for sku, (name, category, _, _) in world["products"].items():
        products[sku] = rows(Product).create(sku=sku, name=name, category=categories.get(category))
    for sku, (_, _, its_tags, related) in world["products"].items():
        products[sku].tags.set(tags[name] for name in its_tags if name in tags)
        products[sku].related.set(products[name] for name in related if name in products)
    for sku, (text,) in world["details"].items():
        if sku in products:
            rows(Detail).create(product=products[sku], text=text)
    for name, (city, account, notes, adviser, groups) in world["customers"].items():
        customer = rows(Customer).create(
            name=name,
            city=city,
            account=None if account is None else f"{account} of {name}",
            notes={"notes": notes},
            adviser=tags.get(adviser),
        )
        customer.groups.set(tags[group] for group in groups if group in tags)
    for name, (numbers, captain) in world["teams"].items():
        team = rows(Team).create(name=name)
        players = {number: rows(Player).create(team=team, number=number) for number in numbers}
        team.captain = players.get(captain)
        team.save()
    for name, (value, amount, text) in world["values"].items():
        rows(Everything).create(name=name, json_or_null=value, amount=amount, text_or_null=text)


def _build_times_and_files(world: World, rows: Any, alias: str) -> None:
    for name, (moment, time, date, duration, binary) in world["moments"].items():
        rows(Everything).create(
            name=f"at-{name}", moment=moment, time_or_null=time, date_or_null=date, duration=duration, binary=binary
        )
    # Names of files are no part of what is synced: they are others on each side.
    storage = FileSystemStorage(location=Path(settings.BASE_DIR) / "media")
    for name, (title, content) in world["documents"].items():
        cover = "" if content is None else storage.save(f"covers/{alias}-{name}.png", ContentFile(content))
        rows(Document).create(name=name, title=title, cover=cover)


def _build_trees(world: World, rows: Any) -> None:
    nodes = {slug: rows(hard.Node).create(slug=slug, title=title) for slug, (_, title) in world["nodes"].items()}
    for slug, (parent, _) in world["nodes"].items():
        nodes[slug].parent = nodes.get(parent)
        nodes[slug].save()
    hens = {name: rows(hard.Hen).create(name=name) for name in world["hens"]}
    eggs = {name: rows(hard.Egg).create(name=name, hen=hens.get(hen)) for name, (hen,) in world["eggs"].items()}
    for name, (egg,) in world["hens"].items():
        hens[name].egg = eggs.get(egg)
        hens[name].save()
    shops = {name: rows(hard.Shop).create(name=name) for name in world["shops"]}
    its = {name: shop for name, (shop,) in world["branches"].items() if shop in shops}
    branches = {name: rows(hard.Branch).create(name=name, shop=shops[shop]) for name, shop in its.items()}
    for name, (main, spare) in world["shops"].items():
        rows(hard.Shop).filter(name=name).update(main=branches.get(main), spare=branches.get(spare))


def _build_unique(world: World, rows: Any) -> None:
    for name, place, badge in world["seats"]:
        rows(hard.Seat).create(name=name, place=place, badge=badge)
    rooms = {}
    for _, name, *_ in [*world["lessons"], *world["editions"]]:
        rooms[name] = rooms.get(name) or rows(hard.Room).create(name=name)
    for code, room, hour in world["lessons"]:
        rows(hard.Lesson).create(code=code, room=rooms[room], hour=hour)
    for name, room, active in world["editions"]:
        rows(hard.Edition).create(name=name, room=rooms[room], active=active)
    for text, meaning in world["words"].items():
        rows(hard.Word).create(text=text, meaning=meaning)
    for slug, (text, hidden) in world["memos"].items():
        rows(hard.Memo).create(slug=slug, text=text, hidden=hidden)
    for name, (number, price) in world["totals"].items():
        rows(hard.Total).create(name=name, count=number, price=price)


def _build_linked(world: World, rows: Any) -> None:
    libraries = {name: rows(hard.Library).create(name=name, street=its) for name, (its,) in world["libraries"].items()}
    books = {}
    for library, shelf, title in world["books"]:
        if library in libraries:
            books[library, shelf] = rows(hard.Book).create(library=libraries[library], shelf=shelf, title=title)
    for code, (book, others) in world["loans"].items():
        loan = rows(hard.Loan).create(code=code, book=books.get(book))
        loan.others.add(*(books[place] for place in others if place in books))
    for code, book in world["bookmarks"]:
        rows(hard.Bookmark).create(code=code, book=books.get(book))
    recipes: dict[str, Any] = {}
    ingredients: dict[str, Any] = {}
    for recipe, ingredient, grams in world["amounts"]:
        recipes[recipe] = recipes.get(recipe) or rows(hard.Recipe).create(name=recipe)
        ingredients[ingredient] = ingredients.get(ingredient) or rows(hard.Ingredient).create(name=ingredient)
        rows(hard.Amount).create(recipe=recipes[recipe], ingredient=ingredients[ingredient], grams=grams)
    members = {name: rows(hard.Member).create(name=name) for name in world["members"]}
    for name, (friends, follows, text) in world["members"].items():
        members[name].friends.add(*(members[other] for other in friends if other in members))
        members[name].follows.add(*(members[other] for other in follows if other in members))
        if text is not None:
            profile = rows(hard.Profile).create(member=members[name], text=text)
            rows(hard.Portrait).create(profile=profile, style=text)


def _build_inherited(world: World, rows: Any) -> None:
    places: dict[str, Any] = {}
    for slug, (level, name, stars, oven, _) in world["places"].items():
        model = (hard.Place, hard.Restaurant, hard.Pizzeria, hard.Stop)[level - 1]
        more = {"stars": stars} if level in (2, 3) else {}
        more |= {"oven": oven} if level == 3 else {}
        places[slug] = rows(model).create(slug=slug, name=name, **more)
    for slug, (level, *_, rival) in world["places"].items():
        if rival in places:
            places[slug].near.add(places[rival].pk)
            if level == 3:
                rows(hard.Pizzeria).filter(pk=places[slug].pk).update(rival_id=places[rival].pk)
    stops = {slug: place for slug, place in places.items() if isinstance(place, hard.Stop)}
    known = {name: slug for name, (slug,) in world["lines"].items() if slug in stops}
    lines = {name: rows(hard.Line).create(name=name, terminus=stops[slug]) for name, slug in known.items()}
    for slug, (following, line) in world["stops"].items():
        if slug in stops:
            rows(hard.Stop).filter(pk=stops[slug].pk).update(next=stops.get(following), line=lines.get(line))
    for plate, (wheels, doors, parked) in world["cars"].items():
        car = rows(hard.Car).create(plate=plate, wheels=wheels, doors=doors)
        car.parked.add(*rows(hard.Room).filter(name__in=parked))


def _build_generic(world: World, rows: Any, alias: str) -> None:
    targets: dict[tuple[str, str], Any] = {}
    for code, (name,) in world["nations"].items():
        targets["nation", code] = rows(hard.Nation).create(code=code, name=name)
    for code, (title,) in world["events"].items():
        targets["event", code] = rows(hard.Event).create(id=uuid.UUID(int=ord(code)), title=title)
    targets |= {("node", node.slug): node for node in rows(hard.Node).all()}
    for nation, name, event in world["cities"]:
        if ("nation", nation) in targets:
            its = targets.get(("event", event))
            rows(hard.City).create(nation=targets["nation", nation], name=name, event=its)
    kinds = ContentType.objects.db_manager(alias)
    for code, (reference,) in world["remarks"].items():
        target = reference and targets.get(reference)
        about = {"content_type": kinds.get_for_model(target), "object_id": str(target.pk)} if target else {}
        rows(hard.Remark).create(code=code, **about)
