"""One file a schema version, the oldest first."""
