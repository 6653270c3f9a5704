"""Run one step of CBOW or skip-gram on a batch of windows: the specification of every fast kernel.

A step computes loss and gradients of all windows of the batch from the same weights, then descends. With one
window per batch the steps equal the steps of the fused kernels.

Letters: V words, D dimensions, B windows, P pairs of a window and one of its contexts, K negatives.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from nlpseq.word2vec.layers import (
    RowGradient,
    embedding,
    embedding_mean,
    negative_sampling,
    softmax_cross_entropy,
)
from nlpseq.word2vec.sampling import Frozen, Windows

__all__ = ["Weights", "cbow_step", "skipgram_step"]

Array = Any  # a NumPy or CuPy array


class Weights(NamedTuple):
    """The two embedding layers: rows of words as input (context) and as output (target).

    With subwords (subwords.py), in_VD has rows of n-grams after the rows of words.
    """

    in_VD: Array
    out_VD: Array


def skipgram_step(
    weights: Weights,
    windows: Windows,
    negatives_PK: Array | None,
    learning_rate: float,
    xp: Any,
    frozen: Frozen | None = None,
) -> Array:
    """Run a step in which each context predicts its center. Return the loss of each pair in nats, (P,).

    As in word2vec.c, the context is the input and the center the target; by the symmetry of windows the
    result equals skip-gram. Pairs of a window that share negatives have equal rows in negatives_PK. Without
    negatives the loss is the full softmax. frozen: see Tables.
    """
    hidden = embedding(weights.in_VD, windows.contexts_P)
    targets_P = windows.centres_B[windows.window_P]
    return _descend(weights, hidden, targets_P, negatives_PK, learning_rate, xp, frozen)


def cbow_step(
    weights: Weights,
    windows: Windows,
    negatives_BK: Array | None,
    learning_rate: float,
    xp: Any,
    frozen: Frozen | None = None,
    *,
    corrected: bool,
) -> Array:
    """Run a step in which the mean of the contexts predicts the center.

    Return the loss of each window in nats, (B,).
    """
    hidden = embedding_mean(
        weights.in_VD,
        windows.contexts_P,
        windows.window_P,
        len(windows.centres_B),
        xp,
        divide_gradient=corrected,
    )
    return _descend(weights, hidden, windows.centres_B, negatives_BK, learning_rate, xp, frozen)


def _descend(
    weights: Weights,
    hidden: tuple[Array, Callable[[Array], RowGradient]],
    targets_B: Array,
    negatives_BK: Array | None,
    learning_rate: float,
    xp: Any,
    frozen: Frozen | None,
) -> Array:
    """Predict the targets from the hidden layer, and descend along all gradients. Return the losses, (B,)."""
    h_BD, hidden_backward = hidden
    if negatives_BK is None:
        loss_B, backward = softmax_cross_entropy(h_BD, weights.out_VD, targets_B, xp)
    else:
        loss_B, backward = negative_sampling(h_BD, weights.out_VD, targets_B, negatives_BK, xp)
    grad_h_BD, grad_out = backward()
    grad_in = hidden_backward(grad_h_BD)
    if frozen is not None:
        grad_in, grad_out = _without(grad_in, frozen.in_V), _without(grad_out, frozen.out_V)
    for weight_VD, grad in zip(weights, (grad_in, grad_out), strict=True):
        xp.add.at(weight_VD, grad.ids_N, weight_VD.dtype.type(-learning_rate) * grad.rows_ND)
    return loss_B


def _without(grad: RowGradient, frozen_V: Array) -> RowGradient:
    """Return a gradient without frozen rows."""
    is_free_N = ~frozen_V[grad.ids_N]
    return RowGradient(grad.ids_N[is_free_N], grad.rows_ND[is_free_N])
