"""Sphinx settings. Builds without a network: ``python3 -m sphinx -W docs docs/_build``."""

from importlib import metadata

project = "data_sync"
author = "django-data-sync contributors"
copyright = f"2026, {author}"
release = metadata.version("django-data-sync")

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"data_sync {release}"
