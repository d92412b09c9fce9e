"""What only a reading of the bus can tell: lag, loss, silence; read the same way on both engines.

`survey.py` says what is found and what follows from it, `surveyor.py` finds it out, `watch.py` does
so all the time, `gauges.py` makes metrics of it. `canary.py` sends events of its own.
"""
