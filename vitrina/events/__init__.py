"""Raw files in; validated tables, prepared tables, id maps and time splits out."""
