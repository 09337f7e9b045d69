"""What services promise."""
