"""The conversation: transcript, reply being written, composer."""
