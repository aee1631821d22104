"""Results files: their connection, schema, encoding, archive, loading and merging."""
