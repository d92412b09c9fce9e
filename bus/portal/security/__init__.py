"""Who may see the page: sessions, local users, OpenID Connect, and forms of our own alone."""
