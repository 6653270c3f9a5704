"""A command whose writes fail, or that ends in one of them: what faults.c does once it is preloaded."""

import shutil
import subprocess
from pathlib import Path

from works import Work, run


def build(folder: Path) -> Path:
    library, source = folder / "faults.so", Path(__file__).with_name("faults.c")
    compiler = shutil.which("gcc") or shutil.which("cc")
    assert compiler, "a C compiler is needed to have writes fail"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", str(source), "-o", str(library), "-ldl"], check=True)
    return library


def fault(faults: Path, folder: Path, kind: str, at: int) -> dict[str, str]:
    return {"LD_PRELOAD": str(faults), "FAULT_BELOW": str(folder), "FAULT": kind, "FAULT_AT": str(at)}


def count_calls(work: Work, folder: Path, faults: Path) -> int:
    """How many calls a whole run makes."""
    told = folder.with_suffix(".calls")
    environment = {"LD_PRELOAD": str(faults), "FAULT_BELOW": str(folder), "FAULT_COUNT": str(told)}
    code, err = run(work, folder, **environment)
    assert code == 0, err
    return int(told.read_text())
