"""Commands with a terminal as their stdin."""

import os
import pty
import subprocess
import sys


def run_on_terminal(
    *args: object, typed: str = "", program: tuple[str, ...] = ("-m", "nlpseq")
) -> subprocess.CompletedProcess[str]:
    """Run an nlpseq command whose stdin is a terminal, where `typed` was typed before.

    program: options of Python that run the command.
    """
    master, slave = pty.openpty()
    os.write(master, typed.encode())
    command = [sys.executable, *program, *map(str, args)]
    done = subprocess.run(command, stdin=slave, capture_output=True, text=True)
    os.close(slave)
    os.close(master)
    return done
