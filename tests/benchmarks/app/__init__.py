"""Rows such as content teams keep: short texts in many languages, with a price, settings and tags."""
