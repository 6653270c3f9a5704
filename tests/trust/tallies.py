"""A count of the cases tried and held for each promise, told when the tests have ended."""

from collections.abc import Iterator
from contextlib import contextmanager

TALLIES = dict[str, dict[str, "Tally"]]()  # by the sentence that heads a file, and by promise


class Tally:
    """Cases of one promise. A case that does not hold is noted, and the others are still tried."""

    def __init__(self) -> None:
        self.tried = self.held = 0
        self.broken: list[str] = []

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        self.tried += 1
        try:
            yield
            self.held += 1
        except Exception as error:
            self.broken.append(f"{name}: {type(error).__name__}: {error}")
