"""The database: schema, migrations and the store."""
