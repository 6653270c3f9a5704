"""Results of earlier versions stay readable, and the same text still gives the same tokens and vectors.

`golden/v1` was written by nlpseq 0.1.0 from the corpus `tiny`. The folders are opened as copies, so that no
test can change them.
"""

import shutil
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import nlpseq as ns

GOLDEN = Path(__file__).parent / "golden" / "v1"
TEXT = ns.TextConfig(min_count=2, valid_share=0.1)
WORD2VEC = ns.Word2VecConfig(dim=5, window=2, negatives=3, epochs=2, threads=1, seed=7)
GLOVE = ns.GloveConfig(dim=5, epochs=3, threads=1, seed=7)


@pytest.fixture
def tokens(tmp_path: Path) -> ns.TokenDataset:
    tiny = import_module("nlpseq.corpora").find("tiny")
    return ns.preprocess(ns.open_corpus(tiny), TEXT, tmp_path / "tiny.tokens")


def golden(name: str, tmp_path: Path) -> Path:
    """Return a copy of a stored result."""
    return shutil.copytree(GOLDEN / name, tmp_path / "golden" / name)


def test_stored_tokens_still_open(tmp_path: Path) -> None:
    stored = ns.TokenDataset.open(golden("tiny.tokens", tmp_path))
    assert stored.config == replace(TEXT, word_rule=1)
    assert stored.vocab.words[:3] == ["the", "on", "we"]


def test_stored_cooccurrence_still_loads(tmp_path: Path) -> None:
    folder = golden("counted.tokens", tmp_path)
    assert ns.TokenDataset.open(folder).num_tokens == 1414
    counts = ns.Cooccurrence.load(folder / "cooccurrence")
    assert counts.matrix.nnz == 70
    assert counts.matrix.sum() == 72


@pytest.mark.parametrize("name", ["tokens.npy", "sentences.npy", "vocab.tsv"])
def test_encoding_still_gives_the_stored_bytes(tokens: ns.TokenDataset, name: str) -> None:
    assert (tokens.path / name).read_bytes() == (GOLDEN / "tiny.tokens" / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "nearest"), [("w2v", "is"), ("svd", "goat"), ("glove", "saturday"), ("ppmi", "goat")]
)
def test_stored_vectors_still_answer(name: str, nearest: str, tmp_path: Path) -> None:
    vectors = ns.Vectors.load(golden(f"tiny.{name}", tmp_path))
    assert vectors.neighbors("dog", top=1)[0][0] == nearest


def test_stored_vectors_are_asked_by_the_rule_of_their_text(tokens: ns.TokenDataset, tmp_path: Path) -> None:
    new = ns.train_word2vec(tokens, ns.Word2VecConfig(dim=5, epochs=1, threads=1))
    assert new.find("D\u00adog") == "dog"
    assert ns.Vectors.load(golden("tiny.w2v", tmp_path)).find("D\u00adog") is None
    assert tokens.config.word_rule == 2


def test_word2vec_still_gives_the_stored_vectors(tokens: ns.TokenDataset, tmp_path: Path) -> None:
    stored = ns.Vectors.load(golden("tiny.w2v", tmp_path))
    vectors = ns.train_word2vec(tokens, WORD2VEC)
    assert vectors.vocab.words == stored.vocab.words
    # other processors may order the float32 sums of the compiled kernel differently
    np.testing.assert_allclose(vectors.matrix, stored.matrix, rtol=1e-4, atol=1e-6)


def test_ppmi_and_glove_still_give_the_stored_vectors(tokens: ns.TokenDataset, tmp_path: Path) -> None:
    counts = ns.count_cooccurrences(tokens.split("train"), ns.CooccurrenceConfig(window=2))
    ppmi = ns.ppmi(counts)
    assert abs(ppmi.matrix - ns.Vectors.load(golden("tiny.ppmi", tmp_path)).matrix).max() < 1e-6
    stored = ns.Vectors.load(golden("tiny.glove", tmp_path))
    np.testing.assert_allclose(ns.train_glove(counts, GLOVE).matrix, stored.matrix, rtol=1e-4, atol=1e-6)


def test_stored_language_model_still_scores(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the language model needs PyTorch")
    model = ns.LanguageModel.load(golden("tiny.lm", tmp_path))
    assert model.score("the dog is cold").log_prob == pytest.approx(-21.73889, abs=1e-3)
    assert len(model.score("<dog> co\u00adld").tokens) > len(model.score("dog cold").tokens)


@pytest.mark.parametrize("suffix", ["w2v", "glove", "lm"])
def test_unfinished_run_of_format_1_is_refused(suffix: str, tmp_path: Path) -> None:
    path = golden(f"unfinished.{suffix}", tmp_path)
    message = rf"unfinished\.{suffix}: unfinished run of another version .* Train again with --force"
    with pytest.raises(ns.ArtifactError, match=message):
        ns.resume(path)


@pytest.mark.parametrize("suffix", ["w2v", "glove"])
def test_finished_run_of_format_1_is_not_resumed(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(ns.ConfigError, match=rf"tiny\.{suffix}: training is complete"):
        ns.resume(golden(f"tiny.{suffix}", tmp_path))
