"""Guards switched off, one at a time: a guard that no test misses is not tested."""
