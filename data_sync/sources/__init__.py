"""Sources that are not the local database: readers of what another environment sends."""
