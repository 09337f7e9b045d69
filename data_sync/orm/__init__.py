"""Reading and writing the host project's tables, and their files."""
