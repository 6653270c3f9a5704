"""The disk may be full from any moment on: exit 6 and a message, what was there intact, nothing left."""

import resource
import subprocess
from pathlib import Path

import pytest
from faults import count_calls, fault
from tallies import Tally
from works import COLD, WORKS, each_work, leftovers, prepare, run, what_lies_there

OF_RESOURCES = 6


@pytest.mark.parametrize(("name", "number"), each_work(4, 40, *COLD))
def test_the_disk_is_full_from_every_write_on(
    folder: Path, tally: Tally, faults: Path, name: str, number: int
) -> None:
    """Or from about `number` of them."""
    work, refused = (WORKS | COLD)[name], 0
    calls = count_calls(work, folder, faults, old=True)
    for at in range(1, calls + 1, max(1, calls // number)):
        prepare(work, folder, old=True)
        with tally.case(f"{name}, full from call {at} of {calls} on"):
            code, err = run(work, folder, **fault(faults, folder, "full", at))
            assert not leftovers(folder), leftovers(folder)
            assert what_lies_there(work, folder) == ("old" if code else "new")
            if code:
                assert code == OF_RESOURCES, (code, err)
                assert "Traceback" not in err and "internal error" not in err, err
                assert "disk ran full" in err or "cannot be written" in err, err
                refused += 1
    assert refused, "it never noticed that the disk was full"


@pytest.mark.parametrize(("name", "number"), each_work(1, 3))
def test_no_file_may_be_larger_than(folder: Path, tally: Tally, name: str, number: int) -> None:
    """RLIMIT_FSIZE, which also has SIGXFSZ sent."""
    work = WORKS[name]
    prepare(work, folder, old=True)
    for limit in (100, 0, 1000)[:number]:
        with tally.case(f"{name}, {limit} bytes"):
            child = subprocess.run(
                work.command(),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
                timeout=120,
                check=False,
            )
            assert child.returncode == OF_RESOURCES, (child.returncode, child.stderr)
            assert "Traceback" not in child.stderr, child.stderr
            assert what_lies_there(work, folder) == "old"
            assert not leftovers(folder), leftovers(folder)
