"""Models to move between databases in tests."""
