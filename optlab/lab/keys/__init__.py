"""The keys that tell one trial from another: hashes of objects, sources and settings."""
