"""Sentences: ends at lines, documents or punctuation, in every container and for any size of the pieces."""

import pytest
from support.texts import text_of, write_text

from nlpseq.reading.sentences import end_sentences

RULES = [
    ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
    ("He said “No.” She left (at 3.5 km).\nLater", ["He said “No.”", "She left (at 3.5 km).", "Later"]),
    ("A wrapped\nline. A title\n\nNext", ["A wrapped line.", "A title", "Next"]),
    ("비가 왔다. 그래서… 끝", ["비가 왔다.", "그래서…", "끝"]),
    ("雨だ。「本当？」はい。", ["雨だ。", "「本当？」", "はい。"]),
    ("एक। दो", ["एक।", "दो"]),
    ("one document\0and. another\0", ["one document", "and.", "another"]),
]


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize(("text", "sentences"), RULES)
def test_sentences_end_at_punctuation(text, sentences, size):
    data = text.encode()
    pieces = (data[start : start + size] for start in range(0, len(data), size))
    found = b"".join(end_sentences(pieces, "punctuation")).decode()
    assert [line.strip() for line in found.split("\n") if line.strip()] == sentences


def test_text_without_spaces_takes_little_memory():
    pieces = list(end_sentences(iter([b"x" * 100_000] * 50), "punctuation"))
    assert b"".join(pieces) == b"x" * 5_000_000
    assert max(map(len, pieces)) < 1_200_000


def test_documents_are_records_or_plain_files(tmp_path):
    plain = write_text(tmp_path / "a.txt", "one\ntwo\n")
    records = write_text(tmp_path / "b.jsonl", '{"text": "three\\nfour"}\n{"text": "five"}\n')
    assert text_of(plain, records, sentences="lines") == "one\ntwo\nthree\nfour\nfive\n"
    assert text_of(plain, records, sentences="documents") == "one two three four\nfive\n"
