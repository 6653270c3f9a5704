"""Processes that die at a chosen call, to see how files look afterwards."""

import os
import sys
import warnings
from collections.abc import Callable, Collection

CHANGES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir")  # audit events before changes of files


def is_killed_at(number: int, work: Callable[[], object], calls: Collection[str] = CHANGES) -> bool:
    """Run `work` in a child that dies before its n-th call; return False if the child makes fewer calls."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # because the child does without the threads
        child = os.fork()
    if child == 0:
        calls_left = iter(range(1, number))
        sys.addaudithook(lambda call, _: os._exit(9) if call in calls and next(calls_left, 0) == 0 else None)
        try:
            work()
        finally:
            os._exit(int(sys.exc_info()[0] is not None))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9), "the child failed"
    return code == 9


def run_in_child(work: Callable[[], object]) -> int:
    """Run `work` in a forked child and return the exit code: 0, or 1 after an exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(int(sys.exc_info()[0] is not None))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
