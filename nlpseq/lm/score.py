"""How likely sentences are: each on its own, many in one pass.

    <eos>  the   cat   sat           read, from the zero state
     the   cat   sat  <eos>          predicted

Letters: T time steps, B sentences read together, N predictions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlpseq.lm.evaluate import log_probs
from nlpseq.text.tokenize import text_tokens

if TYPE_CHECKING:
    from nlpseq.lm.language_model import LanguageModel

SENTENCES = 4096  # held at a time, so that those of a length can be read together
BATCH_TOKENS = 8192  # read together, padding included
ROWS = 512  # time steps of a long sentence read together


class SentenceScore(NamedTuple):
    """What a model makes of a sentence."""

    text: str
    tokens: list[str]  # as they were written; the closing <eos> is not among them
    log_probs: npt.NDArray[np.float64]  # natural, of each token and then of <eos>
    unk: int  # tokens outside the vocabulary

    @property
    def log_prob(self) -> float:
        return float(self.log_probs.sum())

    @property
    def perplexity(self) -> float:
        return float(np.exp(-self.log_probs.mean()))


def score_sentences(model: LanguageModel, sentences: Iterable[str]) -> Iterator[SentenceScore]:
    """The score of each sentence, in order; its line end, <eos>, is predicted and counted too.

    Every sentence is read from the zero state on. One without tokens has the score of <eos> alone.
    """
    waiting = iter(sentences)
    while group := list(islice(waiting, SENTENCES)):
        tokens = [text_tokens(text, model.text_config) for text in group]
        ids = [_word_ids(model, words) for words in tokens]
        found: dict[int, npt.NDArray[np.float64]] = {}
        for batch in _batches(ids):
            found.update(zip(batch, _read(model, [ids[i] for i in batch]), strict=True))
        for i, text in enumerate(group):
            unk = ids[i].count(model.vocab.num_words)
            yield SentenceScore(text, tokens[i], found[i], unk)


def _word_ids(model: LanguageModel, words: Sequence[str]) -> list[int]:
    vocab = model.vocab
    return [min(vocab.ids.get(word, vocab.num_words), vocab.num_words) for word in words]


def _batches(ids: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Numbers of sentences to read together: of similar length, so that little is padded."""
    batch: list[int] = []
    for i in sorted(range(len(ids)), key=lambda i: len(ids[i])):
        if batch and (len(batch) + 1) * (len(ids[i]) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(i)
    yield batch


@torch.no_grad()
def _read(model: LanguageModel, sentences: Sequence[Sequence[int]]) -> list[npt.NDArray[np.float64]]:
    """Log-probabilities of the tokens of each sentence and of its <eos>."""
    network, eos = model.model, len(model.vocab) - 1
    lengths = [len(sentence) + 1 for sentence in sentences]
    padded_TB = torch.full((max(lengths) + 1, len(sentences)), eos)
    for column, sentence in enumerate(sentences):
        padded_TB[1 : len(sentence) + 1, column] = torch.tensor(sentence, dtype=torch.long)
    padded_TB = padded_TB.to(network.output_bias.device)
    is_real_TB = torch.arange(max(lengths))[:, None] < torch.tensor(lengths)
    found_TB = torch.zeros(is_real_TB.shape, dtype=torch.float64)
    state = network.initial_state(len(sentences))
    for start in range(0, max(lengths), ROWS):
        rows = slice(start, min(start + ROWS, max(lengths)))
        output = network(padded_TB[rows], state)
        state, real = output.state, is_real_TB[rows]
        targets_TB: Tensor = padded_TB[1:][rows]
        found_TB[rows][real] = log_probs(network, output.features_TBD[real], targets_TB[real]).double().cpu()
    return [found_TB[:length, column].numpy() for column, length in enumerate(lengths)]
