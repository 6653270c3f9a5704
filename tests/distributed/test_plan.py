"""The plan of a cluster follows from the text and the settings, and holds what a run needs."""

from pathlib import Path

import pytest
from support.texts import write_text
from support.word2vec_runs import encode, sentences

from nlpseq.config import CooccurrenceConfig, LMConfig, TextConfig, Word2VecConfig
from nlpseq.distributed.plan import plan_counts, plan_language_model, plan_text, plan_word2vec
from nlpseq.errors import ConfigError
from nlpseq.reading.corpus import open_corpus


def test_text_is_cut_into_shards(tmp_path: Path) -> None:
    corpus = open_corpus(write_text(tmp_path / "a.txt", "a b c\n" * 10))
    rows = dict(plan_text(corpus, TextConfig()))
    assert rows["text"] == "1 shard of up to 67.1 MB" and rows["words"] == "1 part"
    for settings in ({"phrases": 2}, {"tokenizer": "bpe"}):
        with pytest.raises(ConfigError, match="--cluster: does not work with --"):
            dict(plan_text(corpus, TextConfig(**settings)))  # type: ignore[arg-type]


def test_counts_are_cut_into_spans_and_rows(tmp_path: Path) -> None:
    rows = dict(plan_counts(encode(tmp_path, sentences(100)), CooccurrenceConfig()))
    assert rows["counts"] == "1 span of text x 1 block of rows"


def test_memory_of_word2vec_grows_with_the_segment() -> None:
    def memory(segment: int) -> str:
        config = Word2VecConfig(share_negatives="pair", parts=8, segment=segment, epochs=2)
        rows = dict(plan_word2vec(config, 1_000_000, 10_000_000))
        assert rows["words"] == "8 parts of 125,000 words" and rows["blocks of a segment"].startswith("64")
        return rows["memory for objects, all machines"]

    assert (memory(1_000_000), memory(9_000_000)) == ("about 2.9 GB", "about 4.6 GB")


def test_language_model_sends_weights_and_gradients() -> None:
    rows = dict(plan_language_model(LMConfig(batch_size=20, parts=3), 1_000_000))
    assert rows["batch"] == "3 parts of up to 7 columns"
    assert rows["travels for a step"] == "4.0 MB to each machine, 12.0 MB back"
