"""Log-probabilities of the tokens of single sentences.

Sentences of similar length are read together, one column each:

    sentences      inputs           targets
    a b c          <eos>  <eos>     a      d
    d              a      d         b      <eos>
                   b      .         c      .         . padding at the end, after all predictions
                   c      .         <eos>  .

Letters: T time steps, B sentences, N predictions, D features.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from nlpseq.config import TextConfig
from nlpseq.dataset.vocab import EOS, UNK, Vocab
from nlpseq.lm.evaluate import log_probs, perplexity_of
from nlpseq.lm.model import RecurrentLM

if TYPE_CHECKING:
    from nlpseq.lm.language_model import LanguageModel

__all__ = ["ScoreLimits", "SentenceScore", "score_sentences"]

_SPACES = str.maketrans("\0\n\r", "   ")  # because preprocessing also maps NUL to a space,
_BREAKS = str.maketrans("\n\r", "  ")  # but not for BPE


class ScoreLimits(NamedTuple):
    """The bounds of memory: sentences and tokens read ahead to sort by length, and tokens per pass."""

    buffer_sentences: int = 4096
    buffer_tokens: int = 1 << 19
    pass_tokens: int = 8192  # in all columns, padding included


class SentenceScore(NamedTuple):
    """The score of a sentence that starts from a zero state."""

    text: str  # the input
    tokens: list[str]  # as in the vocabulary, <unk:written> for an unknown token, <eos> last
    log_probs: npt.NDArray[np.float64]  # natural, one per token
    unk: int  # number of unknown tokens

    @property
    def log_prob(self) -> float:
        """Return the natural log-probability of the sentence, <eos> included."""
        return float(self.log_probs.sum())

    @property
    def perplexity(self) -> float:
        """Return exp of the mean log-loss per token, <eos> included."""
        return perplexity_of(-self.log_prob / len(self.tokens))


class _Sentence(NamedTuple):
    text: str
    tokens: list[str]
    ids: list[int]


def score_sentences(
    model: LanguageModel,
    sentences: Iterable[str],
    limits: ScoreLimits = ScoreLimits(),  # noqa: B008  # immutable
) -> Iterator[SentenceScore]:
    """Yield a score per sentence, in order; each sentence starts from a zero state.

    Sentences are tokenized like lines of a corpus; the score of an empty sentence is the score of <eos>.
    Memory is bounded by `limits`, so the number of sentences is not limited.
    """
    config, unk = model.text_config, model.vocab.num_words
    encoded = (_encode(text, config, model.vocab) for text in sentences)
    for buffer in _buffers(encoded, limits):
        scores: list[npt.NDArray[np.float64]] = [np.empty(0)] * len(buffer)
        for batch in _batches([len(each.ids) for each in buffer], limits.pass_tokens):
            found = _batch_log_probs(model.model, [buffer[i].ids for i in batch], limits.pass_tokens)
            for i, log_probs_N in zip(batch, found, strict=True):
                scores[i] = log_probs_N
        for sentence, log_probs_N in zip(buffer, scores, strict=True):
            yield SentenceScore(sentence.text, sentence.tokens, log_probs_N, sentence.ids.count(unk))


def _encode(text: str, config: TextConfig, vocab: Vocab) -> _Sentence:
    spaces = _SPACES if vocab.bpe is None else _BREAKS
    tokens = vocab.tokenize(text.removesuffix("\n").translate(spaces), config)
    ids = vocab.ids_of(tokens)
    shown = [
        f"<unk:{token}>" if word_id == vocab.num_words and token != UNK else token
        for token, word_id in zip(tokens, ids, strict=True)
    ]
    return _Sentence(text, [*shown, EOS], ids)


def _buffers(sentences: Iterable[_Sentence], limits: ScoreLimits) -> Iterator[list[_Sentence]]:
    """Group sentences into buffers of limited size."""
    buffer: list[_Sentence] = []
    num_tokens = 0
    for sentence in sentences:
        buffer.append(sentence)
        num_tokens += len(sentence.tokens)
        if len(buffer) == limits.buffer_sentences or num_tokens >= limits.buffer_tokens:
            yield buffer
            buffer, num_tokens = [], 0
    if buffer:
        yield buffer


def _batches(lengths: Sequence[int], pass_tokens: int) -> Iterator[list[int]]:
    """Yield the numbers of sentences to read together, shortest first.

    A padded batch has at most pass_tokens tokens, except for a single longer sentence.
    """
    batch: list[int] = []
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * (lengths[number] + 1) > pass_tokens:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


@torch.no_grad()
def _batch_log_probs(
    model: RecurrentLM, batch: Sequence[list[int]], pass_tokens: int
) -> list[npt.NDArray[np.float64]]:
    """Return log-probabilities of each sentence and its <eos>; a long sentence takes several passes."""
    eos, device = model.num_entries - 1, model.output_bias.device
    lengths_B = np.array([len(ids) + 1 for ids in batch])
    longest = int(lengths_B.max())
    stream_TB = np.full((1 + longest, len(batch)), eos, np.int64)  # <eos> is also the padding
    for column, ids in enumerate(batch):
        stream_TB[1 : 1 + len(ids), column] = ids
    is_real_TB = np.arange(longest)[:, None] < lengths_B
    stream, is_real = (torch.from_numpy(each).to(device) for each in (stream_TB, is_real_TB))
    state = model.initial_state(len(batch))
    pieces = []
    rows = max(1, pass_tokens // len(batch))
    for start in range(0, longest, rows):
        stop = min(start + rows, longest)
        output = model(stream[start:stop], state)
        state = output.state
        chosen, targets_TB = is_real[start:stop], stream[start + 1 : stop + 1]
        pieces.append(log_probs(model, output.features_TBD[chosen], targets_TB[chosen]))
    found_TB = np.zeros(is_real_TB.shape)
    found_TB[is_real_TB] = torch.cat(pieces).double().cpu().numpy()
    return [found_TB[:length, column].copy() for column, length in enumerate(lengths_B.tolist())]
