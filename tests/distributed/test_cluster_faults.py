"""Lose machines of a cluster at random moments, for the same result, perhaps after --resume."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.clusters import Machines, end, open_machines, run_stage, start_stage, wait_for_line

from nlpseq.training.metrics import read_metrics

pytest.importorskip("ray", reason='ray is not installed. Type: pip install ".[ray]"')
pytestmark = [pytest.mark.cluster_faults, pytest.mark.filterwarnings("ignore")]

STAGES = {
    "tokens": ("preprocess", "text.txt"),
    "ppmi": ("train-counts", "one.tokens", "--method", "ppmi", "--subsample", "0"),
    "w2v": ("train-w2v", "one.tokens", "--parts", "4", "--segment", "50000", "--epochs", "20", "--dim", "50"),
    "lm": ("train-lm", "lm.tokens", "--preset", "tiny", "--epochs", "1", "--parts", "4"),
}
WIDE = ("train-w2v", "wide.tokens", "--parts", "2", "--epochs", "1", "--dim", "5000")  # 2 x 120 MB
MOMENTS = 5
SECONDS = {"tokens": 3, "ppmi": 1.5, "w2v": 8, "lm": 8}  # in which the fault comes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the results of one machine."""
    path, chance = tmp_path_factory.mktemp("faults"), random.Random(1)
    words = [f"{'bdgk'[n % 4]}{'aeiou'[n % 5]}{n:x}" for n in range(2000)]
    with (path / "text.txt").open("w") as file:
        for _ in range(60_000):
            ranks = (min(1999, int(chance.paretovariate(0.9)) - 1) for _ in range(chance.randint(3, 15)))
            file.write(" ".join(words[rank] for rank in ranks) + "\n")
    shares = "--valid-share", "0.1", "--test-share", "0.1"
    assert run_stage(path, "preprocess", "text.txt", *shares, "-o", "lm.tokens")[0] == 0
    (path / "wide.txt").write_text("".join(f"{n:x} {n + 1:x} {n + 2:x}\n" for n in range(6000)))
    assert run_stage(path, "preprocess", "wide.txt", "--min-count", "1", "-o", "wide.tokens")[0] == 0
    for name, line in STAGES.items():
        code, _, err = run_stage(path, *line, "-o", f"one.{name}")
        assert code == 0, err
    return path


@pytest.fixture
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with open_machines(2, tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.mark.parametrize("name", ["tokens", "w2v"])
def test_lost_head_ends_the_command(machines: Machines, folder: Path, name: str) -> None:
    line = [*STAGES[name], "-o", f"headless.{name}", "--cluster", "auto"]
    with start_stage(folder, *line, machines=machines) as process:
        wait_for_line(process, "cluster auto: ")
        machines.kill_head()
        err = end(process)
    assert process.returncode == 1 and "cluster: " in err and "Check the cluster" in err, err
    assert not (folder / f"headless.{name}" / "vectors.npy").exists()


@pytest.mark.parametrize("name", ["tokens", "w2v", "lm"])
def test_lost_worker_changes_nothing(folder: Path, name: str) -> None:
    line = [*STAGES[name], "-o", f"local.{name}", "--cluster", "local", "--workers", "2"]
    with start_stage(folder, *line) as process:
        wait_for_line(process, "cluster local: ")
        os.kill(wait_for_worker(), signal.SIGKILL)
        err = end(process)
    assert process.returncode == 0, err
    assert_same(name, folder / f"one.{name}", folder / f"local.{name}")


def wait_for_worker() -> int:
    """Return the process of a busy worker."""
    for _ in range(600):
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # the process has just ended
                if file.read_bytes().startswith(b"ray::_run"):
                    return int(file.parent.name)
        time.sleep(0.05)
    raise AssertionError("all workers are idle")


def test_objects_larger_than_memory_go_to_disk(machines: Machines, folder: Path) -> None:
    for output, cluster in (("one.wide", ()), ("many.wide", ("--cluster", "auto"))):
        code, _, err = run_stage(folder, *WIDE, "-o", output, *cluster, machines=machines)
        assert code == 0, err
    assert_same("w2v", folder / "one.wide", folder / "many.wide")


def test_full_disk_ends_the_command(folder: Path, tmp_path: Path) -> None:
    with open_machines(2, tmp_path, local_fs_capacity_threshold=0.01) as machines:
        line = *WIDE, "-o", "full.wide", "--cluster", "auto"
        code, _, err = run_stage(folder, *line, machines=machines)
    assert code == 6 and "memory or disk ran out" in err, err
    assert not (folder / "full.wide" / "vectors.npy").exists()


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("name", STAGES)
def test_lost_machine_changes_nothing(machines: Machines, folder: Path, name: str, moment: int) -> None:
    """Or ends the command with exit code 1 or 6, and then a second command gives the same."""
    output, is_run = f"many{moment}.{name}", name in ("w2v", "lm")
    often = ("--checkpoint-every", "1s") if is_run else ()
    line = [*STAGES[name], "-o", output, *often, "--cluster", "auto"]
    with start_stage(folder, *line, machines=machines) as process:
        wait_for_line(process, "cluster auto: ")
        time.sleep(random.Random(f"{name} {moment}").uniform(0, SECONDS[name]))
        assert process.poll() is None, "the command ended before the fault"
        machines.replace_one()
        err = end(process)
    if process.returncode:
        assert process.returncode in (1, 6) and "cluster: " in err, err
        if is_run and (folder / output / "checkpoint").exists():
            line = [line[0], output, "--resume", "--cluster", "auto"]
        code, _, err = run_stage(folder, *line, machines=machines)
        assert code == 0, err
    assert_same(name, folder / f"one.{name}", folder / output)


def assert_same(name: str, one: Path, many: Path) -> None:
    """Compare the losses of language models, and the files of other results."""
    if name == "lm":
        losses = [
            [each.get("loss", each.get("valid_loss")) for each in read_metrics(path)] for path in (one, many)
        ]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    else:
        for file in one.iterdir():
            if file.name not in ("meta.json", "MANIFEST.json", "metrics.jsonl", "README.md"):
                assert file.read_bytes() == (many / file.name).read_bytes(), file.name
