"""Signals: Ctrl-C, SIGTERM and SIGHUP end a command; a training run is saved first.

nlpseq/__main__.py handles a signal before StopSignals is in force.
"""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DUPLICATE_S = 0.5  # because `timeout` signals a process and then its group, and a logout sends two signals
RETRY_S = 0.05
CLEANUP_S = 10.0  # because an exception can keep a lock taken, for which the cleanup then waits


class Stopped(KeyboardInterrupt):
    """A signal as an exception, so that temporary files are removed on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class StopSignals:
    """Raise Stopped at each signal, inside the with-statement; with `on_first`, from the second on.

    An import can swallow or replace an exception, so Stopped waits for its end. Stopped is raised again
    after a callback of a library that swallowed it, and every CLEANUP_S until the command has ended.
    """

    def __init__(self) -> None:
        self.number = 0  # of the last signal
        self.on_first: Callable[[], None] | None = None
        self._received_at = -math.inf  # the last signal but Ctrl-C
        self._is_waiting = False  # for the end of an import
        self._before: dict[int, Any] = {}
        self._caller: FrameType | None = None

    def __enter__(self) -> Self:
        self._caller, self._hook_before = sys._getframe(1), sys.unraisablehook
        sys.unraisablehook = self._on_unraisable
        if threading.current_thread() is threading.main_thread():  # because other threads set no handlers
            for number in SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                    self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            # A stopped command keeps its exit code, even if more signals come.
            signal.signal(number, signal.SIG_IGN if self.number else handler)
        if self.number:
            signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook, self._caller = self._hook_before, None
        if self._is_waiting:  # because the command ended first
            raise Stopped(self.number)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now, before = time.monotonic(), self._received_at
        if number != signal.SIGINT:
            if now - before < DUPLICATE_S:
                return
            self._received_at = now
        self.number = number
        if self.on_first is not None:
            on_first, self.on_first = self.on_first, None
            on_first()
        else:
            self._raise(frame)

    def _raise(self, frame: FrameType | None) -> None:
        """Raise Stopped, or try again later if an import is running."""
        while frame is not None and frame is not self._caller:
            if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
                self._retry()
                return
            frame = frame.f_back
        self._is_waiting = False
        self._raise_after(CLEANUP_S)
        raise Stopped(self.number)

    def _retry(self) -> None:
        self._is_waiting = True
        self._raise_after(RETRY_S)

    def _raise_after(self, seconds: float) -> None:
        signal.signal(signal.SIGALRM, lambda _, frame: self._raise(frame))
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def _on_unraisable(self, unraisable: Any) -> None:
        if unraisable.exc_type is Stopped:
            self._retry()
        elif not self.number:  # because a signal can leave an object half-made, whose __del__ fails then
            self._hook_before(unraisable)
