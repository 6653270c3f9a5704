"""Messages and progress on stderr, results on stdout."""

import json
import os
import shlex
import sys
import threading
import time
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click

from ._shutdown import StopSignals

_CONTROL_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")  # controls, lone surrogates, line and paragraph separators
_DIRECTION_MARKS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}  # change the direction of text
# json.dumps does not escape these; a JSON string may hold them as \uXXXX.
_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in [*range(0x7F, 0xA0), 0x2028, 0x2029, *_DIRECTION_MARKS]}


@dataclass
class Console:
    """Messages on stderr, at the verbosity that the user chose."""

    verbosity: int = 0  # -1: warnings and errors only, 1: details too
    debug: bool = False
    arguments: Sequence[str] = ()  # of the command line
    signals: StopSignals = field(default_factory=StopSignals)

    def say(self, message: str, level: int = 0) -> None:
        """Print a line on stderr if the verbosity is at least `level`."""
        if self.verbosity < level:
            return
        try:
            print(printable(message, keep="\n"), file=sys.stderr, flush=True)
        except BrokenPipeError:
            raise
        except OSError:  # such as a full disk: a lost message does not end the work
            pass


def say(message: str, level: int = 0) -> None:
    """Print a message: by default unless -q, at level 1 if -v, at level -1 always."""
    console().say(message, level)


def say_warning(message: str) -> None:
    """Print a warning, also with -q."""
    say(f"nlpseq: warning: {message}", level=-1)


def say_notice(notice: str) -> None:
    """Print a notice of the library: a warning, or a note, which -q leaves out."""
    from nlpseq.reading.decode import NOTE

    if notice.startswith(NOTE):
        say(f"nlpseq: {notice}")
    else:
        say_warning(notice)


def console() -> Console:
    """Return the console of the running command."""
    return click.get_current_context().ensure_object(Console)


def printable(text: str, keep: str = "") -> str:
    r"""Return `text` with control characters as escapes, such as \x1b, but those in `keep`."""
    if text.isascii() and text.isprintable():
        return text
    chars = list(text)
    for place, char in enumerate(chars):
        is_control = unicodedata.category(char) in _CONTROL_CATEGORIES or ord(char) in _DIRECTION_MARKS
        if is_control and char not in keep:
            chars[place] = f"\\x{ord(char):02x}" if char < "\u0100" else f"\\u{ord(char):04x}"
    return "".join(chars)


def shell_quoted(text: str) -> str:
    """Quote text for a shell if necessary; letters of any script need no quotes."""
    plain = "".join("x" if unicodedata.category(char)[0] in "LMN" else char for char in text)
    return text if shlex.quote(plain) == plain else shlex.quote(text)


def shell_path(path: Path) -> str:
    """Quote a path for a shell, also one with a dash at its start, control characters or invalid bytes."""
    name = f"./{path}" if str(path).startswith("-") else str(path)
    if printable(name) == name:
        return shell_quoted(name)
    chars = [chr(byte) for byte in name.encode("utf-8", "surrogateescape")]
    safe = (char if " " <= char <= "~" and char not in "\\'" else f"\\x{ord(char):02x}" for char in chars)
    return f"$'{''.join(safe)}'"


def print_line(*fields: str) -> None:
    """Print a line on stdout, with tabs between fields."""
    # Not click.echo, because click.echo writes UTF-8 to an ASCII terminal.
    print(*map(printable, fields), sep="\t", flush=True)


def print_text(text: str) -> None:
    """Print text on stdout as it is, or on a terminal with control characters as escapes."""
    print(printable(text, keep="\n\t") if sys.stdout.isatty() else text, end="", flush=True)


def print_json(answer: Mapping[str, Any]) -> None:
    """Print a JSON document on one line of stdout, always in UTF-8."""
    text = json.dumps({"schema": 1, **answer}, ensure_ascii=False).translate(_JSON_ESCAPES)
    # backslashreplace writes a lone surrogate as \udcXX, its JSON escape.
    click.echo(text.encode("utf-8", "backslashreplace"))


def print_path(path: Path) -> None:
    """Print a path on stdout with its original bytes, for a shell."""
    click.echo(os.fsencode(path))


def print_columns(rows: Iterable[tuple[str, str]]) -> None:
    """Print two aligned columns on stdout."""
    rows = [(printable(left), right) for left, right in rows]
    widest = max((_width(left) for left, _ in rows), default=0)
    for left, right in rows:
        print_line(f"{left}{' ' * (widest - _width(left))}  {right}")


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on stdout: first column to the left, others to the right."""
    lines = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for first, *others in lines:
        cells = [first + " " * (widths[0] - _width(first))]
        cells += [" " * (width - _width(cell)) + cell for width, cell in zip(widths[1:], others, strict=True)]
        print_line("  ".join(cells))


def _width(text: str) -> int:
    """Return the terminal columns of a text: 2 for a wide character, 0 for a combining mark."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) > 0 for char in text)


PLAIN_LINE_S = 30.0  # between lines on a stderr that is no terminal
SLOW_START_S = 1.5  # without a report, until the reason is printed
BAR = "{desc}: {percentage:3.0f}%, {rate_fmt}{postfix}, {remaining} left"  # at most 80 columns


class Progress:
    """A progress bar on stderr, or plain lines if stderr is no terminal; nothing if -q.

    unit: name of the counted units. slow_start: message if the first report is late, as when kernels load.
    begun: units done before, by an earlier run. stopped_note: advice after a signal.
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
        self._console = console()  # here, because other threads have no click context
        self._timer = threading.Timer(SLOW_START_S, self._console.say, [slow_start])
        self._timer.daemon = True
        self._started = self._printed = time.monotonic()
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
        if isinstance(error, KeyboardInterrupt):
            say(f"{self.label} stopped{self._share and ' at ' + self._share}; {self._stopped_note}")

    def update(self, done: int, total: int | None, figures: str = "") -> None:
        """Show that `done` of `total` units are done; figures: text to show with them."""
        self._timer.cancel()
        self._share = f"{done / total:.0%}" if total else ""
        if self._console.verbosity < 0:
            return
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._update_bar(done, total, figures)
        elif time.monotonic() - self._printed >= PLAIN_LINE_S:
            self._printed = time.monotonic()
            self._console.say(self._line(done, total, figures))

    def _update_bar(self, done: int, total: int | None, figures: str) -> None:
        from tqdm import tqdm

        if self._bar is None:
            has_size = os.get_terminal_size(sys.stderr.fileno()).columns > 0  # 0 in some pseudo-terminals
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
        self._bar.total = total  # perhaps a better estimate
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
