"""The screens in a project whose admin is django-unfold's. `tests/e2e/test_unfold.py` runs them in a process of their
own, as such an admin replaces the stock one for good."""
