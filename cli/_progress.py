"""How far long work is: on a terminal a line that changes, elsewhere a plain one now and then."""

import os
import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

from ._console import console, say
from ._run import Terminated

PLAIN_SECONDS = 30.0  # between plain lines
BAR = "{desc}: {percentage:3.0f}%, {rate_fmt}{postfix}, {remaining} left"  # all of it in 80 columns
SLOW_START_SECONDS = 1.5  # without a report, after which the reason is said


class Progress:
    """Shows reports of long work on stderr, unless -q; use it in a with-statement.

    unit: what is counted. slow_start: a line for when the first report takes long, as it does where kernels
    have to be compiled. begun: what was done before. Stopped by a signal, it says how far the work had come,
    and stopped_note.
    """

    def __init__(
        self,
        label: str,
        unit: str,
        slow_start: str,
        *,
        begun: int = 0,
        stopped_note: str = "its result was not written.",
    ) -> None:
        self.label = label
        self.unit = unit
        self._begun = begun
        self._stopped_note = stopped_note
        self._console = console()  # click knows it in this thread only
        self._timer = threading.Timer(SLOW_START_SECONDS, self._console.say, [slow_start])
        self._timer.daemon = True
        self._started = self._said = time.monotonic()
        self._bar: Any = None
        self._share = ""

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._bar is not None:
            self._bar.close()
        if isinstance(error, (KeyboardInterrupt, Terminated)):
            say(f"{self.label} stopped{self._share and ' at ' + self._share}; {self._stopped_note}")

    def update(self, done: int, total: int | None, figures: str = "") -> None:
        """Report that `done` of `total` units are done; figures: what else to show, ready to print."""
        self._timer.cancel()
        self._share = f"{done / total:.0%}" if total else ""
        if self._console.verbosity < 0:
            return
        if _on_terminal():
            self._update_bar(done, total, figures)
        elif time.monotonic() - self._said >= PLAIN_SECONDS:
            self._said = time.monotonic()
            self._console.say(self._line(done, total, figures))

    def _update_bar(self, done: int, total: int | None, figures: str) -> None:
        from tqdm import tqdm

        if self._bar is None:
            has_size = os.get_terminal_size(sys.stderr.fileno()).columns > 0  # 0 where nobody has set it
            size = {"dynamic_ncols": True} if has_size else {"ncols": 80, "nrows": 24}
            shape = BAR if total else None
            self._bar = tqdm(
                desc=self.label,
                total=total,
                initial=self._begun,
                unit=self.unit,
                unit_scale=True,
                bar_format=shape,
                leave=False,
                **size,
            )
        self._bar.total = total  # which may be an estimate that gets better
        self._bar.set_postfix_str(figures, refresh=False)
        self._bar.update(done - self._bar.n)

    def _line(self, done: int, total: int | None, figures: str) -> str:
        from tqdm import tqdm

        seconds = time.monotonic() - self._started
        rate = (done - self._begun) / seconds if seconds else 0
        parts = [self._share, figures, f"{tqdm.format_sizeof(rate)}{self.unit}/s"]
        if total and rate:
            parts.append(f"{tqdm.format_interval((total - done) / rate)} left")
        return f"{self.label}: " + ", ".join(part for part in parts if part)


def _on_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
