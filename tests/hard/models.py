"""Models that are hard to sync, by theme."""

from __future__ import annotations
