"""Commands with faults: writes fail, or the process dies in one, by preloading faults.c."""

import shutil
import subprocess
from pathlib import Path

from commands import Work, prepare, run

EXITED = 137  # exit code of a process after the fault "exit"


def build(folder: Path) -> Path:
    library, source = folder / "faults.so", Path(__file__).with_name("faults.c")
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler, "a C compiler is needed to have writes fail"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", str(source), "-o", str(library), "-ldl"], check=True)
    return library


def fault(faults: Path, folder: Path, kind: str, at: int) -> dict[str, str]:
    return {"LD_PRELOAD": str(faults), "FAULT_BELOW": str(folder), "FAULT": kind, "FAULT_AT": str(at)}


def count_calls(work: Work, folder: Path, faults: Path, *, old: bool) -> int:
    """Return the number of calls of a whole run, with an old result at its path or without."""
    told = folder.with_suffix(".calls")
    prepare(work, folder, old=old)
    environment = {"LD_PRELOAD": str(faults), "FAULT_BELOW": str(folder), "FAULT_COUNT": str(told)}
    code, err = run(work, folder, **environment)
    assert code == 0, err
    return int(told.read_text())


def log_calls(work: Work, folder: Path, faults: Path) -> list[list[str]]:
    """Return the calls of a whole run: "write" or "fsync", path, inode; "rename" or "exchange", two paths."""
    log = folder.with_suffix(".log")
    log.unlink(missing_ok=True)
    environment = {"LD_PRELOAD": str(faults), "FAULT_BELOW": str(folder), "FAULT_LOG": str(log)}
    code, err = run(work, folder, **environment)
    assert code == 0, err
    return [line.split("\t") for line in log.read_text().splitlines()]
