"""Training in blocks gives the same bytes for any number of threads and any stop, and learns."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.word2vec_runs import GROUPS, SMALL, encode, sentences, stop_after

from nlpseq.config import Word2VecConfig
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import ConfigError, DataError
from nlpseq.training.checkpoint import CheckpointConfig
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec.train import resolve, resume_word2vec, train_word2vec

BLOCKS = replace(SMALL, share_negatives="pair", parts=3, segment=500, epochs=4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TokenDataset:
    return encode(tmp_path_factory.mktemp("train"), sentences(1000), valid_share=0.1)


def same(a: Vectors, b: Vectors) -> bool:
    return a.matrix.tobytes() == b.matrix.tobytes() and a.contexts.tobytes() == b.contexts.tobytes()


@pytest.mark.parametrize("parts", [1, 3, 6, 8])
def test_threads_do_not_change_the_result(data: TokenDataset, parts: int) -> None:
    found = [train_word2vec(data, replace(BLOCKS, parts=parts, threads=threads)) for threads in (1, 2, 5)]
    assert same(found[0], found[1]) and same(found[0], found[2])
    assert found[0].meta["loss"] == found[2].meta["loss"]
    other = train_word2vec(data, replace(BLOCKS, parts=parts - 1 or 2))
    assert not same(found[0], other)


def test_blocks_learn_groups(data: TokenDataset) -> None:
    vectors = train_word2vec(data, replace(BLOCKS, epochs=20))
    for group in GROUPS.values():
        for word in group:
            near = [neighbor for neighbor, _ in vectors.neighbors(word, top=len(group) - 1)]
            assert not set(near) & {w for other in GROUPS.values() if other is not group for w in other}, word
    held_out = vectors.meta["valid_loss"]
    assert held_out[-1] < held_out[0]


@pytest.mark.parametrize("settings", [{}, {"early_stop": True, "epochs": 30, "learning_rate": 0.05}], ids=str)
def test_resumed_blocks_give_same_bytes(data: TokenDataset, tmp_path: Path, settings: dict[str, Any]) -> None:
    config, path = replace(BLOCKS, **settings), tmp_path / "parts.w2v"
    whole = train_word2vec(data, config)
    vectors = train_word2vec(data, config, checkpoint=CheckpointConfig(path=path, should_stop=stop_after(2)))
    stops = 0
    while not vectors.meta["complete"]:
        stops += 1
        changes = {"threads": 1 + stops % 3}
        checkpoint = CheckpointConfig(path=path, should_stop=stop_after(3))
        vectors = resume_word2vec(checkpoint, data, changes=changes)
    assert stops > 2
    assert same(Vectors.load(path), whole)
    assert vectors.meta["loss"] == whole.meta["loss"]


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "cbow"},
        {"loss": "softmax"},
        {"share_negatives": "window"},
        {"subwords": "3:6"},
        {"freeze_known": True},
        {"deterministic": True},
        {"backend": "cupy"},
        {"kernel": "layers"},
    ],
    ids=str,
)
def test_settings_without_blocks_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"{next(iter(settings))}: .* with parts"):
        Word2VecConfig(**{"share_negatives": "pair", "parts": 2} | settings)


def test_ranges_of_a_segment_do_not_change_the_result(
    data: TokenDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train_word2vec(data, BLOCKS)
    monkeypatch.setattr("nlpseq.word2vec.block_trainer.RANGE", 70)
    assert same(train_word2vec(data, BLOCKS), whole)


def test_corpus_that_changes_is_refused(tmp_path: Path) -> None:
    data = encode(tmp_path, sentences(200))
    encode(tmp_path, sentences(201))
    with pytest.raises(DataError, match=r"corpus\.tokens: has changed during the work"):
        train_word2vec(data, BLOCKS)


def test_segment_without_parts_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--segment: has no effect without --parts"):
        resolve(Word2VecConfig(segment=9), 100, 1000)


def test_default_segment_is_short_against_the_text() -> None:
    config = Word2VecConfig(parts=8, share_negatives="pair")
    assert resolve(config, 100, 17_000_000).segment == 1_000_000
    assert resolve(config, 100, 160).segment == 10
