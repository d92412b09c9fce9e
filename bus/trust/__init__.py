"""Who is who, who signed what, and what may be passed on: pure where it can be."""
