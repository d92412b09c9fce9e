"""Derived views as others read them: what their topics hold, and what a page needs of it."""
