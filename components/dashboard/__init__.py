"""Usage, cost and latency: what is shown of measured requests."""
