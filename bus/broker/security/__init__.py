"""Who is on a connection, what they may do, and what is noted of it."""
