"""What grants come to with real events: examples of what flows, and why something did not."""
