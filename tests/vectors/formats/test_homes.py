"""Vectors for other packages: Parquet, model2vec with sentence-transformers, and spaCy."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.texts import write_text

import nlpseq as ns
from nlpseq.config import TextConfig
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError, ConfigError, DataError, MissingExtra
from nlpseq.tokenizers.base import normalize_and_tokenize
from nlpseq.vectors.formats import spacy as spacy_format
from nlpseq.vectors.formats.reader import ReadOptions
from nlpseq.vectors.formats.registry import is_vector_file, read_vectors
from nlpseq.vectors.formats.static import word_tokenizer
from nlpseq.vectors.vectors import Vectors

WORDS = ["the", "don't", "여왕", "snake_case", "über"]
ROWS = np.arange(1, 11, dtype=np.float32).reshape(5, 2)
TEXTS = [
    "The queen’s don't, don’t; and snake_case x² (über-ÜBER)!",
    "여왕이 여왕을 만났다. col·lecció 'dogs' rock''n a\u00adb",
    "1,000 U.S.A. e-mail don'tx x'y'z ...",
]


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not find_spec(package), reason=f"{package}: not installed")


def made(counts: list[int] | None = None, meta: dict[str, Any] | None = None) -> Vectors:
    return Vectors(Vocab(WORDS, np.array(counts or [9, 7, 5, 3, 1])), ROWS, meta=meta)


@pytest.mark.parametrize("counts", [[9, 7, 5, 3, 1], [-1] * 5])
def test_parquet_keeps_words_counts_and_bits(tmp_path: Path, counts: list[int]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    made(counts).write(tmp_path / "a.parquet")
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table["word"].to_pylist() == WORDS and table["vector"].to_pylist() == ROWS.tolist()
    assert table["count"].to_pylist() == [count if count >= 0 else None for count in counts]
    found = Vectors.load(tmp_path / "a.parquet")
    assert found.vocab.words == WORDS and found.vocab.counts.tolist() == counts
    assert np.array_equal(found.matrix, ROWS) and is_vector_file(tmp_path / "a.parquet")


def test_parquet_without_vectors_is_something_else(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "a.parquet")
    assert not is_vector_file(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="without the columns word and vector"):
        read_vectors(tmp_path / "a.parquet")


def test_first_rows_of_parquet_are_read_alone(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"word": list("abcd"), "vector": [[1.0, row] for row in range(4)]})
    parquet.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    found = read_vectors(tmp_path / "a.parquet", options=ReadOptions(load_top=3))
    assert found.vocab.words == list("abc")
    assert found.matrix_VD.tolist() == [[1, 0], [1, 1], [1, 2]]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"word": ["a", None], "vector": [[1.0], [2.0]]}, "a word is missing"),
        ({"word": ["a", "b"], "vector": [[1.0], [2.0, 3.0]]}, "several lengths"),
        ({"word": ["a", "b"], "vector": [[1.0, 4.0], [2.0, 3.0, 4.0, 5.0]]}, "several lengths"),
        ({"word": ["a", "b"], "vector": [[], []]}, "a vector is missing"),
        ({"word": ["a", "b"], "vector": ["x", "y"]}, "not lists of numbers"),
        ({"word": ["a", "b"], "vector": [["1"], ["2"]]}, "not lists of numbers"),
        ({"word": ["a", "b"], "vector": [[{"x": 1}], [{"x": 2}]]}, "not lists of numbers"),
        ({"word": ["a", "b"], "vector": [{"x": 1}, {"x": 2}]}, "not lists of numbers"),
        ({"word": ["a", "b"], "vector": [[True], [False]]}, "not lists of numbers"),
    ],
)
def test_parquet_of_something_else_is_refused(
    tmp_path: Path, columns: dict[str, list[Any]], problem: str
) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(ArtifactError, match=problem):
        read_vectors(tmp_path / "a.parquet")


@pytest.mark.parametrize("name", ["word", "vector", "count"])
def test_repeated_column_of_parquet_is_refused(tmp_path: Path, name: str) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"word": ["a", "b"], "count": [2, 1], "vector": [[1.0], [2.0]]}
    arrays = [*map(pa.array, columns.values()), pa.array(columns[name])]
    parquet.write_table(pa.Table.from_arrays(arrays, [*columns, name]), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=rf"a\.parquet: has several columns named {name}\. Keep one"):
        read_vectors(tmp_path / "a.parquet")


def test_parquet_with_a_name_in_invalid_utf_8_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    file = made().write(tmp_path / "a.parquet").files[0]
    file.write_bytes(file.read_bytes().replace(b"count", b"co\xffnt"))
    assert not is_vector_file(file)
    with pytest.raises(ArtifactError, match=r"a\.parquet: is not Parquet with words and their vectors"):
        read_vectors(file)


def test_corpus_in_parquet_is_no_vector_file(tmp_path: Path) -> None:
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table({"text": ["a b", "c d"]}), tmp_path / "a.parquet")
    assert not is_vector_file(tmp_path / "a.parquet")


def test_truncated_parquet_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    file = made().write(tmp_path / "a.parquet").files[0]
    content = file.read_bytes()
    for end in range(4, len(content), 97):
        file.write_bytes(content[:end])
        with pytest.raises((ArtifactError, DataError)):
            Vectors.load(file)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"lower": False},
        {"normalize": "NFKC"},
        {"punctuation": True},
        {"tokenizer": "whitespace"},
        {"tokenizer": "char"},
    ],
)
def test_static_tokenizer_splits_as_the_text_was(settings: dict[str, Any]) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    config = TextConfig(**settings)
    wanted = [normalize_and_tokenize(text, config) for text in TEXTS]
    words = sorted({word for tokens in wanted for word in tokens})
    tokenizer = tokenizers.Tokenizer.from_buffer(word_tokenizer(words, config))
    assert [tokenizer.encode(text).tokens for text in TEXTS] == wanted
    assert tokenizer.encode("ж").ids == [len(words)]


def test_static_folder_has_a_zero_row_for_unknown_words(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    folder = made().write(tmp_path / "a.static").files[0]
    stored = load_file(folder / "model.safetensors")["embeddings"]
    assert np.array_equal(stored, np.vstack([ROWS, np.zeros(2)]))
    model = json.loads((folder / "tokenizer.json").read_text("utf-8"))["model"]
    assert model["vocab"] == {word: n for n, word in enumerate([*WORDS, "[UNK]"])}
    with pytest.raises(ArtifactError, match="holds word vectors for another tool, not word vectors"):
        Vectors.load(folder)
    with pytest.raises(ConfigError, match="already exists"):
        made().write(folder)


def test_word_named_as_the_unknown_word_stays_a_word() -> None:
    model = json.loads(word_tokenizer(["[UNK]", "a"], None))["model"]
    assert model["vocab"] == {"[UNK]": 0, "a": 1, "[[UNK]]": 2} and model["unk_token"] == "[[UNK]]"


def test_static_vectors_of_bpe_have_its_tokenizer(tmp_path: Path) -> None:
    corpus = write_text(tmp_path / "corpus.txt", "low lower lowest newer wider\n" * 40)
    data = ns.preprocess(corpus, path=tmp_path / "a.tokens", tokenizer="bpe", vocab_size=280)
    vectors = ns.train_word2vec(data, dim=4, epochs=1, threads=1)
    folder = vectors.write(tmp_path / "a.static").files[0]
    assert (folder / "tokenizer.json").read_bytes() == (tmp_path / "a.tokens/tokenizer.json").read_bytes()


@pytest.mark.parametrize("name", ["a.parquet", "a.static", "a.spacy"])
def test_words_that_are_no_text_are_refused(tmp_path: Path, name: str) -> None:
    vectors = Vectors(Vocab(["a", "b\udcff"], np.array([1, 1])), ROWS[:2])
    with pytest.raises(DataError, match=r"cannot hold 1 of the words.*--bad-tokens"):
        vectors.write(tmp_path / name)
    assert not [*tmp_path.iterdir()]


def test_spacy_is_named_if_missing(tmp_path: Path) -> None:
    if find_spec("spacy"):
        pytest.skip("spaCy is installed")
    with pytest.raises(MissingExtra, match=r"needs spaCy, which is not installed\. Type: pip install spacy"):
        made().write(tmp_path / "a.spacy")
    assert spacy_format.__doc__ and not [*tmp_path.iterdir()]


@pytest.mark.extras
@needs("model2vec")
def test_model2vec_opens_the_folder(tmp_path: Path) -> None:
    from model2vec import StaticModel

    config = {"text_config": {"tokenizer": "word"}}
    made(meta=config).write(tmp_path / "a.static")
    model = StaticModel.from_pretrained(tmp_path / "a.static")
    found = model.encode(["The über", "don’t", "zzz"])
    assert np.allclose(found, [(ROWS[0] + ROWS[4]) / 2, ROWS[1], [0, 0]])


@pytest.mark.extras
@needs("spacy")
def test_spacy_opens_the_folder(tmp_path: Path) -> None:
    import spacy

    made().write(tmp_path / "a.spacy")
    nlp = spacy.blank("en")
    nlp.vocab.vectors.from_disk(tmp_path / "a.spacy")
    for word, row in zip(WORDS, ROWS, strict=True):
        assert np.array_equal(nlp.vocab[word].vector, row), word
    assert not nlp.vocab["zzz"].has_vector


@pytest.mark.parametrize(
    "package", [pytest.param("sentence_transformers", marks=needs("sentence_transformers"))]
)
def test_sentence_transformers_opens_the_folder(tmp_path: Path, package: str) -> None:
    from sentence_transformers import SentenceTransformer

    made().write(tmp_path / "a.static")
    assert np.allclose(SentenceTransformer(str(tmp_path / "a.static")).encode(["the 여왕"]), [[3, 4]])
