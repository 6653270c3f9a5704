"""What a language model makes of a text, with the whole softmax: log-probabilities, mean loss, perplexity.

Letters: T time steps, B columns, N predictions, V vocabulary entries.
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
from nlpseq.lm.batches import Columns, Stream, one_column
from nlpseq.lm.device import Precision, autocast
from nlpseq.lm.losses import LOGITS_AT_ONCE
from nlpseq.lm.model import RecurrentLM
from nlpseq.tokenizers.detokenize import detokenize

ROWS = 128  # time steps of several columns read together
TEXT_ROWS = 1024  # of a single one


class Reading(NamedTuple):
    """A stretch of text as the model read it."""

    hidden_TBH: Tensor  # of the last layer
    features_TBD: Tensor
    targets_TB: Tensor


@torch.no_grad()
def read(
    model: RecurrentLM, columns: Columns, precision: Precision = "fp32", rows: int = ROWS
) -> Iterator[Reading]:
    """Read columns to their end, the state carried on; nothing is dropped."""
    device = model.output_bias.device
    state = model.initial_state(len(columns.starts))
    for start in range(0, columns.length, rows):
        window = columns.window(start, min(start + rows, columns.length))
        tokens_TB, targets_TB = (torch.from_numpy(each).to(device) for each in window)
        with autocast(device, precision):
            output = model(tokens_TB, state)
        state = output.state
        yield Reading(output.hidden_TBH, output.features_TBD, targets_TB)


@torch.no_grad()
def log_probs(
    model: RecurrentLM, features_ND: Tensor, targets_N: Tensor, precision: Precision = "fp32"
) -> Tensor:
    """(N,) natural log-probability of each target."""
    rows = max(1, LOGITS_AT_ONCE // model.num_entries)
    blocks = []
    for start in range(0, len(targets_N), rows):
        block = slice(start, start + rows)
        with autocast(features_ND.device, precision):
            logits_NV = model.logits(features_ND[block])
        blocks.append(-F.cross_entropy(logits_NV.float(), targets_N[block], reduction="none"))
    return torch.cat(blocks)


def mean_loss(
    model: RecurrentLM, stream: Stream, num_columns: int, precision: Precision, most_tokens: int
) -> float:
    """Mean log-loss in nats over a text read in several columns at once, each from the zero state on.

    Of a longer text than most_tokens the beginning of each column is read, and the up to num_columns - 1
    tokens left over by the fold never are. Fast, for validation between steps of training; text_log_probs is
    exact.
    """
    columns = Columns(stream, max(1, min(num_columns, len(stream) // ROWS)))
    columns.length = min(columns.length, max(1, most_tokens // len(columns.starts)))
    total, count = 0.0, 0
    for reading in read(model, columns, precision):
        targets_N = reading.targets_TB.flatten()
        total -= float(
            log_probs(model, reading.features_TBD.flatten(0, 1), targets_N, precision).double().sum()
        )
        count += len(targets_N)
    return total / count


def text_log_probs(model: RecurrentLM, stream: Stream) -> npt.NDArray[np.float64]:
    """(N,) natural log-probability of every token of a text and of the <eos> behind each sentence, in order.

    The text is one column, the state carried from its first token to its last, the first one predicted
    from <eos>; every token is predicted once.
    """
    readings = read(model, one_column(stream), rows=TEXT_ROWS)
    pieces = [log_probs(model, each.features_TBD[:, 0], each.targets_TB[:, 0]) for each in readings]
    return torch.cat(pieces).double().cpu().numpy()


class Evaluation(NamedTuple):
    """What a model makes of a text."""

    perplexity: float  # exp of the mean log-loss per token
    bits_per_token: float
    bits_per_character: float  # of the text as detokenize() writes it, a line end for every <eos>
    tokens: int  # predicted: words, <unk> and <eos>
    unk: int  # of them <unk>


def perplexity_of(loss: float) -> float:
    """exp of a mean log-loss in nats, at most exp(700), as a float holds no more than exp(709)."""
    return math.exp(min(loss, 700))  # in this order, in which NaN stays NaN


def judge(model: RecurrentLM, data: TokenDataset) -> Evaluation:
    """Static evaluation of a text, by the protocol of text_log_probs."""
    log_probs_N = text_log_probs(model, Stream(data))
    nats = -float(log_probs_N.sum())
    tokens_of = data.tokens[data.sentences[0] : data.sentences[-1]]
    return Evaluation(
        perplexity=perplexity_of(nats / len(log_probs_N)),
        bits_per_token=nats / math.log(2) / len(log_probs_N),
        bits_per_character=nats / math.log(2) / count_characters(data),
        tokens=len(log_probs_N),
        unk=int((tokens_of == data.vocab.num_words).sum()),
    )


def count_characters(data: TokenDataset) -> int:
    """Characters of the text as detokenize() writes it, with one for every line end."""
    words, config, total = data.vocab.words, data.config, 0
    for start, stop in pairwise(data.sentences.tolist()):
        line = [words[word_id] for word_id in data.tokens[start:stop].tolist()]
        total += len(detokenize(line, config)) + 1
    return total
