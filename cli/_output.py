"""Messages and progress on stderr, results on stdout."""

import json
import math
import os
import shlex
import sys
import threading
import time
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from ._shutdown import GracefulShutdown, Terminated

if TYPE_CHECKING:
    from nlpseq.training.progress import TrainProgress

_HIDDEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, lone surrogates, line and paragraph separators
_TURNED = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}  # they turn the direction of what follows
# Control characters json.dumps leaves as they are; inside its strings, the only place they can be, \uXXXX
# means the same.
_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in [*range(0x7F, 0xA0), 0x2028, 0x2029, *_TURNED]}


@dataclass
class Console:
    """How much a person wants to be told."""

    verbosity: int = 0  # -1: errors only, 1: details too
    debug: bool = False

    def say(self, message: str, level: int = 0) -> None:
        """A line on stderr, if messages of this level are wanted."""
        if self.verbosity < level:
            return
        try:
            print(printable(message, keep="\n"), file=sys.stderr, flush=True)
        except BrokenPipeError:
            raise
        except OSError:  # of a full disk, say: work and exit code do not depend on what is told
            pass


def say(message: str) -> None:
    """A message; -q silences it."""
    console().say(message)


def say_detail(message: str) -> None:
    """A message that only -v shows."""
    console().say(message, level=1)


def say_warning(message: str) -> None:
    say(f"nlpseq: warning: {message}")


def say_error(message: str) -> None:
    """An error that does not end the command; never silenced."""
    console().say(f"nlpseq: error: {message}", level=-1)


def console() -> Console:
    """The console of the command that runs."""
    return click.get_current_context().ensure_object(Console)


def printable(text: str, keep: str = "") -> str:
    """`text` with everything that could command a terminal written as an escape, such as \\x1b."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in keep or not _commands(char) else _escaped(char) for char in text)


def print_line(*fields: str) -> None:
    """A line on stdout, tabs between fields; in its own encoding, as click.echo takes ASCII for UTF-8."""
    print(*map(printable, fields), sep="\t", flush=True)


def print_text(text: str) -> None:
    """Text on stdout as it stands, line ends included, and no more than that."""
    print(printable(text, keep="\n"), end="", flush=True)


def print_json(answer: Mapping[str, Any]) -> None:
    """One JSON document on a line of stdout, in UTF-8 whatever the terminal speaks."""
    text = json.dumps({"schema": 1, **answer}, ensure_ascii=False).translate(_JSON_ESCAPES)
    # backslashreplace writes a lone surrogate as \udcXX, which is its JSON escape
    click.echo(text.encode("utf-8", "backslashreplace"))


def print_path(path: Path) -> None:
    """A path on stdout, with the bytes its name has, for a shell to use."""
    click.echo(os.fsencode(path))


def print_columns(rows: Iterable[tuple[str, str]]) -> None:
    """Two columns on stdout, the second one aligned."""
    rows = [(printable(left), right) for left, right in rows]
    widest = max((_width(left) for left, _ in rows), default=0)
    for left, right in rows:
        print_line(f"{left}{' ' * (widest - _width(left))}  {right}")


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout under its header: words to the left, figures to the right."""
    lines = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for first, *others in lines:
        cells = [first + " " * (widths[0] - _width(first))]
        cells += [" " * (width - _width(cell)) + cell for width, cell in zip(widths[1:], others, strict=True)]
        print_line("  ".join(cells))


def _commands(char: str) -> bool:
    return unicodedata.category(char) in _HIDDEN or ord(char) in _TURNED


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _width(text: str) -> int:
    """Columns on a terminal: two for a wide character, none for a mark on another."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


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


class TrainingSession(ExitStack):
    """Progress bar and graceful shutdown of a training command; `start` begins both.

    unit: of TrainProgress.done. slow_start: see Progress.
    """

    def __init__(self, command: str, unit: str, slow_start: str) -> None:
        super().__init__()
        self._command, self._unit, self._slow_start = command, unit, slow_start
        self.path = Path()

    def start(self, path: Path, done: int = 0) -> None:
        """Begin; done: units that a resumed run has done before."""
        self.path = path
        self._line = f"nlpseq {self._command} {shlex.quote(str(path))} --resume"
        note = f"its last checkpoint, if there is one yet, continues with: {self._line}"
        self._stop = self.enter_context(GracefulShutdown())
        bar = Progress("training", self._unit, self._slow_start, begun=done, stopped_note=note)
        self._bar = self.enter_context(bar)

    def should_stop(self) -> bool:
        """Return True after a signal."""
        return self._stop.asked

    def progress(self, report: "TrainProgress") -> None:
        """Show a report."""
        figures = f"loss {report.loss:.4f}, learning rate {report.learning_rate:.5f}"
        if report.valid_loss is not None and self._command == "train-lm":
            figures += f", validation perplexity {math.exp(min(report.valid_loss, 700)):.2f}"
        elif report.valid_loss is not None:
            figures += f", validation loss {report.valid_loss:.4f}"
        self._bar.update(report.done, report.total, figures)

    def end(self, meta: Mapping[str, Any]) -> None:
        """End progress; if a signal stopped training, say how to continue, and exit."""
        self.close()
        if not meta["complete"]:
            say(f"stopped and saved. Continue with: {self._line}")
            self._stop.exit()
