"""The disk may be full from any moment on: exit 6 and a message, what was there intact, nothing left."""

import resource
import subprocess
from pathlib import Path

import pytest
from faults import count_calls, fault
from tallies import Tally
from works import WORKS, check_whole, each_work, leftovers, prepare, run

OF_RESOURCES = 6


@pytest.mark.parametrize(("name", "number"), each_work(12, 1))
def test_the_disk_is_full_from_every_write_on(
    folder: Path, tally: Tally, faults: Path, name: str, number: int
) -> None:
    """Or from one of `number` of them."""
    work = WORKS[name]
    prepare(work, folder, old=True)
    for at in range(1 + number // 2, count_calls(work, folder, faults) + 1, number):
        before = contents(folder / work.makes)
        with tally.case(f"{name}, full from call {at} on"):
            code, err = run(work, folder, **fault(faults, folder, "full", at))
            check_whole(folder / work.makes)
            assert not leftovers(folder), leftovers(folder)
            if code:
                assert code == OF_RESOURCES, (code, err)
                assert "Traceback" not in err and "internal error" not in err, err
                assert "disk ran full" in err or "cannot be written" in err, err
                assert contents(folder / work.makes) == before, "what was there has changed"


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
                check=False,
            )
            assert child.returncode == OF_RESOURCES, (child.returncode, child.stderr)
            assert "Traceback" not in child.stderr, child.stderr
            check_whole(folder / work.makes)
            assert not leftovers(folder), leftovers(folder)


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else [file for file in sorted(path.rglob("*")) if file.is_file()]
    return {file.name: file.read_bytes() for file in files}
