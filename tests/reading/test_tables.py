"""CSV and TSV: the compiled scan against the csv module, chunks of any size, recognition, columns."""

import csv
import gzip
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from support.texts import read_blocks as read, text_of, write_text

from nlpseq.errors import DataError
from nlpseq.reading.corpus import ReadReport, open_corpus
from nlpseq.reading.tables import Dialect, sniff_dialect, table_text

PROSE = "Hello, my friend\nYes, he said\nNo, she said\nWell, well\n"
TABLE = "id,body\n1,one word\n2,more words\n"


def dialect(
    delimiter: str = ",", columns: int = 2, *, is_quoted: bool = True, heading: bool = False
) -> Dialect:
    names = [str(number) for number in range(columns)]
    return Dialect(delimiter, is_quoted, heading, names, [[] for _ in names])


def scanned(text: str, of: Dialect, column: int, size: int) -> bytes:
    """Return a column, cut into chunks of `size` bytes."""
    data = text.encode()
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    return b"".join(table_text(chunks, of, column, end=0, name="the file", report=ReadReport()))


@given(
    text=st.text(st.sampled_from('ab,;\t"\n é'), max_size=60),
    delimiter=st.sampled_from(",;\t"),
    is_quoted=st.booleans(),
    column=st.integers(0, 1),
    size=st.integers(1, 70),
)
def test_column_is_the_same_as_of_the_csv_module(text, delimiter, is_quoted, column, size):
    text = f"a{delimiter}b\n{text}"
    quoting = csv.QUOTE_MINIMAL if is_quoted else csv.QUOTE_NONE
    rows = [*csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting)]
    expected = b"".join(row[column].encode() + b"\0" for row in rows if len(row) == 2)
    of = dialect(delimiter, is_quoted=is_quoted)
    try:
        assert scanned(text, of, column, size) == expected
    except DataError:  # the csv module accepts a quote that never ends
        assert is_quoted and text.count('"') % 2


def test_long_field_of_a_skipped_record_ends_with_it():
    chunks = [b'"', *[b"word " * 20_000] * 20, b'"\nend,y']
    pieces = table_text(iter(chunks), dialect(), 0, end=0, name="a", report=ReadReport())
    assert b"".join(pieces).endswith(b"word \0end\0")


def test_long_field_takes_little_memory():
    chunks = [b'"', *[b'some words ""\n' * 5000] * 512, b'",x\nend,y']
    tracemalloc.start()
    size = sum(map(len, table_text(iter(chunks), dialect(), 0, end=0, name="a", report=ReadReport())))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == 512 * 5000 * len('some words "\n') + len(b"\0end\0")
    assert peak < 8e6


@pytest.mark.parametrize(
    ("text", "format", "title"),
    [
        (TABLE, None, "CSV with a heading"),
        (TABLE.replace(",", ";"), None, "semicolon-separated CSV with a heading"),
        ('id\tbody\n1\t"Oh," he said\n2\t"no\n', None, "TSV with a heading"),
        (",body\n0,one word\n1,more words\n", None, "CSV with a heading"),
        (PROSE, None, None),
        ("a\tb\n" * 60, None, None),
        ("1,one\n2,two\n3,three\n", None, None),
        ("One two three four five,six\na,b\nc,d\n", None, None),
        ("id,body\n1,one\n2,two,three\n3,a\n", None, None),
        ("id,body\n1,one\n", None, None),
        ("Apples,pears.\nOne,two.\nThree,four.\n", None, None),
        ("1,one\n2,two\n3,three\n", "csv", "CSV without a heading"),
        ("id,body\n1,one\n2,two,three\n3,a\n", "csv", "CSV with a heading"),
        ("one word\nmore words\n", "csv", "CSV without a heading"),
        ("text\none word\n", "csv", "CSV with a heading"),
        ("a,b.\tone\nb\ttwo\n", "tsv", "TSV without a heading"),
    ],
)
def test_table_is_recognized_by_content_or_name(text, format, title):
    found = sniff_dialect(text.encode(), True, format)
    assert (found and found.title) == title


# files


def write(folder: Path, content: str, name: str = "a.txt") -> Path:
    return write_text(folder / name, content)


def test_table_is_read_as_the_text_of_its_column(tmp_path):
    report = ReadReport()
    file = write(tmp_path, '\ufeffid;when;body\r\n1;2024-01-02;"one ""word"""\r\n\r\n2;;"two\r\nlines"\r\n')
    assert text_of(file, report=report) == 'one "word"\ntwo\nlines\n'
    assert report.formats == {"semicolon-separated CSV with a heading, text from body": str(file)}
    assert text_of(file, tokenizer="bpe") == 'one "word"\ntwo\nlines\n'
    assert text_of(file, format="text").startswith("id;when;body\n1;")
    assert text_of(file, sentences="documents") == 'one "word"\ntwo lines\n'
    assert text_of(write(tmp_path, PROSE)) == PROSE


@pytest.mark.parametrize(("words", "name"), [(20_000, "a.txt"), (60_000, "a.csv")])
def test_table_with_long_fields_is_recognized(tmp_path, words, name):
    field = "two, words\n" * (words // 2)
    file = write(tmp_path, "id,text\n" + "".join(f'{number},"{field}"\n' for number in range(5)), name)
    assert text_of(file) == (field + "\n") * 5


def test_column_is_a_name_or_a_number(tmp_path):
    named, nameless = write(tmp_path, "a,b\nx,y\n", "a.csv"), write(tmp_path, "1,x\n2,y\n", "b.csv")
    assert text_of(named, column="b") == "y\n"
    assert text_of(nameless) == text_of(nameless, column="2") == "x\ny\n"
    with pytest.raises(DataError, match=r"a\.csv: has 2 columns with text.*a \('x'\), b \('y'\)"):
        read(named)
    with pytest.raises(DataError, match=r"b\.csv: has no column '3'\. Name one with --column: 2 \('x'\)\."):
        read(nameless, column="3")


def test_column_of_numbers_is_refused(tmp_path):
    file, numbers = write(tmp_path, "stars,a,b\n5,x,y\n", "a.csv"), write(tmp_path, "1,2.5\n3,4\n", "b.csv")
    with pytest.raises(
        DataError, match=r"column 'stars' holds no text\. Name one .*: a \('x'\), b \('y'\)\."
    ):
        read(file, column="stars")
    with pytest.raises(DataError, match=r"has 2 columns with text.*plain text: a \('x'\), b \('y'\)\."):
        read(file)
    for each in (numbers, write(tmp_path, "1\n2\n", "c.csv")):
        with pytest.raises(DataError, match=r"has no columns with text\. Name another file, or use --format"):
            read(each)
    assert text_of(write(tmp_path, "a,b\n1,\n2,\n", "d.csv"), column="b") == "\n\n"  # text may follow


def test_name_decides_behind_a_compression(tmp_path):
    content = b"1,x\n2,y\n"
    packed = write_text(tmp_path / "a.csv.gz", gzip.compress(content))
    assert text_of(packed) == "x\ny\n"
    named, other = write_text(tmp_path / "a.csv", content), write_text(tmp_path / "a.txt", content)
    assert open_corpus(named).content_key() != open_corpus(other).content_key(), "their texts differ"


def test_records_of_another_width_are_skipped_and_counted(tmp_path):
    report = ReadReport()
    file = write(tmp_path, "id,text\n1,a\n2,b,c\n3\n4,d\n", "a.csv")
    assert text_of(file, report=report) == "a\nd\n"
    assert report.notices() == [
        f"skipped 2 records without 2 fields, as the first line has; the first is {file}, record 2."
    ]


def test_text_behind_a_closing_quote_is_noted(tmp_path):
    rows = "".join(f"{number}\tsome words\n" for number in range(100))
    report, file = ReadReport(), write(tmp_path, f'id\ttext\n{rows}8\t"Oh, he\n9\tsaid "no" again\n')
    assert text_of(file, report=report).endswith('words\nOh, he\n9\tsaid no" again\n')
    assert report.notices()[0].startswith(f"{file}, record 101: has text behind a closing quote")
    report = ReadReport()
    text_of(write(tmp_path, 'id,text\n1,"a ""b""\n"\n2,c\n', "a.csv"), report=report)
    assert report.notices() == []


def test_broken_tables_are_refused(tmp_path):
    with pytest.raises(DataError, match="record 1: has a quote that never ends"):
        scanned('1,"a\n2,b\n', dialect(), 1, 4)
    with pytest.raises(DataError, match="has no record with 2 fields"):
        read(write(tmp_path, "id,text\n1\n2\n", "a.csv"))
