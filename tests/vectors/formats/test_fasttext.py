"""Models of fastText give the vectors that fastText gives; corrupt files are refused with little memory."""

import copy
import gzip
import os
import pickle
import struct
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import fasttext as plain
from reference.fasttext import BUCKETS, DIM, UNSEEN, WORDS, Model

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, DataError
from nlpseq.vectors.formats.names import format_of
from nlpseq.vectors.subwords import SubwordVectors
from nlpseq.vectors.vectors import Vectors

Stored = Callable[..., Path]


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    def store(content: bytes, name: str = "a.bin") -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    return store


def assert_same_vectors(vectors: Vectors, model: Any, words: Sequence[str], tolerance: float = 3e-6) -> None:
    """Compare with model.vector(word), as exactly as sums of float32 allow."""
    for word in words:
        wanted = model.vector(word)
        np.testing.assert_allclose(vectors[word], wanted, rtol=tolerance, atol=tolerance / 10, err_msg=word)


def test_vectors_equal_means_of_rows(stored: Stored) -> None:
    model = plain.random_model()
    vectors = Vectors.load(stored(plain.content(model)))
    assert list(vectors) == list(WORDS) and vectors.vocab.counts.tolist() == [10, 9, 8, 7, 6, 5, 4]
    assert_same_vectors(vectors, model, [*WORDS, *UNSEEN])
    np.testing.assert_array_equal(vectors.contexts, model.output)
    assert vectors.meta["model"] == "fastText skipgram"


def test_invalid_utf_8_is_hashed_as_its_bytes(stored: Stored) -> None:
    word = b"caf\xe9\x80x".decode("utf-8", "surrogateescape")
    model = plain.random_model(words=(word, "b"))
    assert_same_vectors(Vectors.load(stored(plain.content(model))), model, [word, word + "y"])


def test_supervised_models_have_vectors_of_words(stored: Stored) -> None:
    model = plain.random_model()
    vectors = Vectors.load(stored(plain.content(model, kind=3, loss=3, labels=("x", "y"))))
    assert list(vectors) == list(WORDS) and vectors.contexts is None
    assert_same_vectors(vectors, model, [*WORDS, *UNSEEN])


def test_old_supervised_models_have_no_ngrams(stored: Stored) -> None:
    """Version 11 stored lengths of n-grams that it did not use."""
    model = plain.random_model()
    content = plain.content(model, version=11, kind=3, loss=3, labels=("x",))
    vectors = Vectors.load(stored(content))
    assert_same_vectors(vectors, model._replace(maxn=0), WORDS)
    assert vectors.subwords is None
    assert_same_vectors(Vectors.load(stored(plain.content(model, version=11))), model, [*WORDS, *UNSEEN])


@pytest.mark.parametrize("part", [2, 3, 5])
@pytest.mark.parametrize("norms", [False, True])
def test_quantized_models_equal_their_centroids(stored: Stored, part: int, norms: bool) -> None:
    matrix, rows = plain.quantized(len(WORDS) + BUCKETS, part, norms=norms)
    model = Model(WORDS, rows[: len(WORDS)], rows[len(WORDS) :], plain.random_model().output)
    content = plain.content(model, kind=3, loss=3, labels=("x",), matrix=matrix)
    assert_same_vectors(Vectors.load(stored(content, "a.ftz")), model, [*WORDS, *UNSEEN])


def test_pruned_ngrams_do_not_count(stored: Stored, tmp_path: Path) -> None:
    """Compare with a plain mean of the kept n-grams; a folder keeps them."""
    kept = {7: 0, 2: 2, 9: 1}  # bucket: row
    matrix, rows = plain.quantized(len(WORDS) + len(kept), 2)
    model = plain.random_model()
    pairs = list(kept.items())
    path = stored(plain.content(model, kind=3, loss=3, labels=("x",), matrix=matrix, pruned=pairs), "a.ftz")
    vectors = Vectors.load(path)
    vectors.save(tmp_path / "a.w2v")
    for each in (vectors, Vectors.load(tmp_path / "a.w2v")):
        assert each.subwords is not None
        for word in [*WORDS, *UNSEEN]:
            hashes = [plain.fnv1a(ngram) % BUCKETS for ngram in plain.ngrams(word, 2, 4)]
            wanted = [rows[WORDS.index(word)]] if word in WORDS else []
            wanted += [rows[len(WORDS) + kept[bucket]] for bucket in hashes if bucket in kept]
            found = each[word] if word in WORDS else each.subwords.vectors([word])[0]
            np.testing.assert_allclose(
                found, np.mean(wanted or [np.zeros(DIM)], axis=0), rtol=1e-5, atol=1e-7
            )
    with pytest.raises(DataError, match=r"whose n-grams were pruned.*\.w2v"):
        vectors.write(tmp_path / "b.bin", "fasttext")


def test_written_model_has_the_same_vectors(stored: Stored, tmp_path: Path) -> None:
    model = plain.random_model()
    first = Vectors.load(stored(plain.content(model, kind=1)))
    first.save(tmp_path / "a.w2v")
    for source in (first, Vectors.load(tmp_path / "a.w2v")):
        written = source.write(tmp_path / "b.bin", "fasttext", force=True)
        assert written.files == (tmp_path / "b.bin",) and written.num_words == len(WORDS)
        again = Vectors.load(tmp_path / "b.bin")
        assert_same_vectors(again, model, [*WORDS, *UNSEEN])
        np.testing.assert_array_equal(again.contexts, model.output)
        assert again.vocab.counts.tolist() == first.vocab.counts.tolist()
        settings = first.meta["fasttext"] | {"wordNgrams": 1}
        assert again.meta["fasttext"] == settings and again.meta["model"] == "fastText cbow"


def test_written_model_of_equal_bytes(stored: Stored, tmp_path: Path) -> None:
    """Every number but the own rows of words is the same, and these to rounding."""
    content = plain.content(plain.random_model())
    Vectors.load(stored(content)).write(tmp_path / "b.bin", "fasttext")
    found = (tmp_path / "b.bin").read_bytes()
    end = len(content) - 4 * DIM * (2 * len(WORDS) + BUCKETS) - 17
    tokens = struct.pack("<q", sum(range(4, 11)))
    start = content.index(struct.pack("<3iq", len(WORDS), len(WORDS), 0, 100)) + 12
    assert found[:end] == content[:start] + tokens + content[start + 8 : end]
    after = end + 4 * DIM * len(WORDS)
    assert found[after:] == content[after:]
    own = (np.frombuffer(each[end:after], "<f4") for each in (found, content))
    np.testing.assert_allclose(*own, rtol=1e-5, atol=1e-6)


def test_vectors_without_subwords_are_written_as_rows(tmp_path: Path) -> None:
    matrix = np.random.default_rng(2).normal(size=(2, 3)).astype(np.float32)
    Vectors(Vocab(["b c", "a"], np.array([-1, -1])), matrix).write(tmp_path / "a.bin", "fasttext")
    found = Vectors.load(tmp_path / "a.bin")
    assert list(found) == ["b c", "a"] and found.subwords is None and found.vocab.counts.tolist() == [1, 1]
    np.testing.assert_array_equal(found.matrix, matrix)
    np.testing.assert_array_equal(found.contexts, np.zeros((2, 3)))


def test_words_that_the_file_cannot_hold_are_refused(tmp_path: Path) -> None:
    for word in ("a\0b", "", "\ud800"):
        vectors = Vectors(Vocab([word, "ok"], np.array([2, 1])), np.ones((2, 3), np.float32))
        with pytest.raises(DataError, match="fastText model: cannot hold 1 of the words"):
            vectors.write(tmp_path / "a.bin", "fasttext", force=True)
        assert vectors.write(tmp_path / "a.bin", "fasttext", "skip", force=True).num_words == 1


def test_bin_without_a_named_format_is_word2vec() -> None:
    assert (
        format_of(Path("a.bin")) == "word2vec-binary" and format_of(Path("a.bin"), "fasttext") == "fasttext"
    )


def test_compressed_and_partial_models_are_read(stored: Stored) -> None:
    model = plain.random_model()
    content = plain.content(model)
    assert_same_vectors(Vectors.load(stored(gzip.compress(content), "a.gz")), model, [*WORDS, *UNSEEN])
    top = Vectors.load(stored(content), load_top=2)
    assert list(top) == list(WORDS[:2]) and len(top.matrix) == len(top.contexts) == 2
    assert_same_vectors(top, model, [*WORDS[:2], *UNSEEN])


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e30, 1e16])
def test_unusable_row_counts_as_zeros(stored: Stored, number: float) -> None:
    model = plain.random_model()
    broken = model._replace(own=model.own.copy(), buckets=model.buckets.copy())
    broken.own[0, 1] = broken.buckets[3, 2] = number
    sound = model._replace(own=model.own.copy(), buckets=model.buckets.copy())
    sound.own[0] = sound.buckets[3] = 0
    vectors = Vectors.load(stored(plain.content(broken)))
    assert_same_vectors(vectors, sound, [*WORDS, *UNSEEN])
    assert vectors.meta["notices"] == [], "loading reads no number"


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e30, 1e16])
def test_verifying_counts_unusable_rows(stored: Stored, number: float) -> None:
    model = plain.random_model()
    assert Vectors.load(stored(plain.content(model)), verify=True).meta["notices"] == []
    model.own[2, 1] = model.buckets[3, 2] = model.buckets[9, 0] = model.output[4, 4] = number
    vectors = Vectors.load(stored(plain.content(model)), verify=True)
    assert vectors.meta["notices"] == [
        f"1 row not finite or too large, read as zeros: row 3 ({WORDS[2]!r})",
        "2 n-gram rows not finite or too large, read as zeros: row 4, row 10",
        f"1 output row not finite or too large, read as zeros: row 5 ({WORDS[4]!r})",
    ]
    assert vectors.meta["not_finite"] == [WORDS[2]]
    vectors.write(stored(b"", "b.vec"), force=True)


@pytest.mark.slow
def test_many_words_load_with_little_memory(tmp_path: Path) -> None:
    """Load 50,000 words within 400 bytes a word, without hashes of the n-grams of each."""
    words = [f"weatherforecast{n}" for n in range(50_000)]
    model = plain.random_model(words=words)
    (tmp_path / "a.bin").write_bytes(plain.content(model))
    tracemalloc.start()
    try:
        vectors = Vectors.load(tmp_path / "a.bin")
        assert tracemalloc.get_traced_memory()[1] < 400 * len(words)
    finally:
        tracemalloc.stop()
    assert_same_vectors(vectors, model, words[:: len(words) // 9])


def test_model_can_be_pickled_and_copied(stored: Stored) -> None:
    model = plain.random_model()
    vectors = Vectors.load(stored(plain.content(model)))
    again = pickle.loads(pickle.dumps(copy.deepcopy(vectors)))
    assert_same_vectors(again, model, [*WORDS, *UNSEEN])


@pytest.mark.parametrize("content", [b"", b"2 3\na 1 2 3\n", b"\0" * 90], ids=["empty", "text", "zeros"])
def test_other_content_is_refused_if_the_format_is_given(stored: Stored, content: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"a\.bin: (ends in the header|does not begin as)"):
        Vectors.load(stored(content), "fasttext")


def test_truncations_are_refused(stored: Stored) -> None:
    for name, content in sound_contents().items():
        for end in range(4, len(content), 1 if len(content) < 1000 else 13):
            with pytest.raises(ArtifactError, match=r"a\.bin: .*\. Copy the file again"):
                Vectors.load(stored(content[:end]))
        with pytest.raises(ArtifactError, match="continues after the model by 1 byte"):
            Vectors.load(stored(content + b"\0"))
        assert len(Vectors.load(stored(content))), name


def sound_contents() -> dict[str, bytes]:
    words = ("강", "a")
    model = plain.random_model(words=words, buckets=3)
    matrix, _ = plain.quantized(3, 3, norms=True)
    return {
        "dense": plain.content(model),
        "supervised": plain.content(model, kind=3, loss=3, labels=("x",)),
        "quantized": plain.content(model, kind=3, loss=3, labels=("x",), matrix=matrix, pruned=[(1, 0)]),
    }


VAST = 2**31 - 1
FORGED: dict[str, dict[str, int]] = {
    "dimensions": {"dim": VAST},
    "no dimension": {"dim": 0},
    "buckets": {"bucket": VAST},
    "no buckets": {"bucket": 0},
    "negative buckets": {"bucket": -1},
    "model": {"kind": 4},
    "loss": {"loss": 9},
    "entries": {"entries": VAST, "words": VAST},
    "negative words": {"entries": -1, "words": -1},
    "no words": {"entries": 0, "words": 0},
    "labels": {"num_labels": 3},
    "count": {"count": -100},
    "type": {"type": 1},
    "pruned": {"num_pruned": 2**60},
    "pruned without quantization": {"num_pruned": 0},
    "rows": {"rows": 2**62, "columns": 2**62},
    "columns": {"columns": DIM + 1},
    "flag": {"quantized": 7},
    "quantized": {"quantized": 1},
    "outputs": {"outputs": 2**62},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_forged_numbers_are_refused_with_little_memory(stored: Stored, forged: dict[str, int]) -> None:
    path = stored(plain.content(plain.random_model(), **forged))
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactError, match=r"a\.bin: .*\. Copy the file again"):
            Vectors.load(path)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


def test_forged_lists_are_refused(stored: Stored) -> None:
    model, labels = plain.random_model(), ("x",)
    for pairs in ([(2, 0), (2, 1)], [(2, 0), (3, 0)], [(2, 0), (3, 2)], [(-1, 0)], [(BUCKETS, 0)], [(2, -1)]):
        matrix, _ = plain.quantized(len(WORDS) + len(pairs), 2)
        content = plain.content(model, kind=3, loss=3, labels=labels, matrix=matrix, pruned=pairs)
        with pytest.raises(ArtifactError, match="list of pruned n-grams that repeats or exceeds"):
            Vectors.load(stored(content))
    twice = plain.random_model(words=("a", "b", "a"))
    with pytest.raises(ArtifactError, match="has a word twice"):
        Vectors.load(stored(plain.content(twice)))
    with pytest.raises(DataError, match=r"version 13, and nlpseq reads 11 and 12\. Write the model again"):
        Vectors.load(stored(plain.content(model, version=13)))
    long = r"n-grams of up to 25 characters, and nlpseq reads n-grams up to 20\. Train .* -maxn 20"
    with pytest.raises(DataError, match=long):
        Vectors.load(stored(plain.content(model, maxn=25)))


def test_forged_quantizers_are_refused(stored: Stored) -> None:
    matrix, _ = plain.quantized(len(WORDS) + BUCKETS, 2)
    place = matrix.index(struct.pack("<4i", DIM, 3, 2, 1))
    for sizes in ((DIM, 3, 0, 1), (DIM, VAST, 2, 1), (4, 2, 2, 2), (DIM, 3, 2, 2), (DIM, 1, VAST, DIM)):
        forged = matrix[:place] + struct.pack("<4i", *sizes) + matrix[place + 16 :]
        content = plain.content(plain.random_model(), kind=3, loss=3, labels=("x",), matrix=forged)
        with pytest.raises(ArtifactError, match=r"divides|codes"):
            Vectors.load(stored(content))


def test_large_model_is_mapped(tmp_path: Path) -> None:
    """A file of 1.2 GB, mostly a hole, answers within few megabytes."""
    path, buckets = tmp_path / "large.bin", 3_000_000
    model = plain.random_model(words=("king", "queen"), buckets=0)
    sizes = {"dim": 100, "bucket": buckets, "rows": buckets + 2, "columns": 100}
    content = plain.content(model, **sizes)
    head = content[: content.rindex(struct.pack("<2q", buckets + 2, 100)) + 16]
    with path.open("wb") as file:
        file.write(head + np.ones((2, 100), np.float32).tobytes())
        file.truncate(len(head) + (buckets + 2) * 400)
        file.seek(0, os.SEEK_END)
        file.write(b"\0" + struct.pack("<2q", 2, 100) + bytes(2 * 400))
    tracemalloc.start()
    try:
        vectors = Vectors.load(path)
        assert [word for word, _ in vectors.neighbors("king")] == ["queen"]
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()
    assert isinstance(vectors.subwords, SubwordVectors) and len(vectors.subwords.rows_BD) == buckets


class Peer:
    """A model of the package fasttext."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def vector(self, word: str) -> Any:
        return self._model.get_word_vector(word)


CORPUS = "강아지 고양이 👩‍👩‍👧 the a 𐍈 ab café hahaha\n강아지는 고양이를 👩 of and be\n" * 50
TRAINING = {"dim": 10, "minn": 2, "maxn": 4, "bucket": 1000, "epoch": 20, "minCount": 1, "verbose": 0}


def trained(train: Callable[..., Any], *args: Any, **settings: Any) -> Any:
    """Train with 10 threads, because each thread of the package initializes a tenth of the numbers."""
    return train(*args, **TRAINING | settings, thread=10)


@pytest.mark.extras
@pytest.mark.parametrize("kind", ["skipgram", "cbow"])
@pytest.mark.parametrize("loss", ["ns", "hs", "softmax"])
def test_unsupervised_model_equals_fasttext_and_gensim(tmp_path: Path, kind: str, loss: str) -> None:
    fasttext = pytest.importorskip("fasttext")
    from gensim.models.fasttext import load_facebook_vectors

    corpus, theirs, ours = (tmp_path / name for name in ("c.txt", "a.bin", "b.bin"))
    corpus.write_text(CORPUS, "utf-8")
    model = trained(fasttext.train_unsupervised, str(corpus), model=kind, loss=loss, lr=0.01)
    model.save_model(str(theirs))
    vectors = Vectors.load(theirs)
    words = [*model.words, *UNSEEN]
    assert list(vectors) == model.words
    assert_same_vectors(vectors, Peer(model), words)
    vectors.save(tmp_path / "a.w2v")
    Vectors.load(tmp_path / "a.w2v").write(ours, "fasttext")
    written = fasttext.load_model(str(ours))
    assert written.words == model.words
    keyed = load_facebook_vectors(str(ours))
    for word in words:
        wanted = model.get_word_vector(word)
        np.testing.assert_allclose(written.get_word_vector(word), wanted, rtol=1e-5, atol=1e-7)
        if word != "</s>":  # gensim gives n-grams to it, also in files of fastText
            np.testing.assert_allclose(keyed[word], wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.extras
@pytest.mark.parametrize("subwords", [{}, {"wordNgrams": 2}, {"maxn": 0, "minn": 0}], ids=str)
@pytest.mark.parametrize(
    "quantizing",
    [None, {}, {"qnorm": True, "dsub": 3}, {"qnorm": True, "cutoff": 300}, {"qout": True, "qnorm": True}],
    ids=str,
)
def test_supervised_model_equals_fasttext(
    tmp_path: Path, subwords: dict[str, int], quantizing: dict[str, Any] | None
) -> None:
    fasttext = pytest.importorskip("fasttext")
    corpus, theirs = tmp_path / "c.txt", tmp_path / "a.bin"
    lines = CORPUS.split("\n")[:-1]
    num_labels = 300 if quantizing and "qout" in quantizing else 2  # because it quantizes 256 rows or more
    labelled = [(n % num_labels, lines[n % len(lines)]) for n in range(max(len(lines), num_labels))]
    corpus.write_text("".join(f"__label__{label} {line}\n" for label, line in labelled), "utf-8")
    model = trained(fasttext.train_supervised, str(corpus), **subwords)
    if quantizing is not None and subwords.get("maxn") != 0:  # because fastText quantizes 256 rows or more
        model.quantize(**quantizing)
    model.save_model(str(theirs))
    vectors = Vectors.load(theirs)
    vectors.save(tmp_path / "a.w2v")
    for each in (vectors, Vectors.load(tmp_path / "a.w2v")):
        assert list(each) == model.words
        known = [word for word in model.words if np.isfinite(model.get_word_vector(word)).all()]
        assert_same_vectors(each, Peer(model), known, 1e-5)
        for word in UNSEEN if each.subwords else ():
            wanted = model.get_word_vector(word)
            if np.isfinite(wanted).all():
                np.testing.assert_allclose(each.subwords.vectors([word])[0], wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.extras
def test_model_of_gensim_is_read(tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim.models.fasttext")
    lines = [line.split() for line in CORPUS.split("\n")]
    model = gensim.FastText(lines, vector_size=8, min_count=1, bucket=500, min_n=2, max_n=3, epochs=2, seed=1)
    gensim.save_facebook_model(model, str(tmp_path / "a.bin"))
    vectors = Vectors.load(tmp_path / "a.bin")
    assert list(vectors) == model.wv.index_to_key
    for word in [*vectors, *UNSEEN]:
        np.testing.assert_allclose(vectors[word], model.wv[word], rtol=1e-5, atol=1e-7)
