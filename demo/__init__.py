"""A small shop on two environments, staging and production, to try data_sync with."""
