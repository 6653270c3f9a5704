"""Run a process and measure wall seconds and peak anonymous memory of the whole process tree."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

INTERVAL = 0.05  # seconds between two measurements of memory


def run_job(job: dict[str, Any], cache: Path, interval: float = INTERVAL) -> dict[str, Any]:
    """Return the figures of a worker, with `seconds` and `peak_mb` of the whole process."""
    worker = Path(__file__).with_name("worker.py")
    command = [sys.executable, str(worker), json.dumps(job)]
    output = run_command(command, cache, figures := {}, interval)
    return json.loads(output) | figures


def run_command(
    command: list[str],
    cache: Path,
    figures: dict[str, Any],
    interval: float = INTERVAL,
    **environment: str,
) -> str:
    """Return the standard output of a command; add `seconds` and `peak_mb` to figures.

    interval: seconds between two measurements of memory. Raises SystemExit if the command fails.
    """
    variables = os.environ | {"NLPSEQ_CACHE_DIR": str(cache)} | environment
    variables.pop("NUMBA_CACHE_DIR", None)
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables)
    peak = 0
    while process.poll() is None:
        peak = max(peak, anonymous_bytes(process.pid))
        time.sleep(interval)
    figures |= {"seconds": time.perf_counter() - started, "peak_mb": peak / 1e6}
    assert process.stdout is not None
    output = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}. See its messages above.")
    return output


def anonymous_bytes(pid: int) -> int:
    """Return the anonymous memory of a process and its descendants; shared pages count once."""
    try:
        sizes = Path(f"/proc/{pid}/smaps_rollup").read_text()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # because the process has just ended
        return 0
    assert "Pss_Anon:" in sizes or not sizes, "/proc/PID/smaps_rollup: no Pss_Anon. Use Linux 5.4 or later."
    own = sum(int(line.split()[1]) * 1024 for line in sizes.splitlines() if line.startswith("Pss_Anon:"))
    return own + sum(anonymous_bytes(int(child)) for child in children)


def machine() -> str:
    """Return processor, usable cores and memory in one line."""
    cpu = next(
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB"


def commit() -> str:
    """Return the short hash of the measured commit, with + if the tree has changes."""

    def git(*args: str) -> str:
        command, here = ["git", *args], Path(__file__).parent
        return subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    differs = git("status", "--porcelain", "--", ":/nlpseq")
    return git("rev-parse", "--short", "HEAD") + "+" * bool(differs)
