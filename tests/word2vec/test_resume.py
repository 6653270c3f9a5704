"""Stopping and resuming of word2vec, and determinism on several threads."""

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
from support.runs import count_saves
from support.word2vec_runs import SMALL, encode, sentences, stop_after

from nlpseq.config import Word2VecConfig
from nlpseq.dataset.encode import preprocess
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, RunError
from nlpseq.training.checkpoint import CheckpointConfig
from nlpseq.training.metrics import read_metrics
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec import parallel, trainer
from nlpseq.word2vec.kernels.select import Span, select
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import epoch_keys
from nlpseq.word2vec.start import Start
from nlpseq.word2vec.train import resume_word2vec, train_word2vec
from nlpseq.word2vec.trainer import Trainer

THREADS = 3
SIZES = parallel.ParallelSizes(20, 200 * THREADS, 2, 4, poll_seconds=0.001)
IN_ROUNDS = replace(SMALL, threads=THREADS, deterministic=True)
LEARNT = ("vectors.npy", "contexts.npy", "vocab.tsv")
TOLD = ("loss", "valid_loss", "best_epoch", "epochs", "predictions")  # of meta.json, besides times


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TokenDataset:
    return encode(tmp_path_factory.mktemp("train"), sentences(1000), valid_share=0.1)


@pytest.fixture(scope="module")
def little_data(tmp_path_factory: pytest.TempPathFactory) -> TokenDataset:
    """Encode a text for array code, which is slow."""
    return encode(tmp_path_factory.mktemp("little"), sentences(150), valid_share=0.1)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make many chunks and rounds of a small text, with a stop possible between them."""
    monkeypatch.setattr(parallel, "DEFAULT_SIZES", SIZES)


def bytes_of(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in LEARNT}


def read_meta(path: Path) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((path / "meta.json").read_text())
    return meta


def metrics_of(path: Path) -> list[dict[str, Any]]:
    return [{**line, "seconds": None} for line in read_metrics(path)]


def told(path: Path) -> dict[str, Any]:
    meta = read_meta(path)
    return {name: meta[name] for name in TOLD}


def store(vectors: Vectors, path: Path) -> Path:
    vectors.save(path, force=True)
    return path


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 12},
        pytest.param({"epochs": 12, "objective": "cbow", "dim": 15}, marks=pytest.mark.slow),
        pytest.param({"epochs": 40, "early_stop": True, "learning_rate": 0.05}, marks=pytest.mark.slow),
        {"epochs": 20, "threads": THREADS, "deterministic": True},
        pytest.param({"epochs": 2, "kernel": "layers"}, marks=pytest.mark.slow),
        {"epochs": 2, "loss": "softmax"},
    ],
    ids=lambda settings: "-".join(str(value) for value in settings.values()),
)
def test_resume_after_stops_gives_same_bytes(
    data: TokenDataset, little_data: TokenDataset, tmp_path: Path, settings: dict[str, Any]
) -> None:
    config = replace(SMALL, **settings)
    data = little_data if {"kernel", "loss"} & settings.keys() else data
    whole = store(train_word2vec(data, config), tmp_path / "whole.w2v")
    uninterrupted = tmp_path / "uninterrupted.w2v"
    train_word2vec(data, config, checkpoint=CheckpointConfig(path=uninterrupted))
    path, stops = tmp_path / "parts.w2v", 0
    vectors = train_word2vec(data, config, checkpoint=CheckpointConfig(path=path, should_stop=stop_after(1)))
    positions = []
    while not vectors.meta["complete"]:
        position = read_meta(path / "checkpoint")["position"]
        positions.append((position["epoch"], position["chunk_index"]))
        stops += 1
        vectors = resume_word2vec(CheckpointConfig(path=path, should_stop=stop_after(1 + stops % 3)), data)
    assert stops > 2
    assert positions == sorted(positions)
    assert any(chunk_index for _, chunk_index in positions), "never stopped amid an epoch"
    assert bytes_of(path) == bytes_of(whole)
    assert told(path) == told(whole)
    assert metrics_of(path) == metrics_of(uninterrupted)


def test_checkpoints_do_not_change_result(
    data: TokenDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, config in (("one", SMALL), ("rounds", IN_ROUNDS)):
        saves = count_saves(monkeypatch)
        often = CheckpointConfig(path=tmp_path / f"{name}.w2v", every=0.0)
        train_word2vec(data, config, checkpoint=often)
        assert len(saves) >= 2
        seldom = store(train_word2vec(data, config), tmp_path / f"{name}-seldom.w2v")
        assert bytes_of(often.path) == bytes_of(seldom)
        assert "complete" not in read_meta(often.path) and not (often.path / "checkpoint").exists()


def test_checkpoint_opens_as_vectors(data: TokenDataset, tmp_path: Path) -> None:
    stop = CheckpointConfig(path=tmp_path / "run.w2v", should_stop=stop_after(1))
    stopped = train_word2vec(data, SMALL, checkpoint=stop)
    loaded = Vectors.load(stop.path / "checkpoint")
    assert not loaded.meta["complete"]
    np.testing.assert_array_equal(loaded.untrained_ids, stopped.untrained_ids)
    trained = np.setdiff1d(np.arange(len(stopped)), stopped.untrained_ids)  # not all after an early stop
    np.testing.assert_array_equal(loaded.matrix[trained], stopped.matrix[trained])
    assert len(loaded.neighbors("cat", top=3)) == 3
    message = (
        r"run\.w2v: unfinished run without a result\. Continue with nlpseq train-w2v .*run\.w2v --resume, or"
    )
    with pytest.raises(ArtifactError, match=message):
        Vectors.load(stop.path)


def test_checkpoint_lists_a_word_without_a_pair_as_untrained(tmp_path: Path) -> None:
    lonely = encode(tmp_path, sentences(1000) + "alone\n")
    stop = CheckpointConfig(path=tmp_path / "run.w2v", should_stop=stop_after(5))
    train_word2vec(lonely, replace(SMALL, epochs=20), checkpoint=stop)  # so that it stops before the end
    loaded = Vectors.load(stop.path / "checkpoint")
    untrained = loaded.meta["untrained"]  # perhaps not "alone" only, if the stop came early
    assert "alone" in untrained
    trained = next(word for word in loaded.vocab.words if word not in untrained)
    assert not set(untrained) & {word for word, _ in loaded.neighbors(trained, top=len(loaded))}
    assert "untrained" not in resume_word2vec(CheckpointConfig(path=stop.path), lonely).meta


@pytest.mark.parametrize("objective", ["skipgram", "cbow"])
def test_local_sgd_gives_same_bits_again(data: TokenDataset, objective: Any) -> None:
    first, second = (train_word2vec(data, replace(IN_ROUNDS, objective=objective)) for _ in range(2))
    np.testing.assert_array_equal(first.matrix, second.matrix)
    np.testing.assert_array_equal(first.contexts, second.contexts)
    assert first.meta["loss"] == second.meta["loss"]


def test_local_sgd_matches_serial_reference(data: TokenDataset) -> None:
    config = replace(IN_ROUNDS, epochs=2, learning_rate=0.025)
    vectors = train_word2vec(data, config)
    expected = local_sgd_serial(data, config)
    np.testing.assert_array_equal(vectors.matrix, expected.in_VD[:, : config.dim])
    np.testing.assert_array_equal(vectors.contexts, expected.out_VD[:, : config.dim])


def test_local_sgd_of_subwords_matches_serial_reference(data: TokenDataset) -> None:
    config = replace(IN_ROUNDS, epochs=2, learning_rate=0.025, subwords="3:5", buckets=30)
    vectors = train_word2vec(data, config)
    expected = local_sgd_serial(data, config)
    assert vectors.subwords is not None
    ngrams_BD = expected.in_VD[len(vectors) :, : config.dim]
    np.testing.assert_array_equal(vectors.subwords.rows_BD, ngrams_BD)
    np.testing.assert_array_equal(vectors.contexts, expected.out_VD[:, : config.dim])


def test_local_sgd_of_unsorted_words_matches_serial_reference(data: TokenDataset, tmp_path: Path) -> None:
    """Continue with words in the order of a vector file, the rarest first."""
    config = replace(IN_ROUNDS, epochs=2, learning_rate=0.025)
    known = Vocab(data.vocab.words[5 : data.vocab.num_words][::-1], np.full(data.vocab.num_words - 5, -1))
    rows = np.random.default_rng(0).normal(size=(len(known), config.dim)).astype(np.float32)
    start = Start(Vectors(known, rows))
    text = sentences(1000)
    unsorted = preprocess([text], data.config, tmp_path / "new.tokens", start=known)
    assert (np.diff(unsorted.word_counts) > 0).any()
    vectors = train_word2vec(unsorted, config, start=start)
    expected = local_sgd_serial(unsorted, config, start)
    assert vectors.last is not None
    np.testing.assert_array_equal(vectors.last.in_RD, expected.in_VD[:, : config.dim])
    np.testing.assert_array_equal(vectors.last.out_VD, expected.out_VD[:, : config.dim])


def local_sgd_serial(data: TokenDataset, config: Word2VecConfig, start: Start | None = None) -> Weights:
    """Train as parallel.LocalSGD describes, thread by thread."""
    course, choice = Trainer(data, config, start=start), select(config)
    shared, tables = course.weights, course.tables
    pairs_V = parallel.pairs_of_words(data.split("train"), config)
    pairs_R = parallel.pairs_of_rows(pairs_V, tables.bags, len(shared.in_VD)) if tables.bags else pairs_V
    by_use = [np.argsort(-pairs, kind="stable") for pairs in (pairs_R, pairs_V)]
    uses = [pairs[rows] * 200 for pairs, rows in zip((pairs_R, pairs_V), by_use, strict=True)]
    factors = [parallel.row_weights(each, THREADS, SIZES)[:, None] for each in uses]
    copies = [Weights(*(weight.copy() for weight in shared)) for _ in range(THREADS)]
    for epoch in range(config.epochs or 0):
        course.state.epoch = epoch
        starts = course.order()
        for round, first in enumerate(range(0, len(starts), THREADS), 1):
            for thread, begin in enumerate(starts[first : first + THREADS]):
                rate = np.float32(course.rate((first + thread) * 200))
                span = Span(begin, min(begin + 200, course.stop), rate)
                choice.train_spans(tables, epoch_keys(config.seed, epoch), copies[thread], [span])
            is_last = first + THREADS >= len(starts)
            num_rows = len(shared.in_VD) if is_last or round % 4 == 0 else 2 * (round & -round)
            for side, weight in enumerate(shared):
                rows = by_use[side][:num_rows]
                change = np.zeros_like(weight[rows])
                for copy in copies:
                    change += copy[side][rows] - weight[rows]
                weight[rows] += factors[side][:num_rows] * change
                for copy in copies:
                    copy[side][rows] = weight[rows]
    return shared


def test_row_weights_add_rare_and_average_frequent_rows() -> None:
    many, few = 1e9, 0.0
    weight_V = parallel.row_weights(np.array([many, few]), 4, SIZES)
    assert weight_V.tolist() == pytest.approx([1 / 4, 1], rel=1e-6)
    uses_V = np.array([1e3, 1e2])
    left_V = (1 - 3 * parallel.PULL) ** uses_V
    one_by_one_V, at_once_V = 1 - left_V**4, 4 * (1 - left_V)
    assert parallel.row_weights(uses_V, 4, SIZES) == pytest.approx(one_by_one_V / at_once_V, rel=1e-6)


def test_failing_thread_ends_others(data: TokenDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*work: Any) -> tuple[float, int]:
        if threading.current_thread().name.endswith("_1"):
            raise RuntimeError("broken on purpose")
        return 1.0, 1

    choice = select(IN_ROUNDS)
    monkeypatch.setattr(trainer, "select", lambda config: choice._replace(train_spans=fails))
    monkeypatch.setattr(Trainer, "compile", lambda self: None)
    with pytest.raises(RuntimeError, match="broken on purpose"):
        train_word2vec(data, replace(IN_ROUNDS, epochs=1000))


def test_diverged_run_keeps_checkpoint(data: TokenDataset, tmp_path: Path) -> None:
    path = tmp_path / "run.w2v"
    train_word2vec(data, SMALL, checkpoint=CheckpointConfig(path=path, should_stop=stop_after(1)))
    before = bytes_of(path / "checkpoint")
    meta = read_meta(path / "checkpoint")
    meta["config"]["learning_rate"] = 1e30
    write_sealed_meta(path / "checkpoint", meta)
    with pytest.raises(RunError, match=r"loss became .* The last checkpoint is in .*run\.w2v.checkpoint"):
        resume_word2vec(CheckpointConfig(path=path), data)
    assert bytes_of(path / "checkpoint") == before


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("position", {"epoch": -1}),
        ("position", {"sums": [1.0]}),
        ("position", {"chunk_index": "7"}),
        ("position", {"losses": 3}),
        ("position", None),
        ("position", {"unheard": 1}),
        ("position", {"epoch": 0.5}),
        ("position", {"epoch": True}),
        ("position", {"epoch": math.inf}),
        ("position", {"epoch": 10**6, "losses": [1.0] * 10**6}),
        ("position", {"epoch": 9, "losses": [1.0]}),
        ("position", {"chunk_index": 2.5}),
        ("position", {"chunk_index": 10**12}),
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
def test_resume_refuses_forged_position(data: TokenDataset, tmp_path: Path, part: str, value: Any) -> None:
    path = tmp_path / "run.w2v"
    early = replace(SMALL, early_stop=True)
    train_word2vec(data, early, checkpoint=CheckpointConfig(path=path, should_stop=stop_after(1)))
    meta = read_meta(path / "checkpoint")
    meta[part] = meta[part] | value if isinstance(value, dict) else value
    write_sealed_meta(path / "checkpoint", meta)
    with pytest.raises(
        ArtifactError, match=r"(meta\.json: (is not valid|has a config)|vectors\.npy).*\. (Train|Make)"
    ):
        resume_word2vec(CheckpointConfig(path=path), data)


def test_resume_refuses_other_text_and_complete_run(data: TokenDataset, tmp_path: Path) -> None:
    path = tmp_path / "run.w2v"
    train_word2vec(data, SMALL, checkpoint=CheckpointConfig(path=path, should_stop=stop_after(1)))
    other = encode(tmp_path, sentences(1000, seed=1), valid_share=0.1)
    with pytest.raises(ArtifactError, match=r"was trained on another text than"):
        resume_word2vec(CheckpointConfig(path=path), other)
    resume_word2vec(CheckpointConfig(path=path), data)
    with pytest.raises(ConfigError, match="training is complete"):
        resume_word2vec(CheckpointConfig(path=path), data)


@pytest.mark.parametrize("changes", [{"threads": 2}, {"threads": 1}, {"kernel": "layers"}], ids=str)
def test_resume_refuses_new_settings_if_deterministic(
    data: TokenDataset, tmp_path: Path, changes: dict[str, Any]
) -> None:
    path = tmp_path / "run.w2v"
    train_word2vec(data, IN_ROUNDS, checkpoint=CheckpointConfig(path=path, should_stop=stop_after(1)))
    with pytest.raises(ConfigError, match=rf"is deterministic\. Leave out {next(iter(changes))}"):
        resume_word2vec(CheckpointConfig(path=path), data, changes=changes)


def test_resume_refuses_checkpoint_past_end_of_run(data: TokenDataset, tmp_path: Path) -> None:
    path = tmp_path / "run.w2v"
    train_word2vec(data, SMALL, checkpoint=CheckpointConfig(path=path, should_stop=stop_after(1)))
    meta = read_meta(path / "checkpoint")
    write_sealed_meta(
        path / "checkpoint", meta | {"position": meta["position"] | {"epoch": 3, "losses": [1.0] * 3}}
    )
    with pytest.raises(
        ArtifactError, match=r"checkpoint.meta\.json: .*epoch: 3 is not valid\. The value must be"
    ):
        resume_word2vec(CheckpointConfig(path=path), data)
    chunks = -(-data.split("train").num_tokens // SIZES.chunk_tokens)
    write_sealed_meta(
        path / "checkpoint", meta | {"position": meta["position"] | {"chunk_index": chunks + 1}}
    )
    with pytest.raises(ArtifactError, match=rf"is at chunk {chunks + 1} of an epoch of {chunks}\. Train"):
        resume_word2vec(CheckpointConfig(path=path), data)


def test_resume_refuses_infinite_best_vectors(data: TokenDataset, tmp_path: Path) -> None:
    path, checkpoint = tmp_path / "run.w2v", tmp_path / "run.w2v" / "checkpoint"
    early = replace(SMALL, early_stop=True, epochs=40)
    while not (checkpoint / "best_vectors.npy").exists():
        stop = CheckpointConfig(path=path, should_stop=stop_after(2))
        if path.exists():
            resume_word2vec(stop, data)
        else:
            train_word2vec(data, early, checkpoint=stop)
    matrix = np.load(checkpoint / "best_vectors.npy")
    matrix[0, 0] = np.nan
    np.save(checkpoint / "best_vectors.npy", matrix)
    seal(checkpoint, "best_vectors.npy")
    with pytest.raises(ArtifactError, match=r"best_vectors\.npy: holds numbers that are not finite\. Train"):
        resume_word2vec(CheckpointConfig(path=path), data)


def test_resume_refuses_corrupt_checkpoint(data: TokenDataset, tmp_path: Path) -> None:
    path = tmp_path / "run.w2v"
    train_word2vec(data, SMALL, checkpoint=CheckpointConfig(path=path, should_stop=stop_after(1)))
    for name in ("contexts.npy", "vectors.npy"):
        copy = shutil.copytree(path, tmp_path / name)
        with (copy / "checkpoint" / name).open("r+b") as file:
            file.seek(200)
            byte = file.read(1)[0]
            file.seek(200)
            file.write(bytes([byte ^ 255]))
        with pytest.raises(ArtifactError, match=rf"{name}: does not match its sha256"):
            resume_word2vec(CheckpointConfig(path=copy), data)
