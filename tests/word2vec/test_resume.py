"""train-w2v that is stopped and goes on, and several threads that give the same each time."""

import json
import math
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.results import seal, write_sealed_meta
from support.word2vec_runs import SMALL, encode, sentences, stop_after

from nlpseq.config import Word2VecConfig
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import ArtifactError, ConfigError, RunError
from nlpseq.training.checkpoint import CheckpointConfig
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec import parallel as sharing, run
from nlpseq.word2vec.kernels.select import Span, select
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import epoch_keys
from nlpseq.word2vec.train import make_tables, pairs_of_words, resume_word2vec, train_word2vec
from nlpseq.word2vec.weights import initial_weights

THREADS = 3
SIZES = sharing.ParallelSizes(100, 200 * THREADS, 2, 4)
IN_ROUNDS = replace(SMALL, threads=THREADS, deterministic=True)
LEARNT = ("vectors.npy", "contexts.npy", "vocab.tsv")
TOLD = ("loss", "valid_loss", "best_epoch", "epochs", "predictions")  # of meta.json, besides times


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TokenDataset:
    return encode(tmp_path_factory.mktemp("train"), sentences(1000), valid_share=0.1)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many chunks and rounds of a small text, and looks at whether to stop between them."""
    monkeypatch.setattr(sharing.Hogwild.__init__, "__defaults__", (SIZES,))
    monkeypatch.setattr(sharing.LocalSGD.__init__, "__defaults__", (SIZES,))
    monkeypatch.setattr(run, "POLL", 0.001)


def bytes_of(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in LEARNT}


def told(path: Path) -> dict[str, Any]:
    meta = json.loads((path / "meta.json").read_text())
    return {name: meta[name] for name in TOLD}


def store(vectors: Vectors, path: Path) -> Path:
    vectors.save(path, force=True)
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 40},
        {"epochs": 40, "objective": "cbow", "dim": 33},
        {"epochs": 40, "early_stop": True, "learning_rate": 0.05},
        {"epochs": 20, "threads": THREADS, "deterministic": True},
        {"epochs": 5, "kernel": "layers"},
        {"epochs": 3, "loss": "softmax"},
    ],
    ids=lambda settings: "-".join(str(value) for value in settings.values()),
)
def test_stopped_again_and_again_it_ends_as_if_it_never_was(
    data: TokenDataset, tmp_path: Path, settings: dict[str, Any]
) -> None:
    config = replace(SMALL, **settings)
    whole = store(train_word2vec(data, config), tmp_path / "whole.w2v")
    path, stops = tmp_path / "parts.w2v", 0
    vectors = train_word2vec(data, config, folder=CheckpointConfig(path=path, should_stop=stop_after(1)))
    positions = []
    while not vectors.meta["complete"]:
        positions.append((vectors.meta["position"]["epoch"], vectors.meta["position"]["turn"]))
        stops += 1
        vectors = resume_word2vec(CheckpointConfig(path=path, should_stop=stop_after(1 + stops % 3)), data)
    assert stops > 2
    assert positions == sorted(positions)
    assert any(turn for _, turn in positions), "never stopped amid an epoch"
    store(vectors, path)
    assert bytes_of(path) == bytes_of(whole)
    assert told(path) == told(whole)


def test_checkpoints_change_nothing(data: TokenDataset, tmp_path: Path) -> None:
    for name, config in (("one", SMALL), ("rounds", IN_ROUNDS)):
        often = CheckpointConfig(path=tmp_path / f"{name}.w2v", every=0.0)
        saved = store(train_word2vec(data, config, folder=often), tmp_path / f"{name}-often.w2v")
        seldom = store(train_word2vec(data, config), tmp_path / f"{name}-seldom.w2v")
        assert bytes_of(saved) == bytes_of(seldom)
        assert json.loads((often.path / "meta.json").read_text())["complete"] is False, "there was one"


def test_an_unfinished_run_can_be_asked_already(data: TokenDataset, tmp_path: Path) -> None:
    folder = CheckpointConfig(path=tmp_path / "run.w2v", should_stop=stop_after(2))
    stopped = train_word2vec(data, SMALL, folder=folder)
    loaded = Vectors.load(folder.path)
    assert not loaded.meta["complete"]
    np.testing.assert_array_equal(loaded.matrix, stopped.matrix)
    assert len(loaded.neighbors("cat", top=3)) == 3


@pytest.mark.parametrize("objective", ["skipgram", "cbow"])
def test_threads_in_rounds_give_the_same_each_time(data: TokenDataset, objective: Any) -> None:
    first, second = (train_word2vec(data, replace(IN_ROUNDS, objective=objective)) for _ in range(2))
    np.testing.assert_array_equal(first.matrix, second.matrix)
    np.testing.assert_array_equal(first.contexts, second.contexts)
    assert first.meta["loss"] == second.meta["loss"]


def test_threads_in_rounds_do_what_is_written(data: TokenDataset) -> None:
    config = replace(IN_ROUNDS, epochs=2, learning_rate=0.025)
    vectors = train_word2vec(data, config)
    expected = in_rounds(data, config)
    np.testing.assert_array_equal(vectors.matrix, expected.in_VD[:, : config.dim])
    np.testing.assert_array_equal(vectors.contexts, expected.out_VD[:, : config.dim])


def in_rounds(data: TokenDataset, config: Word2VecConfig) -> Weights:
    """What sharing.LocalSGD says, by one thread after another."""
    choice, train = select(config), data.split("train")
    shared = initial_weights(len(data.vocab.without_specials()), config)
    tables, pairs_V = make_tables(train, config, np), pairs_of_words(train, config)
    copies = [Weights(*(weight.copy() for weight in shared)) for _ in range(THREADS)]
    rounds = sharing.LocalSGD(shared, run.TrainState(), THREADS, pairs_V)
    course = run.Run(config, choice, tables, None, shared, run.TrainState(), sharing=rounds)
    part_V1 = sharing.row_weights(pairs_V * 200, THREADS, SIZES)[:, None]
    for epoch in range(config.epochs or 0):
        course.position.epoch = epoch
        starts = course.order()
        for round, first in enumerate(range(0, len(starts), THREADS), 1):
            for thread, start in enumerate(starts[first : first + THREADS]):
                rate = np.float32(course.rate((first + thread) * 200))
                span = Span(start, min(start + 200, course.stop), rate)
                choice.train_spans(tables, epoch_keys(config.seed, epoch), copies[thread], [span])
            is_last = first + THREADS >= len(starts)
            rows = len(shared.in_VD) if is_last or round % 4 == 0 else 2 * (round & -round)
            for place, weight in enumerate(shared):
                change = np.zeros_like(weight[:rows])
                for copy in copies:
                    change += copy[place][:rows] - weight[:rows]
                weight[:rows] += part_V1[:rows] * change
                for copy in copies:
                    copy[place][:rows] = weight[:rows]
    return shared


def test_changes_of_rare_rows_are_added_and_those_of_frequent_ones_averaged() -> None:
    many, few = 1e9, 0.0
    weight_V = sharing.row_weights(np.array([many, few]), 4, SIZES)
    assert weight_V.tolist() == pytest.approx([1 / 4, 1], rel=1e-6)
    uses_V = np.array([1e3, 1e2])
    left_V = (1 - 3 * sharing.PULL) ** uses_V
    one_by_one_V, at_once_V = 1 - left_V**4, 4 * (1 - left_V)
    assert sharing.row_weights(uses_V, 4, SIZES) == pytest.approx(one_by_one_V / at_once_V, rel=1e-6)


def test_frequent_rows_are_added_up_often_and_all_of_them_now_and_then() -> None:
    rows = [
        sharing.synced_rows(round, 7, SIZES) for round in range(1, 9)
    ]  # HOT_ROWS is 2 and FULL_SYNC_EVERY 4 here
    assert rows == [2, 4, 2, 7, 2, 4, 2, 7]


def test_a_thread_that_fails_ends_the_others(data: TokenDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*work: Any) -> tuple[float, int]:
        if threading.current_thread().name.endswith("_1"):
            raise RuntimeError("broken on purpose")
        return 1.0, 1

    choice = select(IN_ROUNDS)
    from nlpseq.word2vec import train

    monkeypatch.setattr(train, "select", lambda config: choice._replace(train_spans=fails))
    monkeypatch.setattr(run.Run, "compile", lambda self: None)
    with pytest.raises(RuntimeError, match="broken on purpose"):
        train_word2vec(data, replace(IN_ROUNDS, epochs=1000))


def test_a_run_whose_loss_is_lost_keeps_its_checkpoint(data: TokenDataset, tmp_path: Path) -> None:
    path = tmp_path / "run.w2v"
    train_word2vec(data, SMALL, folder=CheckpointConfig(path=path, should_stop=stop_after(2)))
    before = bytes_of(path)
    meta = json.loads((path / "meta.json").read_text())
    meta["config"]["learning_rate"] = 1e30
    write_sealed_meta(path, meta)
    with pytest.raises(RunError, match=r"loss became .* is as it was at its last checkpoint"):
        resume_word2vec(CheckpointConfig(path=path), data)
    assert bytes_of(path) == before


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("position", {"epoch": -1}),
        ("position", {"sums": [1.0]}),
        ("position", {"turn": "7"}),
        ("position", {"losses": 3}),
        ("position", None),
        ("position", {"unheard": 1}),
        ("position", {"epoch": 0.5}),
        ("position", {"epoch": True}),
        ("position", {"epoch": math.inf}),
        ("position", {"epoch": 10**6, "losses": [1.0] * 10**6}),
        ("position", {"epoch": 9, "losses": [1.0]}),
        ("position", {"turn": 2.5}),
        ("position", {"turn": 10**12}),
        ("position", {"sums": [[1.0, 2.0, math.nan]]}),
        ("position", {"sums": [[1.0, 2.0, 3.0]] * 5000}),
        ("position", {"epoch": 1, "losses": []}),
        ("position", {"losses": [math.nan]}),
        ("position", {"epoch": 1, "losses": [1.0], "held_out": []}),
        ("position", {"held_out": [math.inf]}),
        ("position", {"predictions": 10**12}),
        ("position", {"seconds": 10**400}),
        ("tokens", "many"),
        ("config", {"dim": 17}),
        ("config", {"epochs": None}),
        ("config", {"threads": None}),
        ("config", None),
    ],
)
def test_a_forged_position_is_refused(data: TokenDataset, tmp_path: Path, part: str, value: Any) -> None:
    path = tmp_path / "run.w2v"
    early = replace(SMALL, early_stop=True)
    train_word2vec(data, early, folder=CheckpointConfig(path=path, should_stop=stop_after(2)))
    meta = json.loads((path / "meta.json").read_text())
    meta[part] = meta[part] | value if isinstance(value, dict) else value
    write_sealed_meta(path, meta)
    with pytest.raises(ArtifactError, match=r"(meta\.json is not valid|vectors\.npy).*\. (Train|Make)"):
        resume_word2vec(CheckpointConfig(path=path), data)


def test_only_an_unfinished_run_on_its_own_text_goes_on(data: TokenDataset, tmp_path: Path) -> None:
    path = tmp_path / "run.w2v"
    train_word2vec(data, SMALL, folder=CheckpointConfig(path=path, should_stop=stop_after(2)))
    other = encode(tmp_path, sentences(1000, seed=1), valid_share=0.1)
    with pytest.raises(ArtifactError, match=r"is not the text .* was trained on"):
        resume_word2vec(CheckpointConfig(path=path), other)
    vectors = resume_word2vec(CheckpointConfig(path=path), data)
    vectors.save(path, force=True)
    with pytest.raises(ConfigError, match="is complete"):
        resume_word2vec(CheckpointConfig(path=path), data)


@pytest.mark.parametrize("changes", [{"threads": 2}, {"threads": 1}, {"kernel": "layers"}], ids=str)
def test_a_deterministic_run_goes_on_as_it_was_begun(
    data: TokenDataset, tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = tmp_path / "run.w2v"
    train_word2vec(data, IN_ROUNDS, folder=CheckpointConfig(path=path, should_stop=stop_after(2)))
    with pytest.raises(ConfigError, match=rf"is deterministic, .* Leave out {next(iter(changes))}"):
        resume_word2vec(CheckpointConfig(path=path), data, changes=changes)


def test_a_position_beyond_the_end_is_refused(data: TokenDataset, tmp_path: Path) -> None:
    path = tmp_path / "run.w2v"
    train_word2vec(data, SMALL, folder=CheckpointConfig(path=path, should_stop=stop_after(2)))
    meta = json.loads((path / "meta.json").read_text())
    write_sealed_meta(path, meta | {"position": meta["position"] | {"epoch": 3, "losses": [1.0] * 3}})
    with pytest.raises(ArtifactError, match=r"run\.w2v.meta\.json .*epoch is 3\. It must be at most 2"):
        resume_word2vec(CheckpointConfig(path=path), data)
    chunks = -(-data.split("train").num_tokens // 100)
    write_sealed_meta(path, meta | {"position": meta["position"] | {"turn": chunks + 1}})
    with pytest.raises(ArtifactError, match=rf"turn {chunks + 1} in its position, .* has {chunks}\. Train"):
        resume_word2vec(CheckpointConfig(path=path), data)


def test_best_vectors_that_are_not_finite_are_refused(data: TokenDataset, tmp_path: Path) -> None:
    path = tmp_path / "run.w2v"
    early = replace(SMALL, early_stop=True, epochs=40)
    while not (path / "best_vectors.npy").exists():
        folder = CheckpointConfig(path=path, should_stop=stop_after(2))
        if path.exists():
            resume_word2vec(folder, data)
        else:
            train_word2vec(data, early, folder=folder)
    matrix = np.load(path / "best_vectors.npy")
    matrix[0, 0] = np.nan
    np.save(path / "best_vectors.npy", matrix)
    seal(path, "best_vectors.npy")
    with pytest.raises(ArtifactError, match=r"best_vectors\.npy holds numbers that are not finite\. Train"):
        resume_word2vec(CheckpointConfig(path=path), data)


def test_a_damaged_checkpoint_is_refused(data: TokenDataset, tmp_path: Path) -> None:
    path = tmp_path / "run.w2v"
    train_word2vec(data, SMALL, folder=CheckpointConfig(path=path, should_stop=stop_after(2)))
    for name in ("contexts.npy", "vectors.npy"):
        copy = shutil.copytree(path, tmp_path / name)
        with (copy / name).open("r+b") as file:
            file.seek(200)
            file.write(b"\xff")
        with pytest.raises(ArtifactError, match=rf"{name} does not match its sha256"):
            resume_word2vec(CheckpointConfig(path=copy), data)
