"""Alembic's entry point: runs on the connection, and in the transaction, that `services.storage.migrate` hands over."""

from alembic import context

from services.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes columns and constraints by copying the table
)
with context.begin_transaction():
    context.run_migrations()
