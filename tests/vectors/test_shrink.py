"""Vectors become smaller by fewer words, dimensions and bytes, and the rest stays as it was."""

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array
from support.results import seal
from support.vocabularies import vocab_of

from nlpseq.config import TextConfig
from nlpseq.dataset.encode import preprocess
from nlpseq.errors import ArtifactError, ConfigError, DataError
from nlpseq.reading.corpus import open_corpus
from nlpseq.vectors.compact_matrix import CompactMatrix
from nlpseq.vectors.shrink import check_dtype, shrink
from nlpseq.vectors.vectors import Vectors

WORDS = ["king", "queen", "man", "woman", "King", "zero", "apple"]


@pytest.fixture
def vectors() -> Vectors:
    matrix = np.random.default_rng(7).normal(size=(7, 5)).astype(np.float32)
    matrix[WORDS.index("zero")] = 0
    return Vectors(vocab_of(WORDS), matrix, 2 * matrix, {"seed": 7, "notices": ["old"]})


def cosines(vectors: Vectors) -> np.ndarray:
    unit = np.asarray(vectors.unit, np.float64)
    return unit @ unit.T


def test_nothing_to_do_gives_the_same_vectors(vectors: Vectors) -> None:
    assert shrink(vectors) is vectors


@pytest.mark.parametrize("dtype", ["float32", "int8", "float16"])
def test_words_are_selected_with_their_rows(vectors: Vectors, dtype) -> None:
    vectors = shrink(vectors, dtype=dtype)
    found = shrink(vectors, words=["apple", "man", "king", "no", "zero"], drop=["man", "none"], keep_top=2)
    assert found.vocab.words == ["king", "zero"]  # in the order of the vocabulary
    assert found.vocab.counts.tolist() == [7, 2]
    rows = [WORDS.index(word) for word in found.vocab.words]
    assert np.array_equal(np.asarray(found.matrix), np.asarray(vectors.matrix)[rows])
    assert np.array_equal(np.asarray(found.contexts), np.asarray(vectors.contexts)[rows])
    assert found.dtype == dtype and found.meta["seed"] == 7
    assert found.meta["notices"] == [
        "1 word to keep not found: 'no'",
        "1 word to leave out not found: 'none'",
    ]
    assert shrink(vectors, keep_top=3).vocab.words == WORDS[:3]
    assert shrink(vectors, keep_top=100).vocab.words == WORDS


def test_words_are_found_by_the_rule_of_the_text(vectors: Vectors) -> None:
    vectors.meta["text_config"] = {"tokenizer": "word", "lower": True, "word_rule": 2}
    assert shrink(vectors, words=["QUEEN", "King"]).vocab.words == ["queen", "King"]


def test_no_word_left_is_refused(vectors: Vectors) -> None:
    with pytest.raises(DataError, match="no word left"):
        shrink(vectors, words=["unknown"])
    with pytest.raises(DataError, match="no word left"):
        shrink(vectors, drop=WORDS)
    with pytest.raises(ConfigError, match="keep_top: -1 is too small"):
        shrink(vectors, keep_top=-1)


def test_pca_of_all_dimensions_keeps_every_cosine(vectors: Vectors) -> None:
    found = shrink(vectors, pca=5)
    np.testing.assert_allclose(cosines(found), cosines(vectors), atol=1e-6)
    np.testing.assert_allclose(found.contexts, 2 * found.matrix, rtol=1e-5, atol=1e-6)
    assert found.zero_ids.tolist() == vectors.zero_ids.tolist() == [5]


def test_pca_keeps_the_directions_of_largest_variance(vectors: Vectors) -> None:
    centered = vectors.matrix - vectors.matrix.mean(axis=0)
    _, _, directions = np.linalg.svd(centered.astype(np.float64))
    found = shrink(vectors, pca=2)
    assert found.matrix.shape == (7, 2) and found.dtype == "float32"
    np.testing.assert_allclose(np.abs(found.matrix), np.abs(vectors.matrix @ directions[:2].T), atol=1e-5)
    assert shrink(shrink(vectors, dtype="int8"), pca=2).dtype == "int8"
    for dim in (0, 6):
        with pytest.raises(
            ConfigError, match=f"pca: {dim} is out of range. Choose from 1 to the dimension, 5"
        ):
            shrink(vectors, pca=dim)


@pytest.mark.parametrize("dtype", ["int8", "float16"])
def test_compact_vectors_are_saved_and_answer_the_same(tmp_path: Path, vectors: Vectors, dtype) -> None:
    found = shrink(vectors, dtype=dtype)
    assert isinstance(found.matrix, CompactMatrix)
    np.testing.assert_allclose(cosines(found), cosines(vectors), atol=0.01)
    found.save(tmp_path / "a.w2v")
    loaded = Vectors.load(tmp_path / "a.w2v")
    assert loaded.dtype == loaded.meta["dtype"] == dtype and loaded.meta["format_version"] == 2
    assert np.array_equal(loaded.matrix, found.matrix) and np.array_equal(loaded.contexts, found.contexts)
    assert loaded.neighbors("king") == found.neighbors("king")
    assert loaded.similarity("king", "man") == found.similarity("king", "man")
    whole = shrink(loaded, dtype="float32")
    whole.save(tmp_path / "b.w2v")
    back = Vectors.load(tmp_path / "b.w2v")
    assert np.array_equal(back.matrix, np.asarray(found.matrix)) and "dtype" not in back.meta
    loaded.write(tmp_path / "a.vec")
    assert np.array_equal(Vectors.load(tmp_path / "a.vec").matrix, np.asarray(found.matrix))


@pytest.mark.parametrize("scale", [-1, np.nan, np.inf])
def test_wrong_scale_of_a_folder_is_refused(tmp_path: Path, vectors: Vectors, scale: float) -> None:
    shrink(vectors, dtype="int8").save(tmp_path / "a.w2v")
    scales = np.load(tmp_path / "a.w2v" / "scales.npy")
    scales[2] = scale
    np.save(tmp_path / "a.w2v" / "scales.npy", scales)
    seal(tmp_path / "a.w2v")
    with pytest.raises(ArtifactError, match=r"scales\.npy: is not a finite scale for each word"):
        Vectors.load(tmp_path / "a.w2v")


def test_files_of_other_tools_hold_float32_alone() -> None:
    check_dtype("int8", "nlpseq")
    check_dtype("float32", "word2vec")
    with pytest.raises(ConfigError, match="--dtype int8: cannot be written as word2vec text"):
        check_dtype("int8", "word2vec")


def test_sparse_vectors_are_refused() -> None:
    explicit = Vectors(vocab_of(["a", "b"]), csr_array(np.eye(2, dtype=np.float32)))
    with pytest.raises(DataError, match="sparse PPMI matrix, which cannot be made smaller"):
        shrink(explicit, keep_top=1)


def test_tokens_of_bpe_stay_together(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("low lower lowest new newer newest\n" * 50)
    config = TextConfig(tokenizer="bpe", vocab_size=280, min_count=1)
    vocab = preprocess(open_corpus(tmp_path / "a.txt"), config, tmp_path / "a.tokens").vocab
    vocab = vocab.without_specials()
    vectors = Vectors(vocab, np.random.default_rng(0).normal(size=(len(vocab), 4)).astype(np.float32))
    shrink(vectors, dtype="int8").save(tmp_path / "a.w2v")
    loaded = Vectors.load(tmp_path / "a.w2v")
    assert loaded.vocab.words == vocab.words and loaded.vocab.digest == vocab.digest
    with pytest.raises(DataError, match="BPE tokenizer, which needs all its tokens"):
        shrink(loaded, keep_top=5)
