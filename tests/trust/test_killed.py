"""A command may be killed at any moment: what was there stays until what takes its place is whole."""

import random
import signal
import subprocess
from pathlib import Path

import pytest
from faults import count_calls, fault
from tallies import Tally
from works import (
    WORKS,
    Work,
    beside,
    check_whole,
    duration,
    each_work,
    is_complete,
    leftovers,
    prepare,
    run,
    start,
)

from nlpseq.leftovers import remove_leftovers


@pytest.mark.parametrize(("name", "number"), each_work(2, 84))  # 6 times 84 are 504
def test_killed_at_a_random_moment(folder: Path, tally: Tally, name: str, number: int) -> None:
    work, chance = WORKS[name], random.Random(name)
    seconds = duration(work, folder)
    for kill in range(number):
        has_old = prepare(work, folder, old=bool(chance.getrandbits(1)))
        moment = chance.uniform(0, 1.1) * seconds
        with tally.case(f"{name}, kill {kill} after {moment:.2f} s"):
            child = start(work, folder)
            try:
                child.wait(timeout=moment)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
            child.communicate()
            check_after(work, folder, has_old=has_old, goes_on=kill % 5 == 0)


@pytest.mark.parametrize(("name", "number"), each_work(12, 1))
def test_killed_at_every_write_fsync_and_rename(
    folder: Path, tally: Tally, faults: Path, name: str, number: int
) -> None:
    """Or one of `number` of them."""
    work = WORKS[name]
    for old in (False, True):
        prepare(work, folder, old=old)
        for at in range(1 + number // 2, count_calls(work, folder, faults) + 1, number):
            has_old = prepare(work, folder, old=old)
            with tally.case(f"{name}, {'old, ' if old else ''}call {at}"):
                run(work, folder, **fault(faults, folder, "exit", at))
                check_after(work, folder, has_old=has_old, goes_on=at % 10 == 0)


def check_after(work: Work, folder: Path, *, has_old: bool, goes_on: bool) -> None:
    path = folder / work.makes
    remove_leftovers(folder)
    assert not has_old or is_complete(path), "the old result is lost"
    check_whole(path)
    check_whole(beside(path))
    if goes_on:
        code, err = run(work, folder)
        assert code == 0, err
        assert not leftovers(folder), leftovers(folder)
