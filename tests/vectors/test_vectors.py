"""Vectors are saved, loaded and written without loss; corrupt folders are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array
from support.results import seal, write_sealed_meta
from support.vocabularies import vocab_of

from nlpseq.errors import ArtifactError, ConfigError, DataError, RunError
from nlpseq.storage.manifest import write_json
from nlpseq.vectors.postprocess import postprocess
from nlpseq.vectors.shrink import shrink
from nlpseq.vectors.vectors import Vectors

WORDS = ["king", "queen", "man", "woman", "King", "zero", "apple"]


@pytest.fixture
def vectors() -> Vectors:
    matrix = np.random.default_rng(7).normal(size=(7, 5)).astype(np.float32)
    matrix[WORDS.index("zero")] = 0
    return Vectors(vocab_of(WORDS), matrix, meta={"seed": 7})


def test_unit_rows_have_length_one_or_zero(vectors: Vectors) -> None:
    lengths = np.linalg.norm(vectors.unit, axis=1)
    assert vectors.unit.dtype == np.float32
    np.testing.assert_allclose(lengths, [1, 1, 1, 1, 1, 0, 1], atol=1e-6)  # float32 rounding of each number


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_unit_rows_of_tiny_and_huge_vectors(scale: float) -> None:
    vectors = Vectors(vocab_of(["a"]), np.array([[3, 4]], np.float32) * np.float32(scale))
    np.testing.assert_allclose(vectors.unit, [[0.6, 0.8]], rtol=1e-6)


def test_vectors_map_words_to_their_rows(vectors: Vectors) -> None:
    assert len(vectors) == 7 and list(vectors) == WORDS
    assert "queen" in vectors and "queens" not in vectors
    vector = vectors["queen"]
    assert vector.dtype == np.float32 and np.array_equal(vector, vectors.matrix[1])
    vector[:] = 0
    assert vectors.matrix[1].any()
    sparse = Vectors(vectors.vocab, csr_array(np.eye(7, dtype=np.float32)))
    assert np.array_equal(sparse["queen"], np.eye(7)[1])
    for error in (KeyError, DataError):
        with pytest.raises(error, match=r"^'queens': is not among the 7 words .* Did you mean queen"):
            vectors["queens"]


def test_repr_tells_size_and_origin(tmp_path: Path, vectors: Vectors) -> None:
    assert repr(vectors) == "Vectors(7 words x 5)"
    vectors.write(tmp_path / "a.vec")
    assert repr(Vectors.load(tmp_path / "a.vec")) == "Vectors(7 words x 5, 'a.vec')"
    vectors.meta |= {"model": "glove", "corpus": "corpus.txt"}
    assert repr(vectors) == "Vectors(7 words x 5, 'glove', 'corpus.txt')"


@pytest.mark.parametrize("with_contexts", [False, True])
def test_saved_folder_loads_the_same(tmp_path: Path, vectors: Vectors, with_contexts: bool) -> None:
    if with_contexts:
        vectors.contexts = vectors.matrix[::-1].copy()
    vectors.save(tmp_path / "a.w2v")
    loaded = Vectors.load(tmp_path / "a.w2v")
    assert loaded.vocab.words == WORDS
    assert loaded.vocab.counts.tolist() == vectors.vocab.counts.tolist()
    assert np.array_equal(loaded.matrix, vectors.matrix)
    assert (loaded.contexts is not None) == with_contexts
    if with_contexts:
        assert np.array_equal(loaded.contexts, vectors.contexts)
    expected = {"seed": 7, "dim": 5, "num_words": 7, "format": "nlpseq-vectors", "format_version": 1}
    assert loaded.meta.items() >= expected.items()
    assert loaded.neighbors("king") == vectors.neighbors("king")


def test_save_overwrites_mapped_files_with_force(tmp_path: Path, vectors: Vectors) -> None:
    vectors.meta |= {"format": "nlpseq-other", "format_version": 0, "nlpseq_version": "0"}
    vectors.save(tmp_path / "a.w2v")
    with pytest.raises(ConfigError, match="--force"):
        vectors.save(tmp_path / "a.w2v")
    Vectors.load(tmp_path / "a.w2v").save(tmp_path / "a.w2v", force=True)  # maps these files
    assert np.array_equal(Vectors.load(tmp_path / "a.w2v").matrix, vectors.matrix)


def test_vector_file_loads_with_unknown_counts(tmp_path: Path, vectors: Vectors) -> None:
    vectors.write(tmp_path / "a.vec")
    loaded = Vectors.load(tmp_path / "a.vec")
    assert loaded.vocab.words == WORDS
    assert loaded.vocab.counts.tolist() == [-1] * 7  # unknown
    assert np.array_equal(loaded.matrix, vectors.matrix)
    notices = ["1 row of zeros: line 7 ('zero')"]
    assert loaded.meta == {"read_from": "a.vec", "read_format": "word2vec text", "notices": notices}
    loaded.save(tmp_path / "a.w2v")
    assert Vectors.load(tmp_path / "a.w2v").vocab.counts.tolist() == [-1] * 7


def test_write_saves_a_folder_for_w2v_names(tmp_path: Path, vectors: Vectors) -> None:
    for written in (vectors.write(tmp_path / "a.w2v"), vectors.write(tmp_path / "b.c", "nlpseq")):
        assert (written.num_words, written.notices) == (7, [])
        assert np.array_equal(Vectors.load(written.files[0]).matrix, vectors.matrix)
        with pytest.raises(ConfigError, match="--force"):
            vectors.write(written.files[0], "nlpseq")
    with pytest.raises(ArtifactError, match="is a folder, not a file"):
        Vectors.load(tmp_path / "a.w2v", "glove")


def test_explicit_vectors_need_a_folder(tmp_path: Path) -> None:
    explicit = Vectors(vocab_of(["a", "b"]), csr_array(np.eye(2, dtype=np.float32)))
    with pytest.raises(DataError, match=r"a\.vec: cannot hold PPMI vectors"):
        explicit.write(tmp_path / "a.vec")
    assert list(tmp_path.iterdir()) == []


def test_corrupt_folder_is_refused(tmp_path: Path, vectors: Vectors) -> None:
    path = tmp_path / "a.w2v"

    def refused(message: str) -> None:
        seal(path)
        with pytest.raises(ArtifactError, match=message):
            Vectors.load(path)
        vectors.save(path, force=True)

    vectors.save(path)
    np.save(path / "vectors.npy", vectors.matrix[:, :3])
    refused(r"vectors.npy: has shape \(7, 3\), meta.json says \(7, 5\)")
    np.save(path / "vectors.npy", vectors.matrix.astype(np.float64))
    refused("vectors.npy: holds float64")
    vocab_of(WORDS[::-1]).save(path / "vocab.tsv")
    refused("vocab.tsv: does not have the digest")
    meta = json.loads((path / "meta.json").read_text("utf-8"))
    write_json(path / "meta.json", meta | {"num_words": 6})
    refused("vocab.tsv: does not hold 6 words")
    write_json(path / "meta.json", meta | {"untrained": [7]})
    refused("meta.json: has untrained that are not texts")
    write_json(path / "meta.json", meta | {"config": 7})
    refused("meta.json: has a config without settings")
    np.save(path / "vectors.npy", vectors.matrix[:, :0])
    write_json(path / "meta.json", meta | {"dim": 0})
    refused("meta.json: has 0 dimensions")
    write_json(path / "meta.json", meta | {"has_contexts": True})
    refused("contexts.npy: is not a readable")
    np.save(path / "vectors.npy", np.full_like(vectors.matrix, np.inf))
    refused(r"a\.w2v: the vector of 'king' holds numbers that are not finite\. Train")


@pytest.mark.parametrize("stored", [5, [], ["a"], "x", {"lower": "yes"}, {"unknown": 1}, {"tokenizer": 7}])
def test_invalid_settings_of_the_text_are_refused(tmp_path: Path, vectors: Vectors, stored: object) -> None:
    vectors.save(tmp_path / "a.w2v")
    meta = json.loads((tmp_path / "a.w2v" / "meta.json").read_text())
    write_sealed_meta(tmp_path / "a.w2v", meta | {"text_config": stored})
    with pytest.raises(ArtifactError, match=r"meta\.json: has a text_config that is not valid"):
        Vectors.load(tmp_path / "a.w2v")


def test_known_words_need_no_tokenizer(tmp_path: Path, vectors: Vectors) -> None:
    """The tokenizer may be of a package that is not installed."""
    vectors.meta["text_config"] = {"tokenizer": "elsewhere"}
    vectors.save(tmp_path / "a.w2v")
    loaded = Vectors.load(tmp_path / "a.w2v")
    assert loaded.find("king") == "king"
    for each in (loaded, loaded.without_subwords(), Vectors.load(tmp_path / "a.w2v", load_top=2)):
        with pytest.raises(ArtifactError, match=r"a\.w2v: the tokenizer .* 'elsewhere' is not valid"):
            each.find("kings")


def test_scales_that_overflow_are_refused(tmp_path: Path, vectors: Vectors) -> None:
    shrink(vectors, dtype="int8").save(tmp_path / "a.w2v")
    np.save(tmp_path / "a.w2v" / "scales.npy", np.full(len(WORDS), 3e38, np.float32))
    seal(tmp_path / "a.w2v", "scales.npy")
    with pytest.raises(ArtifactError, match=r"a\.w2v: the vector of 'king' holds .* not finite"):
        Vectors.load(tmp_path / "a.w2v")


def test_flipped_byte_is_refused(tmp_path: Path, vectors: Vectors) -> None:
    vectors.save(tmp_path / "a.w2v")
    file = tmp_path / "a.w2v" / "vectors.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="does not match its sha256"):
        Vectors.load(tmp_path / "a.w2v")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_vectors_not_finite_are_refused(tmp_path: Path, vectors: Vectors, bad: float) -> None:
    vectors.contexts = vectors.matrix.copy()
    vectors.contexts[2, 1] = bad
    with pytest.raises(RunError, match=r"'man' holds numbers that are not finite.*lower --learning-rate"):
        vectors.save(tmp_path / "a.w2v")
    vectors.matrix[3, 0] = bad
    with pytest.raises(RunError, match="'woman'"):
        vectors.write(tmp_path / "a.vec")
    assert list(tmp_path.iterdir()) == []


def test_vectors_of_a_file_not_finite_are_never_answers(tmp_path: Path) -> None:
    (tmp_path / "a.vec").write_text("4 2\na 1 1\nb nan 1\nc 0 0\nd 1 2\n")
    for vectors in (Vectors.load(tmp_path / "a.vec"), postprocess(Vectors.load(tmp_path / "a.vec"))):
        assert vectors.meta["notices"] == [
            "1 row not finite, read as zeros: line 3 ('b')",
            "1 row of zeros: line 4 ('c')",
        ]
        assert [word for word, _ in vectors.neighbors("a")] == ["d"]
        for word, reason in {"b": "that is not finite", "c": "of zeros"}.items():
            with pytest.raises(DataError, match=f"'{word}': has a vector {reason} in a.vec"):
                vectors.neighbors(word)
    vectors.save(tmp_path / "a.w2v")
    with pytest.raises(DataError, match=r"'b': has a vector that is not finite in a\.vec"):
        Vectors.load(tmp_path / "a.w2v").neighbors("b")


@pytest.mark.parametrize("name", ["a.vec", "a.bin", "a.npy", "a.tsv", "a.w2v", "a.parquet"])
def test_load_top_gives_the_first_words(tmp_path: Path, vectors: Vectors, name: str) -> None:
    vectors.write(tmp_path / name)
    for top in (3, 99):
        loaded = Vectors.load(tmp_path / name, load_top=top)
        assert loaded.vocab.words == WORDS[:top]
        assert np.array_equal(loaded.matrix, vectors.matrix[:top])
        loaded.save(tmp_path / "first.w2v", force=True)
        assert Vectors.load(tmp_path / "first.w2v").vocab.words == WORDS[:top]
    with pytest.raises(ConfigError, match=r"load_top: 0 is too small"):
        Vectors.load(tmp_path / name, load_top=0)


def test_load_top_refuses_explicit_vectors(tmp_path: Path) -> None:
    Vectors(vocab_of(["a", "b"]), csr_array(np.eye(2, dtype=np.float32))).save(tmp_path / "a.ppmi")
    with pytest.raises(ConfigError, match="load_top: PPMI vectors have a dimension for every word"):
        Vectors.load(tmp_path / "a.ppmi", load_top=1)
