"""Rows of text vectors: the rule in plain Python, lenient reading, and reading of the first rows."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from reference import vector_rows

from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.vectors.formats.reader import ReadOptions, ReadSizes
from nlpseq.vectors.formats.registry import read_vectors
from nlpseq.vectors.formats.rows import VectorFile

COMPILED, PLAIN = ReadSizes(compile_after=0), ReadSizes()
STRICT, LENIENT = ReadOptions(), ReadOptions(lenient=True)

PARTS = st.sampled_from(
    [b"a", b"boeing", b"7", b"0.5", b"-1e3", b"nan", b".", b"1x", b"\xc2\xa0", b"\xff", b"-"]
)
SEPARATORS = st.sampled_from([b" ", b" ", b" ", b"\t", b"  ", b" \t "])
NUMBERS = st.sampled_from([b"0", b"1", b"-0.25", b"+.5", b"7.", b"1e-3", b"inf", b"NaN", b"3E2"])
ENDS = st.sampled_from([b"\n", b"\n", b"\n", b" \n", b"\r\n", b"\t\r\n", b"\n\n", b"\n \n"])


@st.composite
def contents(draw: st.DrawFn) -> tuple[bytes, bool]:
    """Draw a file of up to seven rows, most of them with as many numbers, and True if it has sizes."""
    dim, num_rows = draw(st.integers(1, 4)), draw(st.integers(1, 7))
    has_header, content = draw(st.booleans()), b""
    for _ in range(num_rows):
        word = b"".join(draw(st.lists(st.one_of(PARTS, SEPARATORS), max_size=4)))
        length = max(0, dim + draw(st.sampled_from([0, 0, 0, 0, 0, 0, -1, 1, 3])))
        content += word + b"".join(draw(SEPARATORS) + draw(NUMBERS) for _ in range(length)) + draw(ENDS)
    if has_header:
        declared = num_rows + draw(st.sampled_from([0, 0, 0, 0, -1, 1]))
        content = b"%d %d\n" % (declared, dim + draw(st.sampled_from([0, 0, 0, 0, 0, 1]))) + content
    mark = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"])) if content[:1] not in b" \t" else b""
    end = draw(st.sampled_from([b"", b"", b"\x1a"]))
    return mark + content[: len(content) - draw(st.sampled_from([0, 0, 0, 1, 2, 5]))] + end, has_header


def assert_follows_rule(file: Path, content: bytes, has_header: bool) -> None:
    """Compare words and numbers, or the refusal, with the rule in plain Python."""
    expected = vector_rows.read_rows(content, has_header=has_header)
    file.write_bytes(content)
    for sizes in (COMPILED, PLAIN):
        try:
            found = read_vectors(file, "word2vec" if has_header else "glove", sizes)
        except ArtifactError:
            assert expected is None
            continue
        assert expected is not None
        rows = dict(reversed(expected))  # the first of repeated words
        assert [word.encode("utf-8", "surrogateescape") for word in found.vocab.words] == list(dict(expected))
        matrix = np.array([rows[word] for word in dict(expected)], np.float32).reshape(found.matrix_VD.shape)
        matrix[~np.isfinite(matrix).all(axis=1)] = 0
        assert np.array_equal(found.matrix_VD, matrix)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows") / "a"


@given(contents())
@example((b"boeing 747 0.1 0.2 0.3\nairbus 1 2 3\n", False))
@example((b"a 1 2\nb 3 4\nc 5\n", False))
@example((b"2 3\nairbus 1 2 3\nboeing 747 0.1 0.2 0.3\n", True))
@example((b" 1 2\n\t3 4\n", False))
def test_text_rows_follow_the_rule(file: Path, drawn: tuple[bytes, bool]) -> None:
    assert_follows_rule(file, *drawn)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None)
@given(contents())
def test_many_text_rows_follow_the_rule(file: Path, drawn: tuple[bytes, bool]) -> None:
    assert_follows_rule(file, *drawn)


def read(file: Path, content: bytes, options: ReadOptions = STRICT) -> VectorFile:
    file.write_bytes(content)
    return read_vectors(file, options=options)


@pytest.mark.parametrize(
    ("content", "words", "first"),
    [
        (b"king\t0.1 0.2\nqueen\t0.2 0.1\n", ["king", "queen"], [0.1, 0.2]),
        (b"2 2\na\t1\t0\nb\t0\t1\n", ["a", "b"], [1, 0]),
        (b"king  0.1  0.2\nqueen  0.2  0.1\n", ["king", "queen"], [0.1, 0.2]),
        (b"\xef\xbb\xbf2 2\r\n\r\nking 1 2 \r\nqueen 3 4\t\r\n\x1a", ["king", "queen"], [1, 2]),
        (b"king 1 2\nqueen 3 4\n\n  \n\x1a\n", ["king", "queen"], [1, 2]),
        (b". . . 0.4 0.5\nthe 0.1 0.2\n", [". . .", "the"], [0.4, 0.5]),
        (b"2 3\nboeing 747 1 2 3\nairbus 4 5 6\n", ["boeing 747", "airbus"], [1, 2, 3]),
        (b"2 2\n 1 2\na 3 4\n", ["", "a"], [1, 2]),
    ],
    ids=["tab", "tabs", "two spaces", "Windows", "blank end", "spaces", "digits", "empty word"],
)
def test_separators_and_words_are_read(
    file: Path, content: bytes, words: list[str], first: list[float]
) -> None:
    found = read(file, content)
    assert (found.vocab.words, found.notices) == (words, [])
    assert found.matrix_VD[0].tolist() == np.array(first, np.float32).tolist()


@pytest.mark.parametrize("num_before", [3, 3000])
def test_later_line_with_fewer_numbers_sets_the_size(file: Path, num_before: int) -> None:
    """Read again from the start, also if the line comes after the first lines."""
    found = read(file, b"".join(b"w%d 7 1.5 2.5\n" % v for v in range(num_before)) + b"a 1 2\n")
    assert found.matrix_VD.shape == (num_before + 1, 2)
    assert found.vocab.words[0] == "w0 7" and found.vocab.words[-1] == "a"
    (notice,) = found.notices
    assert notice.startswith(
        f"{num_before:,} words with a number at the end, such as 'w0 7' in line 1, because"
    )


@pytest.mark.parametrize(
    ("content", "words", "notice"),
    [
        (b"1 2\na 1 2\nb 3 4\n", "ab", "line 1 is wrong, or another file was joined"),
        (b"9 2\na 1 2\nb 3 4\n", "ab", "holds 2 vectors, but line 1 declares 9: the file is truncated, or"),
        (b"2 5\na 1 2\nb 3 4\n", "ab", "line 1 declares vectors of 5 numbers, but line 2 ends in 2"),
        (b"2 2\na 1 2\nb 3", "a", "1 line left out: line 3 is truncated: it ends in 1 of 2 numbers"),
        (b"a 1 2\nb 3", "a", "1 line left out: line 2 is truncated: it ends in 1 of 2 numbers"),
        (b"1 2\na 1 2\n1 2\nb 3 4\n", "ab", "1 line left out: line 3 is a second line of sizes"),
        (b"a 1 2\nb 3 4\nc 1 2 3 4 5\n", "ab", "1 line left out: line 3 ends in 5 numbers, other lines in 2"),
        (b"1 2\na 1 2\nc 1 2 3 4 5\n", "a", "1 row left out, with more numbers"),
        (b"1 2\na 1 2\n2 3\nb 1 2 3\nc 4 5 6\n", "a", "3 lines left out: line 3 is a second line of sizes"),
        (b"a 1 2\nb 3,5 4\nc 5 6\n", "ac", "1 line left out: line 2 .* '3,5' has a decimal comma"),
        (b"a 1 2 3 4 5\nb x 2\nc 1 2 3 4 5\nd 1 2 3 4 5\n", "acd", "1 line left out: line 2 is not a word"),
    ],
)  # fmt: skip
def test_lenient_reading_keeps_the_rows_there_are(
    file: Path, content: bytes, words: str, notice: str
) -> None:
    with pytest.raises(ArtifactError, match="--lenient"):
        read(file, content)
    found = read(file, content, LENIENT)
    assert found.vocab.words == list(words)
    assert any(notice.split(".*")[0] in each and notice.split(".*")[-1] in each for each in found.notices)


def test_lenient_reading_needs_a_row(file: Path) -> None:
    with pytest.raises(ArtifactError, match=r"has no line that fits: line 2 .* decimal comma"):
        read(file, b"1 2\na 1,5 2,5\n", LENIENT)
    for content in (b"3 2\n", b"3 2\n\n", b"3 2\nabc \1\2\3"):
        with pytest.raises(ArtifactError, match="the file is truncated"):
            read(file, content, LENIENT)


@pytest.mark.parametrize("options", [STRICT, LENIENT], ids=["strict", "lenient"])
@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\n"])
def test_file_without_a_row_is_refused(file: Path, content: bytes, options: ReadOptions) -> None:
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="holds no vectors"):
        read_vectors(file, "glove", options=options)


def test_words_with_numbers_are_told_if_the_count_is_wrong(file: Path) -> None:
    content = b"3 2\nboeing 747 1 2\na 3 4\n"
    assert read(file, b"2" + content[1:]).notices == []
    with pytest.raises(ArtifactError):
        read(file, content)
    notice = (
        "1 word with a number at the end, such as 'boeing 747' in line 2, because line 1 declares 2 numbers"
    )
    assert notice in read(file, content, LENIENT).notices


@given(contents())
def test_lenient_reading_of_a_sound_file_is_the_same(file: Path, drawn: tuple[bytes, bool]) -> None:
    content, has_header = drawn
    file.write_bytes(content)
    format = "word2vec" if has_header else "glove"
    try:
        strict = read_vectors(file, format)
    except ArtifactError:
        return
    lenient = read_vectors(file, format, options=LENIENT)
    assert strict.vocab.words == lenient.vocab.words and strict.notices == lenient.notices
    assert np.array_equal(strict.matrix_VD, lenient.matrix_VD)


@pytest.mark.parametrize("sizes", [COMPILED, PLAIN], ids=["compiled", "plain"])
def test_load_top_reads_the_first_rows_alone(file: Path, sizes: ReadSizes) -> None:
    rows = b"".join(b"w%d %d 1\n" % (v, v) for v in range(5000))
    for content in (b"5000 2\n" + rows + b"broken", rows + b"broken"):
        file.write_bytes(content)
        found = read_vectors(file, sizes=sizes, options=ReadOptions(load_top=4000))
        assert found.vocab.words == [f"w{v}" for v in range(4000)] and found.notices == []
        assert found.matrix_VD[:, 0].tolist() == list(range(4000))
    for top in (0, -1):
        with pytest.raises(ConfigError, match=rf"load_top: {top} is too small"):
            read_vectors(file, options=ReadOptions(load_top=top))


def test_rows_without_direction_are_noted(file: Path) -> None:
    found = read(file, b"5 2\n\na 1 2\nb nan 1\n\nc 0 0\nd 1e39 1\ne -0 0\n")
    assert found.matrix_VD.tolist() == [[1, 2], [0, 0], [0, 0], [0, 0], [0, 0]]
    assert found.not_finite == ["b", "d"]
    assert found.notices == [
        "2 rows not finite, read as zeros: line 4 ('b'), line 7 ('d')",
        "2 rows of zeros: line 6 ('c'), line 8 ('e')",
    ]
