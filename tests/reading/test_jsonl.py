"""JSON: the compiled scan against the json module, chunks of any size, recognition, skipped records."""

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, strategies as st
from reference.json_records import text_of_lines
from support.texts import read_blocks as read, text_of, write_text

from nlpseq.errors import DataError
from nlpseq.reading.corpus import ReadReport
from nlpseq.reading.jsonl import json_text, sniff_json

KEYS = st.sampled_from(["text", "meta", "본문", "t\n", ""])
TEXTS = st.text(st.sampled_from('ab"\\/\n\r\t\0é한😀\ud800\udc00\x07 {}[]:,')) | KEYS
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
RECORDS = VALUES | TEXTS.map(
    lambda text: {
        "text": text,
        "본문": text,
        "meta": {"n": [text], "text": f"{text}!", "meta": {"t\n": text}},
        "t\n": {"text": "elsewhere"},
    }
)
PATHS = [("text",), ("본문",), ("meta", "text"), ("meta", "meta", "t\n"), ()]


def scanned(text: str, path: tuple[str, ...], size: int, *, is_lines: bool = True) -> bytes:
    """Return the text of all records, cut into chunks of `size` bytes."""
    data = text.encode()
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    pieces = json_text(chunks, path, is_lines=is_lines, end=0, name="the file", report=ReadReport())
    return b"".join(pieces)


def joined(texts) -> bytes:
    return b"".join(text.encode() + b"\0" for text in texts if text is not None)


@given(
    values=st.lists(RECORDS, max_size=4),
    damage=st.tuples(
        st.integers(0, 60), st.sampled_from(["", '"', "\\", "{", "}", "[", ",", ":", "\n", "x"])
    ),
    ascii=st.booleans(),
    size=st.integers(1, 90),
    path=st.sampled_from(PATHS),
)
def test_lines_have_the_text_that_json_finds(values, damage, ascii, size, path):
    place, inserted = damage
    lines = "\n".join(json.dumps(value, ensure_ascii=ascii) for value in values)
    lines = lines.encode("utf-8", "replace").decode()  # files hold no single surrogates outside escapes
    text = '"a record"\n' + lines[:place] + inserted + lines[place:]
    if inserted == "x":  # letters outside strings are not checked
        text = '"a record"\n' + lines
    assert scanned(text, path, size) == joined(text_of_lines(text, path))


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("layout", [{"indent": 2}, {"separators": (",", ":")}])
def test_arrays_have_the_text_of_their_records(layout, size):
    records = [{"id": 1, "meta": {"text": "no"}, "text": "a\nb"}, "plain", {"text": "c" * 200}]
    texts = joined(["a\nb", "plain", "c" * 200])
    assert scanned(json.dumps(records, **layout), ("text",), size, is_lines=False) == texts
    assert scanned(json.dumps(records[0], **layout), ("text",), size, is_lines=False) == joined(["a\nb"])


def test_deep_record_is_skipped():
    for depth, text in ((511, b"t\0end\0"), (512, b"end\0")):  # lists within the object
        line = '{"n": ' + "[" * depth + "]" * depth + ', "text": "t"}\n"end"'
        assert scanned(line, ("text",), 99) == text


def test_text_before_an_error_is_a_document():
    chunks = [b'{"text": "', *[b"word " * 20_000] * 20, b'\n"end"\n']
    pieces = json_text(iter(chunks), ("text",), is_lines=True, end=0, name="a", report=ReadReport())
    assert [len(text) for text in b"".join(pieces).split(b"\0")] == [1_100_000, 3, 0]


def test_key_at_the_end_of_a_chunk_is_no_text():
    chunks = [b'{"text": "' + b"word " * 220_000 + b'", "ke', b'y": 1}\n']
    pieces = json_text(iter(chunks), ("text",), is_lines=True, end=0, name="a", report=ReadReport())
    assert b"".join(pieces) == b"word " * 220_000 + b"\0"


def test_last_of_equal_keys_counts():
    assert scanned('{"text": "a", "text": "b"}', ("text",), 99) == b"b\0"


def test_return_and_newline_of_two_records_are_two_newlines():
    assert scanned('"a\\r"\n"\\nb\\r\\n"', (), 99) == b"a\n\0\nb\n\0"


def test_long_record_takes_little_memory():
    chunks = [b'{"text": "', *[b"some words \\u00e9\\n" * 4000] * 512, b'", "n": [1]}\n"end"']
    tracemalloc.start()
    pieces = json_text(iter(chunks), ("text",), is_lines=True, end=0, name="a", report=ReadReport())
    size = sum(map(len, pieces))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size == 512 * 4000 * len("some words é\n".encode()) + len(b"\0end\0")
    assert peak < 8e6


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"text": "a"}\n', "jsonl"),
        ('{"text": "a"}\n{"text": \n{"text": "b"}\n', "jsonl"),
        ('"a"\n\n"b"\n', "jsonl"),
        ('{"text": "' + "a" * 300, "jsonl"),
        ('[{"text": "a"},\n {"text": "b"}]', "json"),
        ('["a", "b"]', "json"),
        ('{\n  "text": "a"\n}\n', "json"),
        ('{"a": 1} is an object, and {"b": 2}\nis another\nin JSON\n', None),
        ('"Hello," he said.\n"Hello."\n', None),
        ('"Hello."\n', None),
        ("[1] A footnote\n", None),
        ('["a", "b"] is a list\n', None),
        ('["a", "b"]\n["c", "d"]\n', None),
        ('[["a", "b"], ["c", "d"]]', None),
        ("{curly}\n", None),
    ],
)
def test_json_is_recognized_by_content(text, kind):
    assert sniff_json(text.encode(), is_whole=text.count("a") < 300) == kind


# files


def write(folder: Path, content: str, name: str = "a.txt") -> Path:
    return write_text(folder / name, content)


def test_json_is_read_as_the_text_of_its_records(tmp_path):
    report = ReadReport()
    file = write(tmp_path, '\ufeff{"id": 1, "text": "one\\ntwo"}\r\n{"id": 2, "text": "three"}\r\n')
    assert text_of(file, report=report) == "one\ntwo\nthree\n"
    assert report.formats == {"JSON lines, text from text": str(file)}
    assert text_of(file, tokenizer="bpe") == "one\ntwo\nthree\n"
    assert text_of(file, format="text") == file.read_text().removeprefix("\ufeff")
    assert text_of(write(tmp_path, '[{"body": "a"}, {"body": "b"}]')) == "a\nb\n"


def test_column_may_be_a_key_within_a_key(tmp_path):
    file = write(tmp_path, '{"text": "no", "meta": {"body": "yes"}, "a.b": "dot"}\n')
    assert text_of(file, column="meta.body") == "yes\n"
    assert text_of(file, column="a.b") == "dot\n"


def test_unclear_column_is_refused_with_examples(tmp_path):
    file = write(tmp_path, '{"title": "News", "body": "Long", "date": "2024-01-02", "n": 1}\n')
    for column, problem in (("txt", "has no column 'txt'"), (None, "has 2 columns with text")):
        with pytest.raises(DataError, match=rf"a\.txt: {problem}.*--column.*body \('Long'\)"):
            read(file, column=column)
    file = write(tmp_path, '{"stars": 5, "tags": ["a"], "meta": {"body": "b"}}\n')
    for name in ("stars", "tags", "meta"):
        with pytest.raises(
            DataError, match=rf"column '{name}' holds no text\. Name .*: meta\.body \('b'\)\."
        ):
            read(file, column=name)
    assert text_of(write(tmp_path, '{"title": "News", "text": "Long"}\n')) == "Long\n"
    assert text_of(write(tmp_path, '{"headline": "News", "date": "2024-01-02", "n": 1}\n')) == "News\n"


def test_malformed_lines_are_skipped_and_counted(tmp_path):
    report = ReadReport()
    file = write(
        tmp_path, '{"text": "a"}\n{"text": "b\n[1]\n{"text": null}\n{"text": "\\ud800", "n": "\\ude00"}\n'
    )
    assert text_of(file, report=report) == "a\n\ufffd\n"
    notices = "\n".join(report.notices())
    assert f"skipped 2 records without a JSON object or string; the first is {file}, line 2." in notices
    assert f"skipped 1 record without text in text; the first is {file}, line 4." in notices
    assert "1 single surrogate" in notices


def test_json_without_text_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no record with text .2 without a JSON object"):
        read(write(tmp_path, "prose\nand more\n"), format="jsonl")
    with pytest.raises(DataError, match="record 2: is not an object or a string in valid JSON"):
        read(write(tmp_path, '[{"text": "a"}, {"text" "b"}]'), format="json")
    for end in (', {"text": "b', ",\n", ""):
        with pytest.raises(DataError, match="ends inside a JSON record or array"):
            read(write(tmp_path, '[{"text": "a"}' + end))
    with pytest.raises(DataError, match=r"a\.txt: has no column 'body'"):
        read(write(tmp_path, '"a string"\n"another"\n'), column="body")


@pytest.mark.parametrize(
    ("text", "how", "said"),
    [
        ('[["a", "b"], ["c"]]', {"format": "json"}, r"is a JSON array of arrays, .*jq -c '\.\[\]\[\]'"),
        ('["a", "b"]\n["c"]\n', {"format": "jsonl"}, r"is a JSON array on each line, .*jq -c '\.\[\]'"),
        ("[1, 2]", {"format": "json"}, "record 1: is not an object or a string in valid JSON"),
        ('{"data": [{"text": "a"}, {"text": "b"}]}', {}, r"in the list data\. .*jq -c '\.data\[\]'"),
        ('{"data": [{"text": "a"}]}', {"column": "data.text"}, r"in the list data\. .*jq -c '\.data\[\]'"),
        ('{"v": "two", "data": [{"text": "a"}]}', {"column": "data"}, r"in the list data\."),
        ('{"all": {"data": ["one", "two"]}}', {}, r"in the list all\.data\. .*jq -c '\.all\.data\[\]'"),
        ('{"data": [' + '{"text": "a long text"}, ' * 20_000 + '"b"]}', {}, r"line each, as jq -c '\.KEY"),
    ],
)
def test_records_in_lists_are_refused_with_a_way_out(tmp_path, text, how, said):
    with pytest.raises(DataError, match=said):
        read(write(tmp_path, text), **how)


def test_lists_beside_text_are_left_out(tmp_path):
    assert text_of(write(tmp_path, '{"body": "a", "tags": ["b", "c"]}')) == "a\n"
    assert text_of(write(tmp_path, '{"body": "a", "more": [{"n": "b"}]}'), column="body") == "a\n"
    assert text_of(write(tmp_path, '{"text": "a", "more": [{"n": "b"}]}')) == "a\n"


def test_mistyped_column_is_suggested(tmp_path):
    file = write(tmp_path, '{"title": "News", "body": "Long", "n": 1}\n')
    with pytest.raises(
        DataError, match=r"has no column 'bodies'\. Did you mean body\? Name one with --column"
    ):
        read(file, column="bodies")
    with pytest.raises(DataError, match=r"has no column 'stars'\. Name one with --column"):
        read(file, column="stars")


def test_content_of_json_outweighs_the_name(tmp_path):
    assert text_of(write(tmp_path, '[{"text": "a"},\n {"text": "b"}]', "a.jsonl")) == "a\nb\n"
    assert text_of(write(tmp_path, '{"text": "a, b"}\n{"text": "c"}\n', "a.csv")) == "a, b\nc\n"
    assert text_of(write(tmp_path, '"text"\n"one, ""two"""\n"three"\n', "b.csv")) == 'one, "two"\nthree\n'


def test_text_is_found_in_records_longer_than_the_sample(tmp_path):
    words = "word " * 60_000
    file = write(tmp_path, json.dumps({"id": 1, "text": words}) + '\n{"id": 2, "text": "b"}\n')
    assert text_of(file) == text_of(file, column="text") == words + "\nb\n"
    records = [{"body": words[:4_000], "tags": [{"name": "a tag"}]} for _ in range(80)]
    assert text_of(write(tmp_path, json.dumps(records, indent=1))) == (words[:4_000] + "\n") * 80


def test_records_in_a_list_of_a_document_are_not_passed_over(tmp_path):
    file = write(tmp_path, '{"version": "v2", "data": [{"context": "the text"}]}')
    with pytest.raises(DataError, match=r"with records in the list data\. Write each"):
        read(file)
    assert text_of(file, column="version") == "v2\n"
