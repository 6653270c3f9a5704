"""Counting by spans and blocks of rows gives the matrix of one machine."""

from contextlib import closing

import numpy as np
import pytest
from support.texts import random_corpus

from nlpseq.config import CooccurrenceConfig, TextConfig
from nlpseq.core.tasks import ThreadTasks
from nlpseq.counts.cooccurrence import count_cooccurrences
from nlpseq.dataset.encode import preprocess
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.distributed import counts as by_spans
from nlpseq.reading.corpus import open_corpus


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TokenDataset:
    folder = tmp_path_factory.mktemp("text")
    corpus = open_corpus(random_corpus(folder, num_types=50, num_lines=300))
    return preprocess(corpus, TextConfig(max_vocab=40, valid_share=0.1), folder / "a.tokens")


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    ("span_tokens", "block_tokens"), [(100, 150), (10**6, 10**6), (1000, 10**6), (10**6, 1)]
)
@pytest.mark.parametrize(
    "config",
    [CooccurrenceConfig(window=3, subsample=0), CooccurrenceConfig(weighting="harmonic", subsample=0.01)],
    ids=["flat", "harmonic"],
)
def test_counts_equal_those_of_one_machine(
    data: TokenDataset, config: CooccurrenceConfig, span_tokens: int, block_tokens: int, workers: int
) -> None:
    one = count_cooccurrences(data.split("train"), config, threads=1)
    with closing(ThreadTasks(workers)) as tasks:
        many = by_spans.count_cooccurrences(
            data, config, tasks, span_tokens=span_tokens, block_tokens=block_tokens
        )
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(one.matrix, name), getattr(many.matrix, name), name)
        assert getattr(one.matrix, name).dtype == getattr(many.matrix, name).dtype
    assert one.vocab.digest == many.vocab.digest
    assert many.meta.pop("cluster")["engine"] == "threads"
    assert one.meta == many.meta


def test_cuts_depend_on_the_text_alone() -> None:
    assert by_spans.cut_places(np.array([0, 5, 9, 10, 30, 31]), 10) == [0, 3, 4, 5]
    assert by_spans.cut_places(np.array([0, 5]), 10) == [0, 1]
    assert by_spans.cut_places(np.array([0, 50, 51]), 10) == [0, 1, 2]
