"""Folders of earlier versions stay readable, and the same text still gives the same tokens and vectors."""

import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from nlpseq.config import TextConfig, Word2VecConfig
from nlpseq.text.corpus import open_corpus
from nlpseq.text.dataset import TokenDataset
from nlpseq.text.encode import preprocess
from nlpseq.vectors.vectors import Vectors
from nlpseq.w2v.train import train_word2vec

GOLDEN = Path(__file__).parent / "golden" / "v1"
TEXT = TextConfig(min_count=2, valid_share=0.1)
WORD2VEC = Word2VecConfig(dim=5, window=2, negatives=3, epochs=2, threads=1, seed=7)


@pytest.fixture
def tokens(tmp_path: Path) -> TokenDataset:
    tiny = import_module("nlpseq.corpora").find("tiny")
    return preprocess(open_corpus(tiny), TEXT, tmp_path / "tiny.tokens")


def test_tokens_of_version_1_are_read(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "tiny.tokens", tmp_path / "tiny.tokens")
    golden = TokenDataset.open(tmp_path / "tiny.tokens")
    assert golden.config == TEXT
    assert golden.vocab.words[:3] == ["the", "on", "we"]


@pytest.mark.parametrize("name", ["tokens.npy", "sentences.npy", "vocab.tsv"])
def test_tokens_are_still_the_same_bytes(tokens: TokenDataset, name: str) -> None:
    assert (tokens.path / name).read_bytes() == (GOLDEN / "tiny.tokens" / name).read_bytes()


def test_vectors_of_version_1_are_read_and_still_come_out(tokens: TokenDataset) -> None:
    golden = Vectors.load(GOLDEN / "tiny.w2v")
    vectors = train_word2vec(tokens, WORD2VEC)
    assert vectors.vocab.words == golden.vocab.words
    # other processors may order the float32 sums of the compiled kernel differently
    np.testing.assert_allclose(vectors.matrix, golden.matrix, rtol=1e-4, atol=1e-6)
