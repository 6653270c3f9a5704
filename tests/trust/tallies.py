"""Count the cases tried and held for each promise, and print the counts after the last test."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["TALLIES", "Tally"]

TALLIES = dict[str, dict[str, "Tally"]]()  # by first sentence of the test file, then by promise


class Tally:
    """Cases of one promise. A broken case is noted, and the test goes on with the next case."""

    def __init__(self) -> None:
        self.tried = self.held = 0
        self.broken: list[str] = []

    @contextmanager
    def case(self, name: str) -> Iterator[None]:
        """Count the block as one case; the case holds if the block raises nothing."""
        self.tried += 1
        try:
            yield
            self.held += 1
        except Exception as error:
            self.broken.append(f"{name}: {type(error).__name__}: {error}")
