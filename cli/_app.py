"""Base classes of commands, and exit codes: every way in which a command can end has one."""

import io
import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TextIO

import click

from nlpseq.core.resources import NUMBA, check_address_space
from nlpseq.errors import DISK_FULL, SHORTAGE, NlpseqError

from ._output import Console
from ._shutdown import AGAIN, BROKEN_PIPE, INTERRUPTED, TERMINATED, SignalDebouncer, Terminated


class WithExamples(click.Command):
    """A command whose help ends with lines a person can run, in the order given."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class Command(WithExamples):
    """A command that does something. Options that carry a `section` are listed under it.

    addresses: how many the libraries take that it loads (see _memory).
    """

    def __init__(self, *args: Any, addresses: tuple[int, int] = NUMBA, **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._addresses = addresses
        self.params += [_option(*each) for each in _MESSAGE_OPTIONS]

    def invoke(self, ctx: click.Context) -> Any:
        check_address_space(self._addresses)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                sections.setdefault(getattr(param, "section", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


_MESSAGE_OPTIONS: list[tuple[tuple[str, ...], str, str, Any]] = [
    (("-q", "--quiet"), "no messages but errors", "verbosity", -1),
    (("-v", "--verbose"), "more messages", "verbosity", 1),
    (("--debug",), "a traceback with every error", "debug", True),
]


def _option(names: Sequence[str], help: str, attribute: str, value: Any) -> click.Option:
    """A flag that sets an attribute of the console."""

    def callback(ctx: click.Context, param: click.Parameter, given: bool) -> None:
        if given:
            setattr(ctx.ensure_object(Console), attribute, value)

    return click.Option(
        [*names], is_flag=True, expose_value=False, is_eager=True, help=help, callback=callback
    )


RUN, USAGE, INPUT, RESOURCE = 1, 2, 4, 6  # as in nlpseq.errors

_SETTING = re.compile(
    r"^([a-z]+(?:_[a-z0-9]+)+)(?= is .*\. It must be )"
)  # what an error of a config begins with


def run_and_exit(command: click.Command, args: Sequence[str] | None) -> NoReturn:
    """Run the command line `args` (sys.argv without one) and leave with its exit code."""
    _open_closed_streams()
    console = Console()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character gets its escape
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _run(command, sys.argv[1:] if args is None else [*args], console)
    except (KeyboardInterrupt, Terminated) as error:  # which came when the command was over
        code = _explain(error, console)
    sys.exit(code)


def _run(command: click.Command, args: list[str], console: Console) -> int:
    """The exit code of a command line."""
    with _sigterm_raises(), _stops_come_through(), _warnings_on(console):
        try:
            _invoke(command, args, console)
        except click.exceptions.Exit as ending:
            return ending.exit_code
        except (Exception, KeyboardInterrupt, Terminated) as error:
            return _explain(error, console)
    return 0


def _open_closed_streams() -> None:
    """Have 0, 1 and 2 lead to nowhere where the caller closed them: the next file opened would be one."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _invoke(command: click.Command, args: list[str], console: Console) -> None:
    with command.make_context("nlpseq", args, obj=console) as ctx:
        command.invoke(ctx)


def _explain(error: BaseException, console: Console) -> int:
    """Say on stderr what went wrong; the exit code for it."""
    if isinstance(error, BrokenPipeError):
        _drop_output(sys.stdout, sys.stderr)
        return BROKEN_PIPE
    if console.debug:
        traceback.print_exception(error)
    if isinstance(error, OSError):
        _drop_output(sys.stdout)  # if stdout is what could not be written, leaving must not try again
    code, message = _verdict(error)
    console.say(message, level=-1)
    return code


def _verdict(error: BaseException) -> tuple[int, str]:
    match error:
        case RuntimeError(__cause__=(KeyboardInterrupt() | Terminated()) as stop):
            return _verdict(stop)  # which came amid __set_name__: Python 3.11 makes another error of it
        case KeyboardInterrupt():
            return INTERRUPTED, "nlpseq: stopped by Ctrl-C"
        case Terminated():
            return TERMINATED, "nlpseq: stopped by SIGTERM"
        case click.exceptions.NoArgsIsHelpError():
            return USAGE, error.format_message()
        case click.UsageError():
            place = error.ctx.command_path if error.ctx else "nlpseq"
            return USAGE, f"nlpseq: error: {error.format_message()} Try `{place} --help`."
        case NlpseqError():
            return error.exit_code, f"nlpseq: error: {_SETTING.sub(_as_option, str(error))}"
        case MemoryError():
            return RESOURCE, (
                f"nlpseq: error: memory ran out ({str(error) or 'no details'}). "
                "Use a smaller vocabulary (--max-vocab) or shorter vectors (--dim), or close other programs."
            )
        case RuntimeError() if "can't start new thread" in str(error):
            return RESOURCE, (
                "nlpseq: error: the system starts no more threads. "
                "Use fewer (--threads), close other programs, or lift a limit (ulimit -u, ulimit -v)."
            )
        case RuntimeError() if re.search(r"out of memory|allocate memory", str(error)):  # of PyTorch
            return RESOURCE, (
                f"nlpseq: error: memory ran out ({str(error).splitlines()[0]}). "
                "Use less of --batch-size, --bptt, --hidden or --max-vocab, or close other programs."
            )
        case RuntimeError() if "Symlink loop" in str(error):  # of pathlib
            return INPUT, f"nlpseq: error: a link leads to itself ({error}). Name another place."
        case FileNotFoundError() if "No usable temporary directory" in str(error):  # of tempfile
            return RESOURCE, (
                "nlpseq: error: no folder for temporary files can be written. "
                "Free some space, or name a folder in TMPDIR."
            )
        case OSError(errno=number) if number in DISK_FULL:
            return RESOURCE, f"nlpseq: error: the disk ran full ({error}). Free some space."
        case OSError(errno=number) if number in SHORTAGE:
            return RESOURCE, (
                f"nlpseq: error: the machine is short of something ({error}). "
                "Close other programs, or lift a limit (ulimit -a)."
            )
        case OSError(filename=str() | bytes() | os.PathLike() as name):
            return INPUT, (
                f"nlpseq: error: {os.fsdecode(name)} cannot be used ({error.strerror}). "
                "Check its name, and what you may do with it."
            )
        case _:
            return RUN, f"nlpseq: internal error: {type(error).__name__}: {error}; run with --debug"


def _as_option(setting: re.Match[str]) -> str:
    return "--" + setting[1].replace("_", "-")


def _drop_output(*streams: TextIO) -> None:
    """Send what these streams still hold to nowhere: else the interpreter fails on it when it ends."""
    for stream in streams:
        with suppress(OSError, ValueError):  # a stream without a file needs nothing
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # signals are for the main thread alone
        yield
        return

    echo = SignalDebouncer()

    def stop(*_: object) -> None:
        if not echo.repeats():
            raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        # A process that was stopped ends with its own exit code, even if more of them come.
        signal.signal(signal.SIGTERM, signal.SIG_IGN if echo.has_counted else before)


@contextmanager
def _stops_come_through() -> Iterator[None]:
    """A signal that a callback of a library has swallowed, as it may no exception, is sent once more."""
    before, timers = sys.unraisablehook, list[threading.Timer]()

    def send_again(swallowed: Any) -> None:
        for stop, number in ((KeyboardInterrupt, signal.SIGINT), (Terminated, signal.SIGTERM)):
            if swallowed.exc_type is stop:
                timers.append(threading.Timer(AGAIN, os.kill, (os.getpid(), number)))
                timers[-1].daemon = True
                timers[-1].start()
                return
        before(swallowed)

    sys.unraisablehook = send_again
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in timers:
            timer.cancel()


@contextmanager
def _warnings_on(console: Console) -> Iterator[None]:
    """Warnings of the library as a line, without the place in the code."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        console.say(f"nlpseq: warning: {message}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
