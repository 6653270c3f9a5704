"""Ctrl-C and SIGTERM while something trains: the first asks it to be saved, the second ends it at once."""

import math
import signal
import time
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

import click

INTERRUPTED, TERMINATED, BROKEN_PIPE = 130, 143, 141  # 128 + the signal, as shells have it
ONE = 0.5  # seconds in which SIGTERM counts once: `timeout` sends it to a process and to its group
AGAIN = ONE + 0.1  # seconds after which a signal is sent again, so that it counts


class Terminated(BaseException):
    """SIGTERM as an exception, so that what is half-made is removed on the way out."""


class SignalDebouncer:
    """Tells one SIGTERM from the same one that comes once more."""

    def __init__(self) -> None:
        self._counted_at = -math.inf

    @property
    def has_counted(self) -> bool:
        """Whether any has come."""
        return self._counted_at > -math.inf

    def repeats(self) -> bool:
        """Whether the one that comes now is one that has counted; if not, it counts."""
        now = time.monotonic()
        if now - self._counted_at < ONE:
            return True
        self._counted_at = now
        return False


class GracefulShutdown:
    """Inside the with-statement, `asked` becomes True at the first signal; the second raises."""

    def __init__(self) -> None:
        self.asked = False
        self._echo = SignalDebouncer()
        self._signal = signal.SIGINT
        self._before: dict[signal.Signals, Any] = {}
        from ._output import console

        self._console = console()

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM and self._echo.repeats():
            return
        self._signal = signal.Signals(number)
        if self.asked:
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated
        self.asked = True
        with suppress(OSError, RuntimeError):  # nobody reads any more, or it came amid another message
            self._console.say("stopping after this step; once more stops at once")

    def exit(self) -> None:
        """Leave with the exit code of the signal."""
        raise click.exceptions.Exit(INTERRUPTED if self._signal == signal.SIGINT else TERMINATED)
