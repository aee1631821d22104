"""Results files: connection, schema and migration, encoding, archive, loading and merging."""
