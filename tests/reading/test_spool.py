"""Texts in memory: iterables, lists of tokens, data frames and data sets, written to disk once."""

import gc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.texts import text_of

from nlpseq.config import TextConfig
from nlpseq.core.cache_dir import cache_dir
from nlpseq.errors import ConfigError, DataError
from nlpseq.reading.corpus import ReadReport, open_corpus

TEXTS = ["one\r\ntwo", "한 \0x", "last"]
EXPECTED = "one\ntwo\n한  x\nlast\n"


def generate() -> Iterator[str]:
    yield from TEXTS


@pytest.mark.parametrize("source", [TEXTS, tuple(TEXTS), np.array(TEXTS)], ids=["list", "tuple", "array"])
def test_texts_are_read_as_documents(source):
    assert text_of(source) == EXPECTED
    assert text_of(source, sentences="documents") == "one two\n한  x\nlast\n"


def test_bpe_keeps_nul_of_texts_in_memory():
    assert text_of(TEXTS, tokenizer="bpe") == "one\ntwo\n한 \0x\nlast\n"
    assert text_of(TEXTS, tokenizer="bpe", sentences="documents") == "one two\n한  x\nlast\n"


def test_generator_is_read_once_and_its_text_many_times():
    corpus = open_corpus(generate())
    for _ in range(2):
        assert "".join(block.text for block in corpus.blocks(TextConfig(), ReadReport())) == EXPECTED
    assert corpus.read_key == corpus.content_key() == open_corpus(TEXTS).content_key()
    assert corpus.size_bytes() == len("one\ntwo\0한  x\0last\0".encode())
    assert corpus.describe() == "texts in memory"


def test_temporary_file_vanishes_with_the_corpus():
    opened = Path("/proc/self/fd")

    def num_in_cache() -> int:
        links = [path.readlink() for path in opened.iterdir() if path.is_symlink()]
        return sum(link.is_relative_to(cache_dir()) for link in links)

    before, names = num_in_cache(), set(cache_dir().iterdir())
    corpus = open_corpus(TEXTS)
    assert num_in_cache() == before + 1 and set(cache_dir().iterdir()) == names
    del corpus
    gc.collect()
    assert num_in_cache() == before


def test_token_lists_are_sentences_of_their_tokens():
    corpus = open_corpus([["Don't", "STOP"], ["ﬁn."]])
    config = corpus.text_config({})
    assert [block.text for block in corpus.blocks(config, ReadReport())] == ["Don't STOP\nﬁn.\n"]
    assert (config.tokenizer, config.lower, config.normalize) == ("whitespace", False, "none")
    assert corpus.text_config({"lower": True}).lower
    with pytest.raises(ConfigError, match="tokenizer: is word, and texts in memory are lists of tokens"):
        corpus.blocks(TextConfig(), ReadReport())


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ([["New York"]], r"item 1: the token 'New York' is empty or has white space\. Join"),
        (["a", ["b"]], "item 2: mixes texts with lists of tokens"),
        ([Path("b")], r"item 1: is of type PosixPath.*open_corpus\(\*paths\)"),
        ([["a", 1]], "item 1: is of type list"),
        ({"text": ["a"]}, "corpus: is of type dict"),
        (b"text", "corpus: is of type bytes"),
        (3, "corpus: is of type int"),
    ],
)
def test_other_items_are_refused(source, problem):
    with pytest.raises(DataError, match=problem):
        open_corpus(source)


def test_missing_texts_are_counted():
    report = ReadReport()
    assert text_of(["a", None, float("nan"), "b"], report=report) == "a\nb\n"
    assert report.notices() == ["skipped 2 records without text; the first is texts in memory, item 2."]


class Frame:
    """Stand in for a data frame of pandas or polars."""

    def __init__(self, values):
        self.columns, self._values = list(values), values

    def __getitem__(self, name):
        return self._values[name]


def frame_of_pandas(values):
    return pytest.importorskip("pandas").DataFrame(values)


def table_of_arrow(values):
    return pytest.importorskip("pyarrow").table(values)


def contents(corpus):
    return "".join(block.text for block in corpus.blocks(TextConfig(), ReadReport()))


def records_of(values):
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


@pytest.mark.parametrize("frame_of", [Frame, frame_of_pandas, table_of_arrow])
def test_data_frames_need_a_column(frame_of):
    frame = frame_of({"title": ["t", "u"], "body": ["one", None], "n": [1, 2]})
    for corpus in (open_corpus(frame["body"]), open_corpus(frame, column="body")):
        assert [block.text for block in corpus.blocks(TextConfig(), ReadReport())] == ["one\n"]
    with pytest.raises(DataError, match=r"data frame: has 2 columns with text.*title \('t'\)"):
        open_corpus(frame)
    with pytest.raises(DataError, match="data frame: has no column 'x'"):
        open_corpus(frame, column="x")


@pytest.mark.parametrize("source_of", [Frame, frame_of_pandas, table_of_arrow, records_of])
def test_column_without_text_is_refused_by_name(source_of):
    source = source_of({"stars": [1, 2], "Review": ["one", "two"], "n": [1.5, None], "zip": ["1", "2"]})
    problem = (
        r"(data frame|records): column 'stars' holds no text\. Name one with --column: Review \('one'\)\."
    )
    with pytest.raises(DataError, match=problem):
        open_corpus(source, column="stars")
    with pytest.raises(DataError, match=r"has no column 'reviews'\. Did you mean Review\? Name one"):
        open_corpus(source, column="reviews")
    assert text_of(source) == "one\ntwo\n"
    assert contents(open_corpus(source, column="zip")) == "1\n2\n"


def test_records_may_lack_the_column():
    assert contents(open_corpus([{"text": "a"}, {"n": 1}, {"text": "b"}], column="text")) == "a\nb\n"


def test_missing_texts_of_pandas_are_counted():
    pandas = pytest.importorskip("pandas")
    texts, report = pandas.array(["one", pandas.NA, "two"], dtype="string"), ReadReport()
    empty = pandas.array([pandas.NA] * 3, dtype="string")
    assert text_of(pandas.DataFrame({"body": texts, "more": empty}), report=report) == "one\ntwo\n"
    assert "the first is texts in memory, item 2." in report.notices()[0]


class DataSet:
    """Stand in for a data set of Hugging Face, which has batches of columns."""

    column_names = ("n", "text")

    def select_columns(self, names):
        assert names == ["text"]
        return self

    def iter(self, batch_size):
        assert batch_size > 0
        yield from ({"text": ["one"]}, {"text": ["two"]})


def test_data_sets_and_records_need_a_column():
    for source in (DataSet(), [{"text": "one"}, {"text": "two"}]):
        corpus = open_corpus(source, column="text")
        assert [block.text for block in corpus.blocks(TextConfig(), ReadReport())] == ["one\ntwo\n"]
