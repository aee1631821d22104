"""Functions with a known minimum: one a file."""
