"""Entry point of the command `nlpseq` and of `python -m nlpseq`."""

import atexit
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module
from types import FrameType

__all__ = ["main"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    """Run the command line in sys.argv and exit."""
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # because of nohup
            signal.signal(number, _exit_at_once)
    try:
        cli = import_module("nlpseq.cli")  # by name: the folder cli/ becomes nlpseq.cli on installation
    except ModuleNotFoundError as error:
        if error.name != "nlpseq.cli":
            raise
        sys.exit("nlpseq: error: nlpseq.cli is not installed. Run pip install -e . in the checkout.")
    try:
        cli.main()
    except SystemExit as ending:
        if isinstance(ending.code, int) and ending.code - 128 in SIGNALS:
            _exit_without_cleanup(ending.code)
        raise


def _exit_without_cleanup(code: int) -> None:
    """End a stopped process: the cleanup of a library that a signal interrupted may crash or wait."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _exit_at_once(number: int, frame: FrameType | None) -> None:
    """End the process: no work is in progress, and an import may swallow an exception."""
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    with suppress(OSError):
        os.write(2, f"nlpseq: stopped by {name}\n".encode())
    os._exit(128 + number)


if __name__ == "__main__":
    main()
