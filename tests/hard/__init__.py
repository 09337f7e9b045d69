"""Schemas that are hard to sync, each synced between two environments."""
