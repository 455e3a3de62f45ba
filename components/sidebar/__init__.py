"""Beside the conversation: the list of conversations and the model."""
