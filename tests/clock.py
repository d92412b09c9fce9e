"""A clock that stands still until a test moves it."""


class Clock:
    """Seconds that go forward only when told to.

    Attributes:
        now: what it shows.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
