"""An app that stops the worker it is installed in at a moment of its work, for good, so that the test can kill it."""
