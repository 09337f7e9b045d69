"""The shop: synced content, and local rows that hang from it."""
