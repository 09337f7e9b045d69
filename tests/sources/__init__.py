"""Readers of other environments."""
