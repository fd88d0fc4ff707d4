"""Objects (folders and files by key) and the checksummed, atomically written folders they hold."""
