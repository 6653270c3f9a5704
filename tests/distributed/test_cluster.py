"""Run every stage on a Ray cluster of 1, 2 and 4 machines, for the same files as on one machine."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.clusters import Machines, open_machines, run_stage, start_stage

from nlpseq.training.metrics import read_metrics

pytest.importorskip("ray", reason='ray is not installed. Type: pip install ".[ray]"')
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]

LOOPBACK = ("0100007F:", "00000000000000000000000001000000:", "0000000000000000FFFF00000100007F:")
STAGES = {
    "tokens": ("preprocess", "text.txt", "--cooccurrence", "--window", "3"),
    "ppmi": ("train-counts", "one.tokens", "--method", "ppmi", "--subsample", "0"),
    "w2v": ("train-w2v", "one.tokens", "--parts", "4", "--segment", "50000", "--epochs", "2", "--dim", "20"),
    "lm": ("train-lm", "lm.tokens", "--preset", "tiny", "--epochs", "1", "--parts", "4"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the results of one machine."""
    path, chance = tmp_path_factory.mktemp("cluster"), random.Random(1)
    words = [f"{'bdgk'[n % 4]}{'aeiou'[n % 5]}{n:x}" for n in range(2000)]
    with (path / "text.txt").open("w") as file:
        for _ in range(15_000):
            ranks = (min(1999, int(chance.paretovariate(0.9)) - 1) for _ in range(chance.randint(3, 15)))
            file.write(" ".join(words[rank] for rank in ranks) + "\n")
    shares = "--valid-share", "0.1", "--test-share", "0.1"
    assert run_stage(path, "preprocess", "text.txt", *shares, "-o", "lm.tokens")[0] == 0
    for name, line in STAGES.items():
        code, _, err = run_stage(path, *line, "-o", f"one.{name}")
        assert code == 0, err
    return path


@pytest.fixture(scope="module", params=[1, 2, 4])
def machines(
    request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machines]:
    with open_machines(request.param, tmp_path_factory.mktemp("home")) as opened:
        yield opened


def same_files(one: Path, many: Path) -> list[str]:
    """Compare all files but the descriptions of the run; return their names."""
    names = sorted(file.name for file in one.iterdir() if file.is_file())
    assert names == sorted(file.name for file in many.iterdir() if file.is_file())
    compared = [
        name for name in names if name not in ("meta.json", "MANIFEST.json", "metrics.jsonl", "README.md")
    ]
    for name in compared:
        assert (one / name).read_bytes() == (many / name).read_bytes(), name
    return compared


@pytest.mark.parametrize("name", [name for name in STAGES if name != "lm"])
def test_stage_gives_the_files_of_one_machine(machines: Machines, folder: Path, name: str) -> None:
    line = *STAGES[name], "-o", f"many.{name}", "--force", "--cluster", "auto"
    code, out, err = run_stage(folder, *line, machines=machines)
    assert (code, out) == (0, f"many.{name}\n"), err
    assert "cluster auto: " in err and "ray" not in err.lower()
    assert same_files(folder / f"one.{name}", folder / f"many.{name}")
    if name == "tokens":
        assert same_files(*(folder / f"{each}.tokens" / "cooccurrence" for each in ("one", "many")))


def test_cluster_of_this_machine_leaves_nothing(folder: Path) -> None:
    line = *STAGES["tokens"], "-o", "local.tokens", "--force", "--cluster", "local", "--workers", "2"
    ports, folders = listening(), set(Path("/tmp").glob("nlpseq-*"))
    with start_stage(folder, *line) as process:
        while process.poll() is None:
            ports |= listening()
            time.sleep(0.1)
        out, err = process.communicate()
    assert (process.returncode, out) == (0, "local.tokens\n"), err
    assert "ray" not in err.lower()
    assert same_files(folder / "one.tokens", folder / "local.tokens")
    assert {address for address in ports - listening() if not address.startswith(LOOPBACK)} == set()
    assert any(address.startswith(LOOPBACK) for address in ports - listening())
    assert set(Path("/tmp").glob("nlpseq-*")) <= folders
    assert not [file for file in Path("/proc").glob("[0-9]*/cmdline") if b"/tmp/nlpseq-" in content(file)]


def listening() -> set[str]:
    """Return the addresses of sockets that listen, as in /proc/net/tcp."""
    lines = (
        line.split() for name in ("tcp", "tcp6") for line in Path("/proc/net", name).read_text().splitlines()
    )
    return {fields[1] for fields in lines if fields[3] == "0A"}


def content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # because the process has just ended
        return b""


def test_address_of_another_machine_gives_the_same_files(machines: Machines, folder: Path) -> None:
    line = *STAGES["w2v"], "-o", "far.w2v", "--force", "--cluster", machines.address
    code, out, err = run_stage(folder, *line, machines=machines)
    assert (code, out) == (0, "far.w2v\n"), err
    assert same_files(folder / "one.w2v", folder / "far.w2v")


def test_language_model_has_the_losses_of_one_machine(machines: Machines, folder: Path) -> None:
    line = *STAGES["lm"], "-o", "many.lm", "--force", "--cluster", "auto"
    code, _, err = run_stage(folder, *line, machines=machines)
    assert code == 0, err
    losses = [
        [line.get("loss", line.get("valid_loss")) for line in read_metrics(folder / name)]
        for name in ("one.lm", "many.lm")
    ]
    assert len(losses[0]) > 5
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)
