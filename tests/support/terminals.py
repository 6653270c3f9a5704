"""Commands with a terminal as their stdin."""

import os
import pty
import subprocess
import sys


def run_on_terminal(*args: object) -> subprocess.CompletedProcess[str]:
    """Run an nlpseq command whose stdin is a terminal without input."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "nlpseq", *map(str, args)]
    done = subprocess.run(command, stdin=slave, capture_output=True, text=True)
    os.close(slave)
    os.close(master)
    return done
