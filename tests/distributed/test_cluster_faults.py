"""Machines of a cluster are lost at random moments: the result is the same, or the run goes on from there."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clusters import Machines, open_machines, run_stage, start_stage

from nlpseq.training.metrics import read_metrics

pytest.importorskip("ray", reason='ray is not installed. Type: pip install ".[ray]"')
pytestmark = [pytest.mark.cluster_faults, pytest.mark.filterwarnings("ignore")]

STAGES = {
    "tokens": ("preprocess", "text.txt"),
    "ppmi": ("train-counts", "one.tokens", "--method", "ppmi", "--subsample", "0"),
    "w2v": ("train-w2v", "one.tokens", "--parts", "4", "--segment", "50000", "--epochs", "20", "--dim", "50"),
    "lm": ("train-lm", "text.txt", "--preset", "tiny", "--epochs", "1", "--parts", "4"),
}
MOMENTS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the results of one machine."""
    path, chance = tmp_path_factory.mktemp("faults"), random.Random(1)
    words = [f"{'bdgk'[n % 4]}{'aeiou'[n % 5]}{n:x}" for n in range(2000)]
    with (path / "text.txt").open("w") as file:
        for _ in range(60_000):
            ranks = (min(1999, int(chance.paretovariate(0.9)) - 1) for _ in range(chance.randint(3, 15)))
            file.write(" ".join(words[rank] for rank in ranks) + "\n")
    for name, line in STAGES.items():
        code, _, err = run_stage(path, *line, "-o", f"one.{name}")
        assert code == 0, err
    return path


@pytest.fixture
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    with open_machines(2, tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.mark.parametrize("moment", range(MOMENTS))
@pytest.mark.parametrize("name", STAGES)
def test_lost_machine_changes_nothing(machines: Machines, folder: Path, name: str, moment: int) -> None:
    """Or ends the command with exit code 1 or 6, and then --resume gives the same."""
    output, line = f"many{moment}.{name}", [*STAGES[name], "--cluster", "auto"]
    begun = time.monotonic()
    code, _, err = run_stage(folder, *line, "-o", "timed", "--force", machines=machines)
    assert code == 0, err
    seconds = time.monotonic() - begun
    with (
        start_stage(folder, *line, "-o", output, "--checkpoint-every", "1s", machines=machines)
        if name
        in (
            "w2v",
            "lm",
        )
        else start_stage(folder, *line, "-o", output, machines=machines) as process
    ):
        time.sleep(random.Random(f"{name} {moment}").uniform(0.2, 0.9) * seconds)
        machines.replace_one()
        _, err = process.communicate(timeout=300)
    if process.returncode:
        assert process.returncode in (1, 6) and "cluster: " in err, err
        again = [line[0], output, "--resume"] if name in ("w2v", "lm") else [*line, "-o", output]
        code, _, err = run_stage(
            folder, *again, *(["--cluster", "auto"] if "--resume" in again else []), machines=machines
        )
        assert code == 0, err
    one, many = folder / f"one.{name}", folder / output
    if name == "lm":
        losses = [
            [each.get("loss", each.get("valid_loss")) for each in read_metrics(path)] for path in (one, many)
        ]
        assert losses[0] == pytest.approx(losses[1], abs=1e-5)
    else:
        for file in one.iterdir():
            if file.name not in ("meta.json", "MANIFEST.json", "metrics.jsonl", "cooccurrence"):
                assert file.read_bytes() == (many / file.name).read_bytes(), file.name
