"""Records, digests, diffs, ordering and the wire format: plain Python, without Django."""
