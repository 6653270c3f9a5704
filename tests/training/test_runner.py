"""training.runner and its checkpoints, with a stage that only counts."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.word2vec_runs import stop_after

from nlpseq.errors import ArtifactError, ConfigError, RunError
from nlpseq.storage import artifact
from nlpseq.storage.locks import path_lock
from nlpseq.training import checkpoint as checkpoints
from nlpseq.training.checkpoint import CheckpointConfig
from nlpseq.training.metrics import read_metrics, write_metrics
from nlpseq.training.progress import TrainProgress
from nlpseq.training.runner import run
from nlpseq.training.state import TrainState

STEPS = 5


class Counter:
    """A stage that counts to STEPS; its loss is that of `losses`, else 1."""

    command, kind, advice, uniform_loss = "train-w2v", ("vectors", 1), "Lower --learning-rate.", 1.0

    def __init__(self, **losses: float) -> None:
        self.state, self.count, self.losses = TrainState(), 0, losses
        self.log: list[str] = []
        self.metrics: list[dict[str, Any]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        self.log.append("enter")
        try:
            yield
        finally:
            self.log.append("exit")

    def is_over(self) -> bool:
        return self.count >= STEPS

    def step(self) -> TrainProgress:
        self.count += 1
        self.metrics.append({"step": self.count})
        loss = self.losses.get(f"step{self.count}", 1.0)
        return TrainProgress(self.count, STEPS, self.count, 0, loss, 0.1)

    def pause(self) -> None:
        self.log.append("pause")

    def finish(self) -> None:
        self.log.append("finish")
        self.metrics.append({"step": self.count})

    def save_state(self, folder: artifact.Folder, meta: dict[str, Any]) -> None:
        folder.write_meta(meta | {"count": self.count})

    def save_result(self, folder: artifact.Folder) -> None:
        folder.write_meta({"count": self.count})


def test_run_reports_every_step_and_stores_result(tmp_path: Path) -> None:
    reports: list[TrainProgress] = []
    config = CheckpointConfig(path=tmp_path / "run", every=0.0)
    counter = Counter()
    assert run(counter, config, reports.append)
    assert [report.done for report in reports] == [1, 2, 3, 4, 5]
    assert counter.log == ["enter", *["pause"] * STEPS, "finish", "exit"]
    assert artifact.peek_meta(config.path)["count"] == STEPS
    assert not (config.path / artifact.CHECKPOINT).exists()


def test_stop_saves_checkpoint_and_keeps_old_result(tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert run(Counter(), CheckpointConfig(path=path))
    stop = CheckpointConfig(path=path, should_stop=stop_after(2), force=True)
    assert not run(Counter(), stop)
    meta = artifact.peek_meta(path / artifact.CHECKPOINT)
    assert (meta["count"], meta["complete"], meta["checkpoint"]["command"]) == (3, False, "train-w2v")
    assert artifact.peek_meta(path)["count"] == STEPS
    artifact.load_meta(path, "vectors", 1)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 10.5])
def test_diverged_run_names_last_checkpoint(tmp_path: Path, loss: float) -> None:
    path, counter = tmp_path / "run", Counter(step3=loss)
    message = (
        rf"the loss became {loss:.4g} by step 3, in epoch 1\. Lower .* checkpoint is in .*run.checkpoint\."
    )
    with pytest.raises(RunError, match=message):
        run(counter, CheckpointConfig(path=path, every=0.0))
    assert counter.log[-1] == "exit"
    assert artifact.peek_meta(path / artifact.CHECKPOINT)["count"] == 2
    with pytest.raises(RunError) as error:
        run(Counter(step1=loss))
    assert "checkpoint" not in str(error.value)


def test_clock_counts_seconds_of_earlier_runs() -> None:
    ticks = iter(range(100))
    counter = Counter()
    counter.state.seconds = 50.0
    run(counter, clock=lambda: next(ticks))
    assert counter.state.seconds == 50 + STEPS + 1
    assert [line["seconds"] for line in counter.metrics] == [51, 52, 53, 54, 55, 56]


def test_failed_checkpoint_leaves_no_empty_folder(tmp_path: Path) -> None:
    def fail(folder: artifact.Folder, meta: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    counter = Counter()
    counter.save_state = fail  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(counter, CheckpointConfig(path=tmp_path / "run", every=0.0))
    assert list(tmp_path.iterdir()) == []


def test_new_run_locks_path_and_respects_existing_runs(tmp_path: Path) -> None:
    path = tmp_path / "run"
    assert not run(Counter(), CheckpointConfig(path=path, should_stop=lambda: True))
    with pytest.raises(ConfigError, match=r"holds an unfinished run\. Continue it with nlpseq"):
        checkpoints.lock_new_run(CheckpointConfig(path=path)).__enter__()
    with (
        pytest.warns(UserWarning, match="the first checkpoint or the result overwrites"),
        checkpoints.lock_new_run(CheckpointConfig(path=path, force=True)),
        pytest.raises(ConfigError, match="is being written by another process"),
    ):
        ThreadPoolExecutor(1).submit(path_lock(path).__enter__).result()
    with checkpoints.lock_resumed_run(CheckpointConfig(path=path)):
        pass
    assert run(Counter(), CheckpointConfig(path=path))
    with pytest.raises(ConfigError, match="training is complete"):
        checkpoints.lock_resumed_run(CheckpointConfig(path=path)).__enter__()


def test_copied_checkpoint_is_not_of_another_version(tmp_path: Path) -> None:
    path, copy = tmp_path / "run", tmp_path / "copy"
    run(Counter(), CheckpointConfig(path=path, should_stop=lambda: True))
    shutil.copytree(path / artifact.CHECKPOINT, copy)
    with pytest.raises(ConfigError, match=r"copy: is a checkpoint without its run\. Move it to RUN"):
        checkpoints.require_checkpoint(copy)


@pytest.mark.parametrize(
    "stamp", [None, {}, *({"version": version, "command": "train-w2v"} for version in (1, 2, 4))]
)
def test_check_unfinished_refuses_other_versions(stamp: Any) -> None:
    meta = {"complete": False, "checkpoint": stamp}
    with pytest.raises(ArtifactError, match=r"run: unfinished run of another version .* Train again"):
        checkpoints.check_unfinished(Path("run"), meta)


def test_metrics_survive_a_round_trip(tmp_path: Path) -> None:
    lines = [{"step": 1, "epoch": 0, "loss": 0.5}, {"step": 2, "epoch": 1, "valid_loss": 2.0}]
    write_metrics(tmp_path, lines)
    assert read_metrics(tmp_path) == lines
    with pytest.raises(ArtifactError, match="line 2 is not a measurement"):
        read_metrics(tmp_path, has_perplexity=True)
