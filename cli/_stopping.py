"""Ctrl-C and SIGTERM while something trains: the first asks it to be saved, the second ends it at once."""

import signal
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any, Self

import click

from ._console import console
from ._run import INTERRUPTED, TERMINATED, Echo, Terminated


class StopRequest:
    """Inside the with-statement, `asked` becomes True at the first signal; the second raises."""

    def __init__(self) -> None:
        self.asked = False
        self._echo = Echo()
        self._signal = signal.SIGINT
        self._before: dict[signal.Signals, Any] = {}
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
