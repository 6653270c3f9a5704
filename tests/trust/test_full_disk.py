"""A full disk, from any write on: exit code 6, a message, the old result unchanged, no other files."""

import resource
import subprocess
from pathlib import Path

import pytest
from commands import COLD, WORKS, each_work, prepare, run, what_lies_there
from faults import count_calls, fault
from support.results import stale_files
from tallies import Tally

OF_RESOURCES = 6


@pytest.mark.parametrize(("name", "number"), each_work(2, 40, *COLD))
def test_full_disk_at_every_write_keeps_old_result(
    folder: Path, tally: Tally, faults: Path, name: str, number: int
) -> None:
    """Fill the disk at about `number` of the calls."""
    work, refused = (WORKS | COLD)[name], 0
    calls = count_calls(work, folder, faults, old=True)
    for at in range(1, calls + 1, max(1, calls // number)):
        prepare(work, folder, old=True)
        with tally.case(f"{name}, full from call {at} of {calls} on"):
            code, err = run(work, folder, **fault(faults, folder, "full", at))
            assert not stale_files(folder), stale_files(folder)
            assert what_lies_there(work, folder) == ("old" if code else "new")
            if code:
                assert code == OF_RESOURCES, (code, err)
                assert "Traceback" not in err and "internal error" not in err, err
                assert "disk ran full" in err or "cannot be written" in err, err
                refused += 1
    assert refused, "no command noticed that the disk was full"


@pytest.mark.parametrize(("name", "number"), each_work(1, 3))
def test_file_size_limit_keeps_old_result(folder: Path, tally: Tally, name: str, number: int) -> None:
    """Set RLIMIT_FSIZE, which also sends SIGXFSZ."""
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
            assert not stale_files(folder), stale_files(folder)
