"""Ctrl-C and SIGTERM at any moment, once or twice: the right exit code, nothing half-made, nothing left."""

import random
import signal
import subprocess
from pathlib import Path

import pytest
from tallies import Tally
from works import WORKS, check_whole, duration, each_work, leftovers, prepare, start

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
# Python ends itself by SIGINT where that came amid an exec, such as a dataclass's; shells show 130 there too.
BY_SIGINT = -signal.SIGINT
BY_SIGTERM = -signal.SIGTERM  # before Python runs anything of nlpseq, or after


@pytest.mark.parametrize(("name", "number"), each_work(4, 43))  # 6 times 43, of which 10 are doubled
def test_stopped_by_a_signal(folder: Path, tally: Tally, name: str, number: int) -> None:
    work, chance = WORKS[name], random.Random(name)
    seconds = duration(work, folder)
    for stop in range(number):
        prepare(work, folder, old=False)
        sent = chance.choice(list(CODES))
        moment, more = chance.uniform(0.2, 1) * seconds, chance.uniform(0, 0.2)
        with tally.case(f"{name}, {sent.name} after {moment:.2f} s"):
            child = start(work, folder)
            codes = {0, CODES[sent]} | ({BY_SIGINT} if sent == signal.SIGINT else set())
            if not has_ended(child, moment):
                child.send_signal(sent)
                if stop % 4 == 3 and not has_ended(child, more):
                    child.send_signal(signal.SIGTERM)
                    codes |= {CODES[signal.SIGTERM], BY_SIGTERM}  # if that came when all else was over
            _, err = child.communicate(timeout=60)
            was_starting = child.returncode == BY_SIGTERM and not err
            assert was_starting or child.returncode in codes, (child.returncode, err)
            assert "Traceback" not in err or "KeyboardInterrupt" in err.splitlines()[-1], err
            assert "internal error" not in err, err
            check_whole(folder / work.makes)
            assert not leftovers(folder), leftovers(folder)


def has_ended(child: subprocess.Popen[str], seconds: float) -> bool:
    try:
        child.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True
