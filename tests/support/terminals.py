"""Commands with a terminal as their stdin or stdout."""

import os
import pty
import subprocess
import sys
from contextlib import suppress


def run_on_terminal(
    *args: object, typed: str = "", program: tuple[str, ...] = ("-m", "nlpseq")
) -> subprocess.CompletedProcess[str]:
    """Run an nlpseq command on a terminal as stdin, with the text `typed` waiting.

    program: options of Python that run the command.
    """
    master, slave = pty.openpty()
    os.write(master, typed.encode())
    command = [sys.executable, *program, *map(str, args)]
    done = subprocess.run(command, stdin=slave, capture_output=True, text=True)
    os.close(slave)
    os.close(master)
    return done


def output_on_terminal(*args: object) -> str:
    """Return the stdout of an nlpseq command on a terminal for UTF-8."""
    return bytes_on_terminal(*args).decode().replace("\r\n", "\n")


def bytes_on_terminal(*args: object) -> bytes:
    """Return the stdout of an nlpseq command on a terminal, undecoded."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "nlpseq", *map(str, args)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.DEVNULL):
        os.close(slave)
        pieces = []
        with suppress(OSError):  # at the end
            while piece := os.read(master, 1 << 16):
                pieces.append(piece)
    os.close(master)
    return b"".join(pieces)
