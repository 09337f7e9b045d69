"""Models that are hard to sync, by theme.

Where `natural_key` is left out, it is inferred. Models without a registration are local rows, which no source knows, or
parents whose fields belong to their children.
"""

from __future__ import annotations

import os
import uuid
from typing import Any

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import connection, models
from django.db.models import F, Q, Value
from django.db.models.functions import Lower

import data_sync

DEFERRED = models.Deferrable.DEFERRED if connection.vendor == "postgresql" else None

# Trees


@data_sync.register_model()
class Node(models.Model):
    """Roots have no parent."""

    slug = models.SlugField(unique=True)
    title = models.CharField(max_length=100, default="")
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    remarks = GenericRelation("hard.Remark")


@data_sync.register_model(natural_key=["parent.slug", "slug"])
class Region(models.Model):
    """Named within its parent, which is named by its slug alone: keys are of rows of the same model."""

    slug = models.CharField(max_length=50)
    title = models.CharField(max_length=100, default="")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, related_name="children")

    class Meta:
        unique_together = [("parent", "slug")]


@data_sync.register_model()
class Chapter(models.Model):
    """A parent is required: a root is its own, or two rows are each other's."""

    path = models.CharField(max_length=190, unique=True)
    parent = models.ForeignKey("self", on_delete=models.CASCADE, related_name="children")


@data_sync.register_model(natural_key=["name"])
class Bead(models.Model):
    """No two hang at one place of the same, which may be the bead itself."""

    name = models.CharField(max_length=50, unique=True)
    above = models.ForeignKey("self", on_delete=models.CASCADE)
    place = models.PositiveSmallIntegerField()

    class Meta:
        unique_together = [("above", "place")]


# Cycles between models


@data_sync.register_model(natural_key=["name"])
class Horse(models.Model):
    """Two parents are required: the founders of a stud are their own."""

    name = models.CharField(max_length=50, unique=True)
    father = models.ForeignKey("self", on_delete=models.CASCADE, related_name="+")
    mother = models.ForeignKey("self", on_delete=models.CASCADE, related_name="+")


@data_sync.register_model(natural_key=["name"])
class Hen(models.Model):
    name = models.CharField(max_length=50, unique=True)
    egg = models.ForeignKey("Egg", null=True, on_delete=models.SET_NULL, related_name="+")


@data_sync.register_model(natural_key=["name"])
class Egg(models.Model):
    name = models.CharField(max_length=50, unique=True)
    hen = models.ForeignKey(Hen, null=True, on_delete=models.SET_NULL, related_name="+")


@data_sync.register_model()
class Shop(models.Model):
    """Each has branches, and may refer to some of its own: what goes together forbids nothing."""

    name = models.CharField(max_length=50, unique=True)
    main = models.ForeignKey("Branch", null=True, on_delete=models.PROTECT, related_name="+")
    spare = models.ForeignKey("Branch", null=True, on_delete=models.RESTRICT, related_name="+")
    first = models.ForeignKey("Branch", null=True, on_delete=models.DO_NOTHING, related_name="+")


@data_sync.register_model()
class Branch(models.Model):
    name = models.CharField(max_length=50, unique=True)
    shop = models.ForeignKey(Shop, on_delete=models.CASCADE)


@data_sync.register_model()
class Clerk(models.Model):
    name = models.CharField(max_length=50, unique=True)
    boss = models.ForeignKey("self", null=True, on_delete=models.PROTECT)


@data_sync.register_model(natural_key=["name"])
class Dancer(models.Model):
    """Has a partner, always, whom nobody else has."""

    name = models.CharField(max_length=50, unique=True)
    partner = models.OneToOneField("self", on_delete=models.PROTECT, related_name="+")


# Unique values that rows exchange


@data_sync.register_model(natural_key=["name"])
class Seat(models.Model):
    name = models.CharField(max_length=50, unique=True)
    place = models.IntegerField(unique=True)
    badge = models.CharField(max_length=20, unique=True, null=True)


@data_sync.register_model()
class Room(models.Model):
    name = models.CharField(max_length=50, unique=True)


@data_sync.register_model(natural_key=["code"])
class Lesson(models.Model):
    """No two lessons are in one room at one hour."""

    code = models.CharField(max_length=20, unique=True)
    room = models.ForeignKey(Room, on_delete=models.CASCADE)
    hour = models.PositiveSmallIntegerField()

    class Meta:
        unique_together = [("room", "hour")]


@data_sync.register_model()
class Locker(models.Model):
    """The key itself reaches through a reference that can move; it is inferred from the constraint."""

    room = models.ForeignKey(Room, on_delete=models.CASCADE)
    number = models.PositiveSmallIntegerField()
    colour = models.CharField(max_length=20, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["room", "number"], name="hard_one_locker")]


@data_sync.register_model(natural_key=["name"])
class Desk(models.Model):
    """Each has one who sits there, always; nobody else can sit there meanwhile."""

    name = models.CharField(max_length=50, unique=True)
    sitter = models.OneToOneField("Member", on_delete=models.CASCADE)


@data_sync.register_model(natural_key=["name"])
class Drawer(models.Model):
    """Goes with its desk, unless it is moved to another."""

    name = models.CharField(max_length=50, unique=True)
    desk = models.ForeignKey(Desk, on_delete=models.CASCADE)


@data_sync.register_model(natural_key=["name"])
class Furniture(models.Model):
    name = models.CharField(max_length=50, unique=True)


@data_sync.register_model(natural_key=["name"])
class Cabinet(Furniture):
    """Goes with its desk; what it is as furniture may stay."""

    desk = models.ForeignKey(Desk, on_delete=models.CASCADE)


@data_sync.register_model(natural_key=["name"])
class Lamp(models.Model):
    """Forbids that its desk goes."""

    name = models.CharField(max_length=50, unique=True)
    desk = models.ForeignKey(Desk, on_delete=models.PROTECT)
    spare = models.ForeignKey(Desk, null=True, on_delete=models.SET_NULL, related_name="+")


class Sticker(models.Model):
    """A local row on one of several things, with which it goes."""

    seat = models.ForeignKey(Seat, null=True, on_delete=models.CASCADE)
    desk = models.ForeignKey(Desk, null=True, on_delete=models.CASCADE)


@data_sync.register_model(natural_key=["name"])
class Grade(models.Model):
    """The database knows a handful of letters."""

    name = models.CharField(max_length=50, unique=True)
    letter = models.CharField(max_length=2, unique=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(letter__in=["A", "A-", "B", "B-"]), name="hard_letter_is_known")
        ]


# Many-to-many


@data_sync.register_model()
class Ingredient(models.Model):
    name = models.CharField(max_length=50, unique=True)


@data_sync.register_model()
class Recipe(models.Model):
    name = models.CharField(max_length=50, unique=True)
    ingredients = models.ManyToManyField(Ingredient, through="Amount")


@data_sync.register_model()
class Amount(models.Model):
    """A through model with columns of its own."""

    recipe = models.ForeignKey(Recipe, on_delete=models.CASCADE)
    ingredient = models.ForeignKey(Ingredient, on_delete=models.CASCADE)
    grams = models.PositiveIntegerField(default=0)

    class Meta:
        unique_together = [("recipe", "ingredient")]


@data_sync.register_model()
class Song(models.Model):
    name = models.CharField(max_length=50, unique=True)


@data_sync.register_model()
class Album(models.Model):
    """Its plain through table is registered, so that links are changes of their own."""

    name = models.CharField(max_length=50, unique=True)
    songs = models.ManyToManyField(Song)


data_sync.register(Album.songs.through)


@data_sync.register_model()
class Member(models.Model):
    name = models.CharField(max_length=50, unique=True)
    friends = models.ManyToManyField("self")
    follows = models.ManyToManyField("self", symmetrical=False, related_name="followers")


@data_sync.register_model()
class Actor(models.Model):
    name = models.CharField(max_length=50, unique=True)
    knows = models.ManyToManyField("self", through="Acquaintance", symmetrical=False)


@data_sync.register_model()
class Acquaintance(models.Model):
    """A through model between rows of one model."""

    one = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="+")
    other = models.ForeignKey(Actor, on_delete=models.CASCADE, related_name="+")
    since = models.IntegerField(default=0)

    class Meta:
        unique_together = [("one", "other")]


# Multi-table inheritance


@data_sync.register_model(natural_key=["name"], deletes="never")
class Pal(models.Model):
    """Links of both sides, of rows that are never deleted."""

    name = models.CharField(max_length=50, unique=True)
    pals = models.ManyToManyField("self")


@data_sync.register_model(natural_key=["slug"])
class Place(models.Model):
    """Registered all the way down."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=50, default="")
    near = models.ManyToManyField("self", symmetrical=False)


@data_sync.register_model(natural_key=["slug"])
class Restaurant(Place):
    stars = models.PositiveSmallIntegerField(default=0)


@data_sync.register_model()
class Pizzeria(Restaurant):
    oven = models.CharField(max_length=50, default="")
    rival = models.ForeignKey(Place, null=True, on_delete=models.SET_NULL, related_name="+")


class Bar(Restaurant):
    """Not registered: local rows below those of a registered child."""

    music = models.CharField(max_length=20, default="")


class PlaceNote(models.Model):
    """A local row that refers to the table of a registered parent."""

    place = models.ForeignKey(Place, on_delete=models.CASCADE)


@data_sync.register_model(natural_key=["slug"])
class Stop(Place):
    """A child that refers to its like, and is in a cycle with another model."""

    next = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="+")
    line = models.ForeignKey("Line", null=True, on_delete=models.CASCADE, related_name="+")


@data_sync.register_model()
class Line(models.Model):
    name = models.CharField(max_length=50, unique=True)
    terminus = models.ForeignKey(Stop, on_delete=models.CASCADE, related_name="+")


@data_sync.register_model(natural_key=["slug"])
class Museum(Place):
    """Its link to the parent is a field of its own, with a name of its own."""

    house = models.OneToOneField(
        Place, on_delete=models.CASCADE, parent_link=True, primary_key=True, related_name="museum"
    )
    ticket = models.CharField(max_length=20, default="")


@data_sync.register_model()
class Guide(models.Model):
    """Refers to a child and to its parent."""

    name = models.CharField(max_length=50, unique=True)
    museum = models.ForeignKey(Museum, on_delete=models.PROTECT)
    start = models.ForeignKey(Place, null=True, on_delete=models.RESTRICT, related_name="+")


class Vehicle(models.Model):
    """Not registered: its fields, links among them, belong to `Car`."""

    plate = models.CharField(max_length=20, unique=True)
    wheels = models.PositiveSmallIntegerField(default=4)
    parked = models.ManyToManyField(Room)


@data_sync.register_model(natural_key=["plate"])
class Car(Vehicle):
    doors = models.PositiveSmallIntegerField(default=5)


class VehicleNote(models.Model):
    """A local row that refers to the table of the parent."""

    vehicle = models.ForeignKey(Vehicle, on_delete=models.CASCADE)


@data_sync.register_model(natural_key=["plate"])
class Taxi(Car):
    number = models.PositiveSmallIntegerField(unique=True)


@data_sync.register_model(natural_key=["serial"])
class Device(models.Model):
    """Registered, with an unregistered table between it and `Smartphone`."""

    serial = models.CharField(max_length=20, unique=True)
    maker = models.CharField(max_length=20, default="")


class Phone(Device):
    network = models.CharField(max_length=20, default="")


@data_sync.register_model()
class Smartphone(Phone):
    system = models.CharField(max_length=20, default="")


class Asset(models.Model):
    """Neither it nor `Building` is registered."""

    code = models.CharField(max_length=20, unique=True)
    worth = models.IntegerField(default=0)
    owner = models.ForeignKey("Owner", null=True, on_delete=models.CASCADE)


class Building(Asset):
    floors = models.PositiveSmallIntegerField(default=1)


@data_sync.register_model()
class Tower(Building):
    bells = models.PositiveSmallIntegerField(default=0)


class Described(models.Model):
    """An abstract parent makes no table."""

    code = models.CharField(max_length=20, unique=True)
    text = models.TextField(default="")

    class Meta:
        abstract = True


class Item(Described):
    """Registered by a proxy."""

    owner = models.ForeignKey("Owner", null=True, on_delete=models.CASCADE)
    above = models.ForeignKey("self", null=True, on_delete=models.CASCADE)


@data_sync.register_model()
class ProxyItem(Item):
    class Meta:
        proxy = True


@data_sync.register_model(natural_key=["name"])
class Offer(models.Model):
    name = models.CharField(max_length=50, unique=True)
    item = models.ForeignKey(Item, on_delete=models.CASCADE)


# Primary keys


@data_sync.register_model(natural_key=["code"])
class Ticket(models.Model):
    """A UUID that each database makes for itself."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    code = models.CharField(max_length=20, unique=True)
    title = models.CharField(max_length=50, default="")


@data_sync.register_model(natural_key=["name"], fields=("code", "name"))
class Stall(models.Model):
    """A primary key that travels, of rows that are known by something else."""

    code = models.CharField(max_length=10, primary_key=True)
    name = models.CharField(max_length=50, unique=True)


@data_sync.register_model()
class Event(models.Model):
    """A UUID that is the natural key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    title = models.CharField(max_length=50, default="")


@data_sync.register_model()
class Nation(models.Model):
    code = models.CharField(max_length=2, primary_key=True)
    name = models.CharField(max_length=50, default="")


@data_sync.register_model()
class City(models.Model):
    nation = models.ForeignKey(Nation, on_delete=models.CASCADE)
    name = models.CharField(max_length=50)
    event = models.ForeignKey(Event, null=True, on_delete=models.SET_NULL)
    ticket = models.ForeignKey(Ticket, null=True, on_delete=models.SET_NULL)

    class Meta:
        unique_together = [("nation", "name")]


@data_sync.register_model()
class Profile(models.Model):
    """A one-to-one that is the primary key."""

    member = models.OneToOneField(Member, primary_key=True, on_delete=models.CASCADE)
    text = models.TextField(default="")


@data_sync.register_model()
class Portrait(models.Model):
    """Its primary key is a primary key that is a reference."""

    profile = models.OneToOneField(Profile, primary_key=True, on_delete=models.CASCADE)
    style = models.CharField(max_length=50, default="")


@data_sync.register_model(natural_key=["name"], fields=("code", "name"), save="model")
class Booth(models.Model):
    """As `Stall`, written by `save()`. Who rents it is said here only."""

    code = models.CharField(max_length=10, primary_key=True)
    name = models.CharField(max_length=50, unique=True)
    tenant = models.ForeignKey("Owner", null=True, on_delete=models.CASCADE)


@data_sync.register_model(natural_key=["id"], fields=("id", "text"))
class Numbered(models.Model):
    """Known by the number that the source's database gave it."""

    text = models.CharField(max_length=20, default="")


@data_sync.register_model(natural_key=["id"], fields=("id", "text"), save="model")
class NumberedBySave(models.Model):
    text = models.CharField(max_length=20, default="")


# References by another column


@data_sync.register_model(natural_key=["name"])
class Unit(models.Model):
    """Identified by `name`, referred to by `symbol`."""

    name = models.CharField(max_length=50, unique=True)
    symbol = models.CharField(max_length=10, unique=True)


@data_sync.register_model(natural_key=["name"])
class Gauge(models.Model):
    name = models.CharField(max_length=50, unique=True)
    unit = models.ForeignKey(Unit, to_field="symbol", on_delete=models.PROTECT)


# Rows that can be renamed: they are more than their key


@data_sync.register_model()
class Library(models.Model):
    name = models.CharField(max_length=50, unique=True)
    street = models.CharField(max_length=50, default="")


@data_sync.register_model()
class Book(models.Model):
    """Its key reaches through the library's."""

    library = models.ForeignKey(Library, on_delete=models.CASCADE)
    shelf = models.PositiveSmallIntegerField()
    title = models.CharField(max_length=50, default="")

    class Meta:
        unique_together = [("library", "shelf")]


class Visit(models.Model):
    """Not registered: a local row that refers to what can be renamed."""

    library = models.ForeignKey(Library, on_delete=models.CASCADE)


@data_sync.register_model()
class Passage(models.Model):
    """A third level, whose rows refer to each other."""

    book = models.ForeignKey(Book, on_delete=models.CASCADE)
    number = models.PositiveSmallIntegerField()
    text = models.CharField(max_length=50, default="")
    follows = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="+")
    alike = models.ManyToManyField("self", symmetrical=False)

    class Meta:
        unique_together = [("book", "number")]


@data_sync.register_model(natural_key=["code"])
class Loan(models.Model):
    """Refers to rows whose keys are made of another's."""

    code = models.CharField(max_length=20, unique=True)
    book = models.ForeignKey(Book, null=True, on_delete=models.CASCADE)
    others = models.ManyToManyField(Book, related_name="+")


@data_sync.register_model(natural_key=["code"])
class Bookmark(models.Model):
    """A book has one at most, and has none only if the bookmark is in none."""

    code = models.CharField(max_length=20, unique=True)
    book = models.OneToOneField(Book, null=True, on_delete=models.CASCADE)


@data_sync.register_model(natural_key=["library.name", "name"], queryset=lambda rows: rows.filter(live=True))
class Sheet(models.Model):
    """Rows below one that can be renamed, some of them out of scope."""

    library = models.ForeignKey(Library, on_delete=models.CASCADE)
    name = models.CharField(max_length=50)
    text = models.CharField(max_length=50, default="")
    live = models.BooleanField(default=True)

    class Meta:
        unique_together = [("library", "name")]


@data_sync.register_model(deletes="never")
class Plaque(models.Model):
    """Stays where the source has none."""

    library = models.ForeignKey(Library, on_delete=models.CASCADE)
    wall = models.PositiveSmallIntegerField()
    text = models.CharField(max_length=50, default="")

    class Meta:
        unique_together = [("library", "wall")]


@data_sync.register_model(natural_key=["name"])
class Choir(models.Model):
    """Refers to a row whose key is made of its own."""

    name = models.CharField(max_length=50, unique=True)
    motto = models.CharField(max_length=50, default="")
    soloist = models.ForeignKey("Singer", null=True, on_delete=models.SET_NULL, related_name="+")


@data_sync.register_model(natural_key=["choir.name", "name"])
class Singer(models.Model):
    choir = models.ForeignKey(Choir, on_delete=models.CASCADE)
    name = models.CharField(max_length=50)
    voice = models.CharField(max_length=50, default="")

    class Meta:
        unique_together = [("choir", "name")]


# Generic foreign keys. No constraint, because the tables of apps without migrations are made before content types are.


@data_sync.register_model(natural_key=["code"])
class Remark(models.Model):
    """May have no target; targets have primary keys of several kinds."""

    code = models.CharField(max_length=20, unique=True)
    content_type = models.ForeignKey(ContentType, null=True, on_delete=models.CASCADE, db_constraint=False)
    object_id = models.CharField(max_length=40, default="", blank=True)
    about = GenericForeignKey()


@data_sync.register_model(natural_key=["code"])
class Mark(models.Model):
    """Must have a target, and no two marks have the same."""

    code = models.CharField(max_length=20, unique=True)
    kind = models.ForeignKey(ContentType, on_delete=models.CASCADE, db_constraint=False)
    row = models.PositiveBigIntegerField()
    marked = GenericForeignKey("kind", "row")

    class Meta:
        unique_together = [("kind", "row")]


# What becomes of rows that refer to a deleted one


@data_sync.register_model(natural_key=["name"])
class Owner(models.Model):
    name = models.CharField(max_length=50, unique=True)


class Owned(models.Model):
    name = models.CharField(max_length=50, unique=True)

    class Meta:
        abstract = True


def nobody() -> int | None:
    """The owner of things whose owner is deleted."""
    return Owner.objects.filter(name="nobody").values_list("pk", flat=True).first()


@data_sync.register_model()
class OnCascade(Owned):
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE)


@data_sync.register_model()
class OnProtect(Owned):
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT)


@data_sync.register_model()
class OnRestrict(Owned):
    """Its parent restricts, unless the row goes by the other reference."""

    parent = models.ForeignKey(OnCascade, on_delete=models.RESTRICT)
    owner = models.ForeignKey(Owner, null=True, on_delete=models.CASCADE)


@data_sync.register_model()
class OnSetNull(Owned):
    owner = models.ForeignKey(Owner, null=True, on_delete=models.SET_NULL)


@data_sync.register_model()
class OnSetDefault(Owned):
    """The default is a primary key that may be another row in each database."""

    owner = models.ForeignKey(Owner, null=True, default=1, on_delete=models.SET_DEFAULT)


@data_sync.register_model()
class OnSetValue(Owned):
    owner = models.ForeignKey(Owner, null=True, on_delete=models.SET(nobody))


@data_sync.register_model()
class OnNothing(Owned):
    owner = models.ForeignKey(Owner, on_delete=models.DO_NOTHING)


class LocalRestrict(models.Model):
    """Restricts the delete of a registered row, and goes along with another.

    A changeset that deletes both is refused: `parent` has to go before its owner, and the row here only goes with that.
    """

    parent = models.ForeignKey(OnCascade, on_delete=models.RESTRICT)
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE)


class LocalProtect(models.Model):
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT)


class LocalNothing(models.Model):
    owner = models.ForeignKey(Owner, on_delete=models.DO_NOTHING)


class LocalSetNull(models.Model):
    owner = models.ForeignKey(Owner, null=True, on_delete=models.SET_NULL)


class LocalSetDefault(models.Model):
    owner = models.ForeignKey(Owner, null=True, default=1, on_delete=models.SET_DEFAULT)


# Scopes and managers


class Visible(models.Manager["Memo"]):
    def get_queryset(self) -> models.QuerySet[Memo]:
        return super().get_queryset().filter(hidden=False)


@data_sync.register_model()
class Memo(models.Model):
    """Its only manager hides rows, which are synced all the same."""

    slug = models.SlugField(unique=True)
    text = models.TextField(default="")
    hidden = models.BooleanField(default=False)

    objects = Visible()


@data_sync.register_model(queryset=lambda rows: rows.filter(live=True))
class Post(models.Model):
    """Rows enter and leave the scope."""

    slug = models.SlugField(unique=True)
    text = models.TextField(default="")
    live = models.BooleanField(default=True)


@data_sync.register_model(natural_key=["name"], queryset=lambda rows: rows.filter(live=True))
class Permit(models.Model):
    """A row out of scope may hold what one in scope would get."""

    name = models.CharField(max_length=50, unique=True)
    number = models.IntegerField(unique=True)
    live = models.BooleanField(default=True)


@data_sync.register_model(natural_key=["nation.code", "name"], queryset=lambda rows: rows.exclude(nation=None))
class Article(models.Model):
    """A draft is out of scope, and has no key."""

    nation = models.ForeignKey(Nation, null=True, on_delete=models.CASCADE)
    name = models.CharField(max_length=50)
    slug = models.SlugField(unique=True)
    author = models.ForeignKey(Owner, null=True, on_delete=models.CASCADE)

    class Meta:
        unique_together = [("nation", "name")]


@data_sync.register_model(natural_key=["name"], queryset=lambda rows: rows.filter(live=True))
class Issue(models.Model):
    """One that is out of scope may have drafts."""

    name = models.CharField(max_length=50, unique=True)
    articles = models.ManyToManyField(Article)
    live = models.BooleanField(default=True)


@data_sync.register_model(exclude=["visible"], queryset=lambda rows: rows.filter(visible=True))
class Banner(models.Model):
    """What decides about the scope is not synced: a new row lands outside of it."""

    name = models.CharField(max_length=50, unique=True)
    text = models.TextField(default="")
    visible = models.BooleanField(default=False)


@data_sync.register_model()
class Reply(models.Model):
    slug = models.SlugField(unique=True)
    post = models.ForeignKey(Post, on_delete=models.CASCADE)


# Saving


@data_sync.register_model()
class Stamp(models.Model):
    name = models.CharField(max_length=50, unique=True)
    text = models.TextField(default="")
    created = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)


@data_sync.register_model(save="model")
class StampedBySave(models.Model):
    """As `Stamp`, written by `save()`."""

    name = models.CharField(max_length=50, unique=True)
    text = models.TextField(default="")
    created = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)


@data_sync.register_model(exclude=["note"])
class Parcel(models.Model):
    """The database has the defaults, of a column that is synced and of one that is not."""

    name = models.CharField(max_length=50, unique=True)
    weight = models.IntegerField(db_default=7)
    note = models.CharField(max_length=50, db_default=Value("from the database"))


class Loud(models.Model):
    """Its `save()` adds something of its own."""

    name = models.CharField(max_length=50, unique=True)
    title = models.CharField(max_length=50, default="")
    shouted = models.CharField(max_length=50, default="")

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        self.shouted = self.title.upper()
        super().save(*args, **options)


@data_sync.register_model()
class SavedRaw(Loud):
    """Written past `save()`."""


@data_sync.register_model(save="model", exclude=["shouted"])
class SavedByModel(Loud):
    """Written by `save()`, which fills in what is not synced."""


@data_sync.register_model(save="model")
class SavedOtherwise(Loud):
    """Written by `save()`, which may alter what is synced."""


# Validators and constraints


def even(value: int) -> None:
    if value % 2:
        raise ValidationError("%(value)s is odd.", params={"value": value})


@data_sync.register_model(natural_key=["name"], save="model", exclude=["slug"])
class Slugged(models.Model):
    """`save()` fills a unique column that is not synced."""

    name = models.CharField(max_length=50, unique=True)
    slug = models.SlugField(unique=True)

    def save(self, *args: Any, **options: Any) -> None:
        self.slug = self.name.lower()
        super().save(*args, **options)


class Coarse(models.JSONField):
    """Takes truth for a number."""

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return super().get_db_prep_value(int(value) if value is True else value, connection, prepared)


@data_sync.register_model(natural_key=["name"], fields=("name", "tally"), file_fields=("paper",))
class Filed(models.Model):
    """No two rows have one file."""

    name = models.CharField(max_length=50, unique=True)
    paper = models.FileField(upload_to="papers", unique=True)
    tally = Coarse(default=0)


@data_sync.register_model()
class Checked(models.Model):
    """What Django checks in forms only."""

    name = models.CharField(max_length=50, unique=True)
    number = models.IntegerField(default=0, validators=[even, MinValueValidator(-10)])
    colour = models.CharField(
        max_length=10,
        default="red",
        choices=[("red", "Red"), ("Cool", [("blue", "Blue"), ("green", "Green")])],
    )
    mail = models.EmailField(default="", blank=True)


@data_sync.register_model()
class Limits(models.Model):
    """What the database checks."""

    name = models.CharField(max_length=50, unique=True)
    low = models.IntegerField(default=0)
    high = models.IntegerField(default=10)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(low__lte=F("high")), name="hard_low_up_to_high"),
            models.CheckConstraint(condition=Q(high__lt=F("low") + 1000), name="hard_not_too_far"),
        ]


@data_sync.register_model(natural_key=["name"])
class Edition(models.Model):
    """One active edition a room. MariaDB knows no such constraint."""

    name = models.CharField(max_length=50, unique=True)
    room = models.ForeignKey(Room, on_delete=models.CASCADE)
    active = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["room"], condition=Q(active=True), name="hard_one_active")]


@data_sync.register_model(natural_key=["name"])
class Page(models.Model):
    """Can be moved from one edition to another. One of each is not withdrawn. MariaDB knows no such constraint."""

    name = models.CharField(max_length=50, unique=True)
    edition = models.ForeignKey(Edition, on_delete=models.CASCADE)
    withdrawn = models.DateField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["edition"], condition=Q(withdrawn__isnull=True), name="hard_one_not_withdrawn"
            )
        ]


@data_sync.register_model(natural_key=["name"])
class Account(models.Model):
    """No two have one address, in capitals or not. MariaDB knows no such constraint."""

    name = models.CharField(max_length=50, unique=True)
    mail = models.CharField(max_length=50)

    class Meta:
        constraints = [models.UniqueConstraint(Lower("mail"), name="hard_one_mail")]


def _no_overlap() -> list[models.constraints.BaseConstraint]:
    """PostgreSQL alone can forbid that spans overlap."""
    if connection.vendor != "postgresql":
        return []
    from django.contrib.postgres.constraints import ExclusionConstraint
    from django.contrib.postgres.fields import IntegerRangeField

    span = models.Func(F("start"), F("end"), function="int4range", output_field=IntegerRangeField())
    return [ExclusionConstraint(name="hard_no_overlap", expressions=[(span, "&&")])]


@data_sync.register_model()
class Booking(models.Model):
    name = models.CharField(max_length=50, unique=True)
    start = models.IntegerField()
    end = models.IntegerField()

    class Meta:
        constraints = _no_overlap()


@data_sync.register_model(natural_key=["name"])
class Late(models.Model):
    """Two columns are unique together, which PostgreSQL looks at when a transaction commits."""

    name = models.CharField(max_length=50, unique=True)
    row = models.IntegerField()
    place = models.IntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["row", "place"], name="hard_late_once", deferrable=DEFERRED)]


class FixedCharField(models.CharField):
    def db_type(self, connection: Any) -> str:
        return f"char({self.max_length})"


@data_sync.register_model(natural_key=["name"])
class Fixed(models.Model):
    """A type that is of size one where none is given."""

    name = models.CharField(max_length=50, unique=True)
    code = FixedCharField(max_length=3)


@data_sync.register_model()
class Total(models.Model):
    """The database computes `product`."""

    name = models.CharField(max_length=50, unique=True)
    count = models.IntegerField(default=0)
    price = models.IntegerField(default=0)
    product = models.GeneratedField(
        expression=F("count") * F("price"), output_field=models.IntegerField(), db_persist=True
    )


# Names of tables and columns


@data_sync.register_model()
class Quoted(models.Model):
    """Names that are words of SQL, with capitals, spaces and a quote."""

    select = models.CharField(max_length=50, unique=True, db_column="from where's")
    order = models.IntegerField(default=0, db_column="ORDER by")
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, db_column="Parent's")
    tags = models.ManyToManyField(Room, db_table="hard's links")

    class Meta:
        db_table = "hard's Table"


@data_sync.register_model()
class QuotedChild(models.Model):
    quoted = models.OneToOneField(Quoted, on_delete=models.CASCADE, db_column="the 'quoted'")
    group = models.TextField(default="", db_column="group")

    class Meta:
        db_table = "Group by"


@data_sync.register_model(natural_key=["name"])
class Wrapped(models.Model):
    """The name of its table stands in quotes already, as older projects on Oracle and PostgreSQL have them."""

    name = models.CharField(max_length=50, unique=True)
    place = models.IntegerField(unique=True)
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE)

    class Meta:
        db_table = '"hard wrapped"'


# Keys that a database may take for equal


@data_sync.register_model()
class Word(models.Model):
    """MariaDB's default collation folds case, accents and trailing spaces."""

    text = models.CharField(max_length=190, unique=True)
    meaning = models.TextField(default="")


@data_sync.register_model()
class Sense(models.Model):
    """A key that reaches through one that is folded, with a part of its own that is."""

    word = models.ForeignKey(Word, on_delete=models.CASCADE)
    name = models.CharField(max_length=100)

    class Meta:
        unique_together = [("word", "name")]


@data_sync.register_model()
class Nickname(models.Model):
    """SQLite takes its keys for equal whatever their case."""

    name = models.CharField(
        max_length=50, unique=True, db_collation="nocase" if connection.vendor == "sqlite" else None
    )
    text = models.TextField(default="")


@data_sync.register_model()
class Harbour(models.Model):
    """A primary key that SQLite takes for equal whatever its case; links may name it in another."""

    code = models.CharField(
        max_length=10, primary_key=True, db_collation="nocase" if connection.vendor == "sqlite" else None
    )
    rooms = models.ManyToManyField(Room)


# Two releases: a server with this variable runs the next one (see test_releases.py)

NEXT = os.environ.get("DATA_SYNC_TEST_RELEASE") == "next"


class NoticeOfToday(models.Model):
    slug = models.SlugField(unique=True)
    kept = models.CharField(max_length=50, default="")
    retyped = models.IntegerField(default=0)
    shortened = models.CharField(max_length=50, default="")
    chosen = models.CharField(max_length=10, default="a", choices=[("a", "A"), ("b", "B")])
    dropped = models.TextField(default="")
    unlinked = models.ManyToManyField(Room, related_name="+")

    class Meta:
        abstract = True


class NextNotice(models.Model):
    slug = models.SlugField(unique=True)
    kept = models.CharField(max_length=50, default="")
    retyped = models.CharField(max_length=50, default="")
    shortened = models.CharField(max_length=20, default="")
    chosen = models.CharField(max_length=10, default="a", choices=[("a", "A"), ("c", "C")])
    added = models.TextField(default="")

    class Meta:
        abstract = True


@data_sync.register_model()
class Notice(NextNotice if NEXT else NoticeOfToday):
    class Meta:
        db_table = "hard_notice_next" if NEXT else "hard_notice"


if not NEXT:

    class NoticeThere(NextNotice):
        """The table of the next release, which tests fill at the source."""

        class Meta:
            db_table = "hard_notice_next"


class Leaflet(models.Model):
    """Registered today only."""

    slug = models.SlugField(unique=True)


class Poster(models.Model):
    """Registered in the next release only."""

    slug = models.SlugField(unique=True)


data_sync.register(Poster if NEXT else Leaflet)


class Frame(models.Model):
    note = models.CharField(max_length=20, default="")


class Plate(models.Model):
    plate_id = models.AutoField(primary_key=True)
    serial = models.IntegerField(unique=True)


@data_sync.register_model(natural_key=["name"])
class Cart(Frame, Plate):
    """Two parents, neither registered: in the table of the second a row goes by another primary key."""

    name = models.CharField(max_length=50, unique=True)


@data_sync.register_model(natural_key=["name"])
class Barrow(Plate):
    """Has a serial that no cart has."""

    name = models.CharField(max_length=50, unique=True)


@data_sync.register_model(natural_key=["name"], deletes="never")
class Sledge(Plate):
    """Has a serial that neither a cart nor a barrow has, and keeps it."""

    name = models.CharField(max_length=50, unique=True)
