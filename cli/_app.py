"""The frame of every command: help with examples, exit codes and error messages."""

import io
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TextIO

import click

from nlpseq.core.resources import NUMBA, check_address_space
from nlpseq.errors import DISK_FULL, SHORTAGE, ConfigError, NlpseqError

from ._options import Words, option_name
from ._output import Console


class WithExamples(click.Command):
    """A command with examples at the end of the help, to run in order."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class Command(WithExamples):
    """A command with -q, -v and --debug, and a help that groups options by their `section`.

    addresses: address space of the libraries of the command, see check_address_space.
    """

    def __init__(self, *args: Any, addresses: tuple[int, int] = NUMBA, **attributes: Any) -> None:
        super().__init__(*args, context_settings={"show_default": True}, **attributes)
        self._addresses = addresses
        self.params += [
            _message_option("-q", "--quiet", help="print warnings and errors only", verbosity=-1),
            _message_option("-v", "--verbose", help="print more messages", verbosity=1),
            _message_option("--debug", help="print a traceback with every error", debug=True),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        check_address_space(self._addresses)
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            setting = re.match(r"[a-z][a-z0-9_]*(?=:| is )", str(error))
            options = {param.name for param in self.params if isinstance(param, click.Option)}
            if setting is None or setting[0] not in options:
                raise
            message = option_name(setting[0]) + str(error)[setting.end() :]
            raise ConfigError(message) from error

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                sections.setdefault(getattr(param, "section", "Options"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _message_option(*names: str, help: str, **attributes: Any) -> click.Option:
    """Return a flag for attributes of the console."""

    def callback(ctx: click.Context, param: click.Parameter, is_set: bool) -> None:
        for name, value in attributes.items() if is_set else ():
            setattr(ctx.ensure_object(Console), name, value)

    return click.Option(
        [*names], is_flag=True, expose_value=False, is_eager=True, help=help, callback=callback
    )


def run_and_exit(command: click.Command, args: Sequence[str] | None) -> NoReturn:
    """Run the command line `args` (default: sys.argv) and exit."""
    _open_closed_streams()
    console = Console(arguments=sys.argv[1:] if args is None else [*args])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # escape characters outside the encoding of a terminal
            encoding = None if stream.isatty() else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    try:
        with console.signals, _warnings_on(console):
            code = _run(command, [*console.arguments], console)
    except KeyboardInterrupt as stop:  # after the command, while the handlers were restored
        code = _report(stop, console)
    sys.exit(code)


def _run(command: click.Command, args: list[str], console: Console) -> int:
    """Run a command line and return the exit code."""
    try:
        with command.make_context("nlpseq", args, obj=console) as ctx:
            command.invoke(ctx)
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except (Exception, KeyboardInterrupt) as error:
        return _report(error, console)
    return 0


def _report(error: BaseException, console: Console) -> int:
    """Print the message of an error on stderr and return the exit code."""
    if isinstance(error, BrokenPipeError):
        _drop_output(sys.stdout, sys.stderr)
        return BROKEN_PIPE
    if console.debug:
        traceback.print_exception(error)
    if isinstance(error, OSError):
        _drop_output(sys.stdout)  # perhaps the failed stream
    code, message = _exit_code_and_message(error, console.arguments)
    console.say(message, level=-1)
    return code


RUN, USAGE, INPUT, RESOURCE = 1, 2, 4, 6  # as in nlpseq.errors
BROKEN_PIPE = 141  # 128 + SIGPIPE


class SystemFailure(NamedTuple):
    """An error of Python or of a library, recognized by type, and by text or errno.

    The message may hold {error}, the first line of the text.
    """

    type: type[Exception]
    pattern: str
    message: str
    numbers: tuple[int, ...] = ()  # of errno
    exit_code: int = RESOURCE

    def matches(self, error: BaseException) -> bool:
        return (
            isinstance(error, self.type)
            and re.search(self.pattern, str(error)) is not None
            and (not self.numbers or getattr(error, "errno", None) in self.numbers)
        )


SYSTEM_FAILURES = (
    SystemFailure(
        MemoryError,
        "",
        "memory ran out ({error}). Close other programs, or train with a smaller vocabulary (--max-vocab) or "
        "shorter vectors (--dim).",
    ),
    SystemFailure(
        RuntimeError,
        "can't start new thread",
        "the system starts no more threads. "
        "Close other programs, raise a limit (ulimit -u, ulimit -v), or train with fewer (--threads).",
    ),
    SystemFailure(
        RuntimeError,  # of PyTorch
        "out of memory|allocate memory",
        "memory ran out ({error}). Close other programs, or train with a lower --batch-size, --bptt, "
        "--hidden or --max-vocab.",
    ),
    SystemFailure(
        RuntimeError,  # of pathlib
        "Symlink loop",
        "a symbolic link points to itself ({error}). Choose another path.",
        exit_code=INPUT,
    ),
    SystemFailure(
        FileNotFoundError,  # of tempfile
        "No usable temporary directory",
        "no folder for temporary files is writable. Free some space, or name a folder in TMPDIR.",
    ),
    SystemFailure(OSError, "", "the disk ran full ({error}). Free some space.", DISK_FULL),
    SystemFailure(
        OSError,
        "",
        "the system ran out of a resource ({error}). Close other programs, or raise a limit (ulimit -a).",
        SHORTAGE,
    ),
)

USAGE_FORMS = (  # messages of click, and the same in the form of our own
    (r"Missing \w+ '([^']+)'\.", r"\1: is missing."),
    (r"Invalid value for (?:'[^']+' / )*'([^']+)': (.*)", r"\1: \2"),
    (r"No such (\w+) '([^']+)'\.", r"\2: no such \1."),
    (r"Did you mean '([^']+)'\?", r"Did you mean \1?"),
    (r"Option '([^']+)' requires an argument\.", r"\1: needs a value."),
    (r"Option '([^']+)' does not take a value\.", r"\1: takes no value."),
    (r"Got unexpected extra arguments? \((.*)\)", r"\1: more than the command takes."),
)


def _exit_code_and_message(error: BaseException, arguments: Sequence[str]) -> tuple[int, str]:
    if (number := _signal_behind(error)) is not None:
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        return 128 + number, f"nlpseq: stopped by {name}"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return USAGE, error.format_message()
    if isinstance(error, click.UsageError):
        command, message = error.ctx.command_path if error.ctx else "nlpseq", error.format_message()
        for pattern, form in USAGE_FORMS:
            message = re.sub(pattern, form, message, flags=re.DOTALL)
        return USAGE, f"nlpseq: error: {message} Try {_way_out(error, command, arguments)}."
    if isinstance(error, NlpseqError):
        return error.exit_code, f"nlpseq: error: {error}"
    for failure in SYSTEM_FAILURES:
        if failure.matches(error):
            first_line = (str(error).splitlines() or ["no details"])[0]
            return failure.exit_code, "nlpseq: error: " + failure.message.format(error=first_line)
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes | os.PathLike):
        file, reason = os.fsdecode(error.filename), error.strerror
        return INPUT, f"nlpseq: error: {file}: {reason}. Check the name and your permissions."
    kind = type(error).__name__
    return RUN, f"nlpseq: internal error: {kind}: {error}. Run with --debug to see the traceback."


def _way_out(error: click.UsageError, command: str, arguments: Sequence[str]) -> str:
    """Return what to try after a usage error; a file or a word may begin with a dash."""
    dashed = [each for each in arguments if each.startswith("-") and each != "--"]
    if files := [each for each in dashed if Path(each).is_file()]:
        return f"./{files[0]} for the file {files[0]}"
    params = error.ctx.command.params if error.ctx else []
    takes_words = any(isinstance(param.type, Words) for param in params if isinstance(param, click.Argument))
    if isinstance(error, click.NoSuchOption) and takes_words and not error.possibilities:
        word = next((each for each in dashed if each.startswith(error.option_name)), error.option_name)
        return f"-- before words that begin with a dash: `{command} ... -- {word}`"
    return f"`{command} --help`"


def _signal_behind(error: BaseException | None) -> int | None:
    """Return the number of the signal behind an error, None without a signal."""
    seen = set[int]()  # because a cause may lead back to the error
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return getattr(error, "number", signal.SIGINT)
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def _open_closed_streams() -> None:
    """Open /dev/null for each closed descriptor of 0, 1 and 2.

    Otherwise the next open file becomes stdin, stdout or stderr.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _drop_output(*streams: TextIO) -> None:
    """Redirect streams to /dev/null, because Python flushes streams at exit."""
    for stream in streams:
        with suppress(OSError, ValueError):  # a stream without a file
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)


@contextmanager
def _warnings_on(console: Console) -> Iterator[None]:
    """Print each warning once, as one line, without its place in the code."""
    shown = set[str]()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in shown:  # a command checks its output before the run does
            shown.add(str(message))
            console.say(f"nlpseq: warning: {message}", level=-1)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
