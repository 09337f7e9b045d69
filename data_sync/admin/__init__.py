"""The screens: stock Django admin, server-rendered, better with JavaScript and whole without it."""

from . import change_list, changesets, event_list, keys, pulls, sources

__all__ = ["change_list", "changesets", "event_list", "keys", "pulls", "sources"]
