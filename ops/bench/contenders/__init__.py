"""Those that are compared: each function runs in a process of its own and returns its figures.

Time runs from the first event to the last acknowledgement, or from the first record in hand to the
last; connecting, warming up and checking what was written are outside it.
"""
