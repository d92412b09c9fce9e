"""Members and grants for pages: the journal is followed, and kept to be looked up in."""
