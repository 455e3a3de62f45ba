"""The schema's history. `services.storage.migrate` runs it; there is no alembic.ini."""
