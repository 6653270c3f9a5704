"""Figures of an encoded corpus, counted by hand on small texts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.texts import write_text

from nlpseq.dataset.encode import preprocess
from nlpseq.dataset.report import CorpusReport, report_corpus, zipf_line
from nlpseq.errors import DataError

TEXT = "The cat saw the dog.\nthe 개 ran\n\n왕 cat\n"  # 10 tokens, 7 types


def report_of(path: Path, text: str | bytes = TEXT, **settings: Any) -> CorpusReport:
    write_text(path, text)
    return report_corpus(preprocess(path, path=path.with_suffix(".tokens"), threads=1, **settings))


def test_report_counts_sentences_tokens_and_types(tmp_path: Path) -> None:
    found = report_of(tmp_path / "a.txt", min_count=2)
    assert (found.sentences, found.tokens, found.tokens_per_sentence) == (3, 10, 10 / 3)
    assert (found.vocabulary, found.types, found.unk_share) == (2, 7, 0.5)
    assert found.most_frequent == ["the", "cat"]
    assert found.scripts == {"Latin": 1.0}
    assert found.rows() == [
        ("corpus", f"{tmp_path}/a.txt: 3 sentences, 10 tokens; 3.3 tokens a sentence"),
        ("vocabulary", "2 words; 7 types in the text, 50.00% of the text <unk>"),
        ("scripts", "Latin 100.0%"),
        ("most frequent", "the cat"),
    ]


def test_report_weights_scripts_by_occurrence(tmp_path: Path) -> None:
    found = report_of(tmp_path / "a.txt", min_count=1)
    letters = 3 * 3 + 2 * 3 + 3 * 3  # the, cat, and saw, dog, ran
    assert found.scripts == {"Latin": letters / (letters + 2), "Hangul": 2 / (letters + 2)}
    assert ("scripts", "Latin 92.3%, Hangul 7.7%") in found.rows()
    assert "scripts" not in dict(report_of(tmp_path / "b.txt", "1 2 2\n", min_count=1).rows())


def test_report_is_of_the_train_split(tmp_path: Path) -> None:
    text = "a a b c\n" * 6 + "d e f g\n" * 4
    found = report_of(tmp_path / "a.txt", text, min_count=1, valid_share=0.2, test_share=0.2)
    assert (found.tokens, found.types, found.unk_share) == (40, 3, 0.0)
    assert ("splits", "train 6 sentences, valid 2 sentences, test 2 sentences") in found.rows()
    assert "3 types in the train split, 0.00% of the train split <unk>" in dict(found.rows())["vocabulary"]


def test_report_lists_skipped_records_and_invalid_bytes(tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"some words number {n}"}).encode() for n in range(60)]
    lines += [b'{"title": "x"}', b"{}", b"broken", b'{"text": "b\xff\xfed"}']
    found = report_of(tmp_path / "a.jsonl", b"\n".join(lines), min_count=1)
    reasons = {"without text in text": 2, "without a JSON object or string": 1}
    assert (found.sentences, found.skipped, found.invalid_bytes) == (61, reasons, 2)
    rows = dict(found.rows())
    assert "skipped" not in rows, "the notices say it"
    assert rows["replaced"] == "2 invalid bytes, by U+FFFD"


def test_report_shows_bpe_tokens_as_text(tmp_path: Path) -> None:
    text = "왕 왕 왕 왕\n" * 9 + "\x01\n" * 40 + "\xe9"
    found = report_of(tmp_path / "a.txt", text.encode(), tokenizer="bpe", vocab_size=260)
    assert found.most_frequent == ["\x01", "▁왕", "왕", "©", "Ã"]  # é is two tokens
    assert (found.types, found.vocabulary, found.unk_share) == (5, 259, 0.0)
    assert found.scripts == {"Hangul": 1.0}
    assert "259 subword tokens; 5 types in the text" in dict(found.rows())["vocabulary"]


def test_report_shortens_words_and_quotes_spaces(tmp_path: Path) -> None:
    assert (
        dict(report_of(tmp_path / "a.txt", "x" * 99, min_count=1).rows())["most frequent"] == "x" * 24 + "..."
    )
    found = report_of(tmp_path / "b.txt", "a b\n", tokenizer="char", min_count=1)
    assert dict(found.rows())["most frequent"] == "' ' a b"
    assert found.entries == "character"


def test_report_counts_text_with_another_vocabulary(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", TEXT)
    vocab = preprocess(tmp_path / "a.txt", path=tmp_path / "a.tokens", min_count=1, threads=1).vocab
    write_text(tmp_path / "b.txt", "cat dog dog new newer\n")
    data = preprocess(tmp_path / "b.txt", path=tmp_path / "b.tokens", vocab=vocab, threads=1)
    found = report_corpus(data)
    assert (found.most_frequent, found.types, found.unk_share) == (["dog", "cat"], 4, 0.4)
    assert data.word_counts.sum() == 3


def test_zipf_line_has_slope_of_power_law() -> None:
    line = zipf_line(np.array([0, 12, 60, 20, 15, 30, 10, 0]))
    assert (line.ranks_R.tolist(), line.counts_R.tolist()) == ([1, 2, 3, 4, 5, 6], [60, 30, 20, 15, 12, 10])
    np.testing.assert_allclose([line.slope, line.top], [-1, 60])
    many = zipf_line(10**9 // np.arange(1, 10**5))
    assert len(many.ranks_R) <= 1000 and many.ranks_R[-1] == 10**5 - 1
    np.testing.assert_allclose(many.slope, -1, atol=1e-3)
    assert zipf_line(np.array([7])).slope == 0
    with pytest.raises(DataError, match="has no word of its vocabulary"):
        zipf_line(np.zeros(3, np.int64))
