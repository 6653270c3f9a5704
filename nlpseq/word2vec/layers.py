"""Define the layers of word2vec, each with its forward value and its backward function.

    value, backward = layer(inputs...)          backward(gradient of the value) -> gradients of the inputs

The gradient of a weight is stored by row (RowGradient), because a batch uses few rows. xp is the array module
of the arguments, numpy or cupy; no function calls NumPy directly. Any float type works.

Letters: V words, D dimensions, B predictions, P contexts, K negatives, N any number of rows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["RowGradient", "embedding", "embedding_mean", "negative_sampling", "softmax_cross_entropy"]

Array = Any  # a NumPy or CuPy array


class RowGradient(NamedTuple):
    """Gradient of a (V, D) weight: rows_ND[n] belongs to row ids_N[n]; repeated ids add up."""

    ids_N: Array
    rows_ND: Array


def embedding(weight_VD: Array, ids_N: Array) -> tuple[Array, Callable[[Array], RowGradient]]:
    """Return rows of the weight: one_hot(ids) @ weight, without the one-hot matrix."""
    return weight_VD[ids_N], lambda grad_ND: RowGradient(ids_N, grad_ND)


def embedding_mean(
    weight_VD: Array,
    ids_P: Array,
    window_P: Array,
    num_windows: int,
    xp: Any,
    *,
    divide_gradient: bool = True,
) -> tuple[Array, Callable[[Array], RowGradient]]:
    """Return the mean of the context rows of each window, (num_windows, D).

    The gradient of each of C rows is 1/C of the gradient of the mean. word2vec.c does not divide by C, and
    neither does divide_gradient=False.
    """
    sum_BD = xp.zeros((num_windows, weight_VD.shape[1]), weight_VD.dtype)
    xp.add.at(sum_BD, window_P, weight_VD[ids_P])
    size_B = xp.bincount(window_P, minlength=num_windows).astype(weight_VD.dtype)

    def backward(grad_BD: Array) -> RowGradient:
        share_BD = grad_BD / size_B[:, None] if divide_gradient else grad_BD
        return RowGradient(ids_P, share_BD[window_P])

    return sum_BD / size_B[:, None], backward


def negative_sampling(
    h_BD: Array, out_VD: Array, targets_B: Array, negatives_BK: Array, xp: Any
) -> tuple[Array, Callable[[], tuple[Array, RowGradient]]]:
    """Return the loss of each target against its negatives, (B,), in nats.

    Eq. 4 of Mikolov et al. 2013, arXiv:1310.4546:

        -log s(h . out[target]) - sum over k of log s(-h . out[negative_k])        s(x) = 1 / (1 + exp(-x))

    Negatives equal to the target are ignored, as in word2vec.c.
    """
    ids_BJ = xp.concatenate([targets_B[:, None], negatives_BK], axis=1)  # J = 1 + K, the target first
    rows_BJD = out_VD[ids_BJ]
    logits_BJ = (rows_BJD * h_BD[:, None, :]).sum(axis=2)
    label_BJ = xp.zeros_like(logits_BJ)
    label_BJ[:, 0] = 1
    counts_BJ = (ids_BJ != targets_B[:, None]) | (label_BJ == 1)
    sign_BJ = 1 - 2 * label_BJ
    loss_B = (counts_BJ * xp.logaddexp(xp.zeros_like(logits_BJ), sign_BJ * logits_BJ)).sum(axis=1)

    def backward() -> tuple[Array, RowGradient]:
        small_BJ = xp.exp(-xp.abs(logits_BJ))  # so that the sigmoid does not overflow
        sigmoid_BJ = xp.where(logits_BJ >= 0, 1 / (1 + small_BJ), small_BJ / (1 + small_BJ))
        grad_BJ = counts_BJ * (sigmoid_BJ - label_BJ)
        grad_h_BD = (grad_BJ[:, :, None] * rows_BJD).sum(axis=1)
        grad_rows_BJD = grad_BJ[:, :, None] * h_BD[:, None, :]
        return grad_h_BD, RowGradient(ids_BJ.reshape(-1), grad_rows_BJD.reshape(-1, h_BD.shape[1]))

    return loss_B, backward


def softmax_cross_entropy(
    h_BD: Array, out_VD: Array, targets_B: Array, xp: Any
) -> tuple[Array, Callable[[], tuple[Array, RowGradient]]]:
    """Return the loss of each target among all V words, (B,), in nats: the full softmax."""
    logits_BV = h_BD @ out_VD.T
    shifted_BV = logits_BV - logits_BV.max(axis=1, keepdims=True)
    log_sum_B = xp.log(xp.exp(shifted_BV).sum(axis=1))
    row_B = xp.arange(len(targets_B))

    def backward() -> tuple[Array, RowGradient]:
        grad_BV = xp.exp(shifted_BV - log_sum_B[:, None])
        grad_BV[row_B, targets_B] -= 1
        return grad_BV @ out_VD, RowGradient(xp.arange(len(out_VD)), grad_BV.T @ h_BD)

    return log_sum_B - shifted_BV[row_B, targets_B], backward
