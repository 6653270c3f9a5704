"""Evaluation of a language model with the full softmax: log-probabilities, mean loss, perplexity.

Letters: T time steps, B columns, N predictions, V vocabulary entries, D features, H hidden units.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import UNK
from nlpseq.lm.batches import Columns, Stream
from nlpseq.lm.device import Precision
from nlpseq.lm.losses import MAX_LOGITS
from nlpseq.lm.model import RecurrentLM
from nlpseq.tokenizers.detokenize import detokenize

__all__ = ["TEXT_ROWS", "Evaluation", "Perplexities", "Reading", "count_characters", "evaluate", "log_probs"]
__all__ += ["mean_loss", "perplexities", "perplexity_of", "read", "spread_unknown", "text_log_probs"]

Floats = npt.NDArray[np.float64]

ROWS = 128  # time steps per pass over several columns
TEXT_ROWS = 1024  # time steps per pass over a single column


class Reading(NamedTuple):
    """The outputs of the model for some rows of a text."""

    hidden_TBH: Tensor  # of the last layer
    features_TBD: Tensor  # input of the softmax
    targets_TB: Tensor


@torch.no_grad()
def read(model: RecurrentLM, columns: Columns, rows: int = ROWS) -> Iterator[Reading]:
    """Read columns to the end, `rows` time steps per pass, carrying the state, without dropout."""
    device = model.output_bias.device
    state = model.initial_state(len(columns.starts))
    for start in range(0, columns.length, rows):
        window = columns.window(start, min(start + rows, columns.length))
        tokens_TB, targets_TB = (torch.from_numpy(each).to(device) for each in window)
        output = model(tokens_TB, state)
        state = output.state
        yield Reading(output.hidden_TBH, output.features_TBD, targets_TB)


@torch.no_grad()
def log_probs(
    model: RecurrentLM, features_ND: Tensor, targets_N: Tensor, max_logits: int = MAX_LOGITS
) -> Tensor:
    """Return (N,) natural log-probabilities of the targets, computed in blocks of up to max_logits."""
    rows = max(1, max_logits // model.num_entries)
    blocks = []
    for start in range(0, len(targets_N), rows):
        block = slice(start, start + rows)
        logits_NV = model.logits(features_ND[block])
        blocks.append(-F.cross_entropy(logits_NV.float(), targets_N[block], reduction="none"))
    return torch.cat(blocks)


def mean_loss(
    model: RecurrentLM,
    stream: Stream,
    num_columns: int,
    precision: Precision,
    max_tokens: int,
    rows: int = ROWS,
) -> float:
    """Return the mean log-loss in nats, approximately: several columns, each from a zero state.

    Fast, for validation during training; text_log_probs is exact. Columns have at least `rows` rows. Skipped
    are the end of each column of a text longer than max_tokens, and up to num_columns - 1 last tokens.
    """
    columns = Columns(stream, max(1, min(num_columns, len(stream) // rows)))
    columns.length = min(columns.length, max(1, max_tokens // len(columns.starts)))
    total, count = 0.0, 0
    with torch.autocast(model.output_bias.device.type, torch.bfloat16, enabled=precision == "bf16"):
        for reading in read(model, columns, rows):
            features_ND, targets_N = reading.features_TBD.flatten(0, 1), reading.targets_TB.flatten()
            total -= float(log_probs(model, features_ND, targets_N).double().sum())
            count += len(targets_N)
    return total / count


def text_log_probs(
    model: RecurrentLM, stream: Stream, rows: int = TEXT_ROWS, max_logits: int = MAX_LOGITS
) -> npt.NDArray[np.float64]:
    """Return (N,) natural log-probabilities of all tokens, <eos> included, in order.

    The text is one column: the state is carried from the first token, predicted from <eos>, to the last.
    Raises DataError if the text is empty.
    """
    pieces = [
        log_probs(model, each.features_TBD[:, 0], each.targets_TB[:, 0], max_logits=max_logits)
        for each in read(model, Columns(stream), rows=rows)
    ]
    return torch.cat(pieces).double().cpu().numpy()


class Perplexities(NamedTuple):
    """The perplexity of a text, and two variants without the advantage of unknown words."""

    all: float  # <unk> is one entry
    known: float  # of the tokens but <unk>
    spread: float | None  # see spread_unknown


class Evaluation(NamedTuple):
    """The figures of a model on a text.

    None: the encoded corpus is of an older version, which did not store the text behind <unk>.
    """

    perplexity: Perplexities
    bits_per_token: float
    bits_per_character: float | None  # of the detokenized text, with a line end for each <eos>
    spread_bits_per_character: float | None
    tokens: int  # predictions: words, <unk> and <eos>
    unk: int  # predictions of <unk>
    unk_types: int | None  # types of the text that are <unk>


def perplexity_of(loss: float) -> float:
    """Return exp of a mean log-loss in nats, at most exp(700), because floats end at exp(709)."""
    return math.exp(min(loss, 700))  # in this order, because NaN must stay NaN


def evaluate(model: RecurrentLM, data: TokenDataset) -> Evaluation:
    """Evaluate a text without adaptation (static), by the protocol of text_log_probs."""
    log_probs_N = text_log_probs(model, Stream(data))
    spread_N, characters = spread_unknown(log_probs_N, data), count_characters(data)
    bits = -float(log_probs_N.sum()) / math.log(2)
    spread_bits = None if spread_N is None else -float(spread_N.sum()) / math.log(2)
    return Evaluation(
        perplexity=perplexities(log_probs_N, data),
        bits_per_token=bits / len(log_probs_N),
        bits_per_character=bits / characters if characters else None,
        spread_bits_per_character=spread_bits / characters if spread_bits and characters else None,
        tokens=len(log_probs_N),
        unk=int(_is_unknown(data).sum()),
        unk_types=data.unknown.types if data.unknown else None,
    )


def perplexities(log_probs_N: Floats, data: TokenDataset) -> Perplexities:
    """Return the perplexities of a text from the natural log-probabilities of its tokens, (N,)."""
    spread_N = spread_unknown(log_probs_N, data)
    return Perplexities(
        all=perplexity_of(-float(log_probs_N.mean())),
        known=perplexity_of(-float(log_probs_N[~_is_unknown(data)].mean())),
        spread=None if spread_N is None else perplexity_of(-float(spread_N.mean())),
    )


def spread_unknown(log_probs_N: Floats, data: TokenDataset) -> Floats | None:
    """Divide each probability of <unk> equally among the unknown types, (N,).

    None: their number is not stored. The perplexity of the result is the adjusted perplexity of Ueberla 1994
    (Computer Speech and Language 8(2)), or unknown-penalized perplexity (Ahn et al. 2016, arXiv:1608.00318).
    """
    is_unknown_N = _is_unknown(data)
    if not is_unknown_N.any():
        return log_probs_N
    return None if data.unknown is None else log_probs_N - is_unknown_N * math.log(data.unknown.types)


def _is_unknown(data: TokenDataset) -> npt.NDArray[np.bool_]:
    """Mark the predictions of <unk>, (N,)."""
    stream = Stream(data)
    return np.equal(stream.read(0, len(stream)), data.vocab.num_words)


def count_characters(data: TokenDataset) -> int | None:
    """Return the number of characters of the detokenized text, line ends included.

    <unk> counts as the text behind it, with the white space of <unk>; None if the text is not stored.
    """
    words, config, total = data.vocab.words, data.config, 0
    for start, stop in pairwise(data.sentences.tolist()):
        line = [words[word_id] for word_id in data.tokens[start:stop].tolist()]
        total += len(detokenize(line, config, data.vocab.bpe)) + 1
    unk = int(_is_unknown(data).sum())
    if not unk:
        return total
    return None if data.unknown is None else total - unk * len(UNK) + data.unknown.characters
