"""Warnings about corpora that cannot give a result, and silence about others."""

import random
from pathlib import Path

import pytest
from support.texts import write_text

from nlpseq.config import TextConfig
from nlpseq.dataset.diagnostics import diagnose
from nlpseq.dataset.encode import preprocess
from nlpseq.reading.corpus import open_corpus


def notices(folder: Path, lines: list[str], subsample: float = 0.0, **settings: object) -> list[str]:
    corpus = open_corpus(write_text(folder / "corpus.txt", "\n".join(lines) + "\n"))
    config = TextConfig(**settings)  # type: ignore[arg-type]
    return diagnose(preprocess(corpus, config, folder / "corpus.tokens", threads=1), subsample)


def test_counts_of_another_text_give_no_warning(tmp_path: Path) -> None:
    texts = {"train": sentences(50, 300, 8), "short": ["w1 w2", "w3 w4 w5"]}
    first, short = (open_corpus(write_text(tmp_path / name, "\n".join(texts[name]))) for name in texts)
    vocab = preprocess(first, TextConfig(), tmp_path / "train.tokens", threads=1).vocab
    assert diagnose(preprocess(short, TextConfig(), tmp_path / "out", vocab=vocab, threads=1)) == []


def test_words_of_earlier_texts_count(tmp_path: Path) -> None:
    first = preprocess(sentences(600, 1000, 8), path=tmp_path / "first.tokens", min_count=1)
    for settings, warnings in (({"start": first.vocab}, 0), ({}, 1)):
        new = preprocess(
            sentences(600, 300, 8, 4), path=tmp_path / "new.tokens", min_count=1, force=True, **settings
        )
        assert len([each for each in diagnose(new) if "on average" in each]) == warnings


def sentences(words: int, count: int, length: int, seed: int = 3) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(f"w{chance.randrange(words)}" for _ in range(length)) for _ in range(count)]


def test_ordinary_text_gives_no_warning(tmp_path: Path) -> None:
    assert notices(tmp_path, sentences(50, 300, 8), subsample=1e-2, min_count=1) == []


UNSPACED = ["".join(random.Random(n).choices("私は学生です今日天気", k=30)) for n in range(200)]


@pytest.mark.parametrize(
    ("lines", "subsample", "settings", "warnings"),
    [
        (sentences(9, 20, 8), 0, {}, ["160 tokens: too few"]),
        (sentences(900, 300, 8), 0, {"min_count": 1}, ["a word occurs 2."]),
        (
            sentences(900, 300, 8),
            0,
            {"min_count": 7},
            ["<unk>. Use a lower --min-count (it is 7), or more text"],
        ),
        (
            sentences(900, 300, 8),
            0,
            {"min_count": 1, "max_vocab": 99},
            ["<unk>. Use a higher --max-vocab (it is 99), or more text"],
        ),
        (sentences(50, 300, 8), 1e-7, {}, ["--subsample 1e-07 keeps about 5 of 2,400 tokens"]),
        (sentences(9, 3000, 1), 0, {}, ["repeat another", "100% of the sentences are a single token"]),
        (sentences(9, 20, 60) * 20, 0, {}, ["95% of the sentences repeat another"]),
        (UNSPACED, 0, {"min_count": 1}, ["200 tokens: too few"]),
        (UNSPACED, 0, {"tokenizer": "char"}, []),
        ([f"the cat and the dog saw u{n}" for n in range(300)], 0, {"min_count": 2}, []),  # <unk> may differ
        (sentences(900, 300, 8), 0, {"tokenizer": "bpe", "vocab_size": 3000}, ["lower --vocab-size"]),
    ],
)
def test_disappointing_text_gives_a_warning(
    tmp_path: Path, lines: list[str], subsample: float, settings: dict[str, object], warnings: list[str]
) -> None:
    found = notices(tmp_path, lines, subsample, **settings)
    assert len(found) == len(warnings), found
    for wanted in warnings:
        (message,) = (each for each in found if wanted in each)
        assert any(way in message for way in (" Use ", " use ", " Put ", " Remove "))
