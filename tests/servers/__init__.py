"""Model servers that nobody here wrote, as fixtures. Loopback only."""
