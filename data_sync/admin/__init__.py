"""The screens: stock Django admin, server-rendered, better with JavaScript and whole without it."""

from . import changesets, keys, pulls, sources

__all__ = ["changesets", "keys", "pulls", "sources"]
