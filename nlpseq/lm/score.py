"""What a language model makes of sentences, each by itself: the log-probability of every token.

Sentences of about the same length are read together, one column each:

    sentences      read             predicted
    a b c          <eos>  <eos>     a      d
    d              a      d         b      <eos>
                   b      .         c      .         . padding: it comes last, so nothing depends on it
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
from nlpseq.dataset.vocab import EOS, Vocab
from nlpseq.lm.evaluate import log_probs, perplexity_of
from nlpseq.lm.model import RecurrentLM
from nlpseq.tokenizers.base import normalize_and_tokenize

if TYPE_CHECKING:
    from nlpseq.lm.language_model import LanguageModel

SENTENCES_AHEAD = 4096  # read before the first of them is answered, so that like lengths come together,
TOKENS_AHEAD = 1 << 19  # or fewer where they are long
TOKENS_AT_ONCE = 8192  # of all columns of a pass: what bounds its memory

_SPACES = str.maketrans("\0\n\r", "   ")  # a corpus has a space for NUL too


class SentenceScore(NamedTuple):
    """What a model makes of a sentence that begins from nothing."""

    text: str  # as it was given
    tokens: list[str]  # as in the vocabulary, an unknown one as <unk:written>, <eos> last
    log_probs: npt.NDArray[np.float64]  # natural, of each token
    unk: int  # tokens that are unknown

    @property
    def log_prob(self) -> float:
        """Natural log-probability of the whole sentence, that it ends there included."""
        return float(self.log_probs.sum())

    @property
    def perplexity(self) -> float:
        """Exp of the mean log-loss per token, <eos> counted."""
        return perplexity_of(-self.log_prob / len(self.tokens))


class _Sentence(NamedTuple):
    text: str
    tokens: list[str]
    ids: list[int]


def score_sentences(model: LanguageModel, sentences: Iterable[str]) -> Iterator[SentenceScore]:
    """A score for each sentence, in order; the network begins each of them from the zero state.

    Sentences become tokens as the lines of a corpus do; one without any is scored for its <eos> alone. A few
    thousand sentences are read ahead and nothing is kept, so there may be any number of them.
    """
    config, unk = model.text_config, model.vocab.num_words
    encoded = (_encode(text, config, model.vocab) for text in sentences)
    for buffer in _buffers(encoded):
        found = _log_probs(model.model, [sentence.ids for sentence in buffer])
        for sentence, log_probs_N in zip(buffer, found, strict=True):
            yield SentenceScore(sentence.text, sentence.tokens, log_probs_N, sentence.ids.count(unk))


def _encode(text: str, config: TextConfig, vocab: Vocab) -> _Sentence:
    tokens = normalize_and_tokenize(text.removesuffix("\n").translate(_SPACES), config)
    ids = vocab.ids_of(tokens)
    shown = [
        f"<unk:{token}>" if word_id == vocab.num_words else token
        for token, word_id in zip(tokens, ids, strict=True)
    ]
    return _Sentence(text, [*shown, EOS], ids)


def _buffers(sentences: Iterable[_Sentence]) -> Iterator[list[_Sentence]]:
    """As many sentences at a time as are read ahead."""
    buffer: list[_Sentence] = []
    num_tokens = 0
    for sentence in sentences:
        buffer.append(sentence)
        num_tokens += len(sentence.tokens)
        if len(buffer) == SENTENCES_AHEAD or num_tokens >= TOKENS_AHEAD:
            yield buffer
            buffer, num_tokens = [], 0
    if buffer:
        yield buffer


def _log_probs(model: RecurrentLM, sentences: Sequence[list[int]]) -> list[npt.NDArray[np.float64]]:
    """Log-probabilities of the tokens of each sentence and of its <eos>, in the order of the sentences."""
    found: list[npt.NDArray[np.float64]] = [np.empty(0)] * len(sentences)
    for batch in _batches([len(ids) for ids in sentences]):
        values = _batch_log_probs(model, [sentences[place] for place in batch])
        for place, log_probs_N in zip(batch, values, strict=True):
            found[place] = log_probs_N
    return found


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of sentences to read together, shortest first; padded, a batch fits into one pass.

    Only a sentence that is too long for a pass by itself does not.
    """
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * (lengths[place] + 1) > TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


@torch.no_grad()
def _batch_log_probs(model: RecurrentLM, batch: Sequence[list[int]]) -> list[npt.NDArray[np.float64]]:
    """The same for sentences read in one pass, or a long one in several, the state carried on."""
    lengths_B = np.array([len(ids) + 1 for ids in batch])
    stream_TB, is_real_TB = _columns(batch, lengths_B, eos=model.num_entries - 1)
    device = model.output_bias.device
    stream, is_real = (torch.from_numpy(each).to(device) for each in (stream_TB, is_real_TB))
    state = model.initial_state(len(batch))
    pieces = []
    rows = max(1, TOKENS_AT_ONCE // len(batch))
    for start in range(0, len(is_real), rows):
        stop = min(start + rows, len(is_real))
        output = model(stream[start:stop], state)
        state = output.state
        chosen, targets_TB = is_real[start:stop], stream[start + 1 : stop + 1]
        pieces.append(log_probs(model, output.features_TBD[chosen], targets_TB[chosen]))
    found_TB = np.zeros(is_real_TB.shape)
    found_TB[is_real_TB] = torch.cat(pieces).double().cpu().numpy()
    return [found_TB[:length, column].copy() for column, length in enumerate(lengths_B.tolist())]


def _columns(
    batch: Sequence[list[int]], lengths_B: npt.NDArray[np.int64], eos: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(1 + T, B) sentences between <eos>, padded with it; (T, B) where there is something to predict."""
    longest = int(lengths_B.max())
    stream_TB = np.full((1 + longest, len(batch)), eos, np.int64)
    for column, ids in enumerate(batch):
        stream_TB[1 : 1 + len(ids), column] = ids
    return stream_TB, np.arange(longest)[:, None] < lengths_B
