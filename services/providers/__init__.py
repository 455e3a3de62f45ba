"""Adapters to model endpoints. Only `client.py` imports the SDK."""
