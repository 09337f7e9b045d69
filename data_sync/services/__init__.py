"""What data_sync does: transactions, transitions and permissions. Entry points only call these."""
