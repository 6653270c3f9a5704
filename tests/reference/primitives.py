"""Compute the parts of a step in plain NumPy, with the signatures of kernels/primitives_numba.py."""

from typing import Any

import numpy as np

from nlpseq.word2vec.kernels.primitives_numba import MASKED_LOGIT
from nlpseq.word2vec.kernels.select import LANES


def mask_logits(logits_N: Any, num_inputs: int, stride: int, output_J: Any, K: int, J: int) -> None:
    """Mask negatives equal to the target, padded outputs, and padded inputs."""
    logits_JC = logits_N[: J * stride].reshape(J, stride)
    logits_JC[:, num_inputs:] = MASKED_LOGIT
    logits_JC[1:][output_J[1:] == output_J[0]] = MASKED_LOGIT
    logits_JC[K + 1 :] = MASKED_LOGIT
    logits_N[J * stride : J * stride + LANES] = MASKED_LOGIT


def sigmoid_steps(
    logits_N: Any, targets: int, size: int, learning_rate: float, product: float
) -> tuple[float, float]:
    """Replace each logit by its step; return (loss, product) with the whole loss in the first, in float64."""
    logits = logits_N[:size].astype(np.float64)
    rate_N = np.where(np.arange(size) < targets, learning_rate, -learning_rate)
    logits_N[:size] = rate_N / (1 + np.exp(logits))
    return float(np.logaddexp(0, -logits).sum()), product


def gather_mean(weight_VD: Any, ids_N: Any, num: int, mean_D: Any, D: int) -> None:
    """Fill mean_D with the mean of the rows ids_N[:num]."""
    mean_D[:] = weight_VD[ids_N[:num], :D].mean(axis=0)


def scatter_add(row_D: Any, share: float, ids_N: Any, num: int, weight_VD: Any, D: int) -> None:
    """Add share * row_D to the rows ids_N[:num]."""
    np.add.at(weight_VD, ids_N[:num], share * row_D[:D])


def scatter_add_unless(
    row_D: Any, share: float, ids_N: Any, num: int, weight_VD: Any, frozen_V: Any, D: int
) -> None:
    """Add share * row_D to the rows ids_N[:num] that are not frozen."""
    free_N = ids_N[:num][~frozen_V[ids_N[:num]]]
    np.add.at(weight_VD, free_N, share * row_D[:D])


def input_gradient(g_N: Any, y_VD: Any, y_ids: Any, dx_D: Any, D: int, J: int) -> None:
    """Fill dx_D with the sum of g_j y_j."""
    dx_D[:] = g_N[:J] @ y_VD[y_ids[:J], :D]


def logits_of_one(x_D: Any, y_VD: Any, y_ids: Any, logits_N: Any, D: int, J: int) -> None:
    """Fill logits_N with x.y of the target and -x.y of the negatives."""
    sign_J = np.where(np.arange(J) == 0, 1, -1)
    logits_N[:J] = sign_J * (y_VD[y_ids[:J], :D] @ x_D[:D])


def merge_outputs(output_J: Any, y_J: Any, g_N: Any, stride: int, spare: int, K: int, J: int) -> None:
    """Merge repeated outputs into the first one; point repeated and masked outputs to the spare row."""
    g_JC = g_N[: J * stride].reshape(J, stride)
    first = {int(output_J[0]): 0}
    for j in range(1, J):
        word = int(output_J[j])
        if j > K or word == output_J[0]:
            y_J[j] = spare
        elif word in first:
            y_J[j] = spare
            g_JC[first[word]] += g_JC[j]
            g_JC[j] = 0
        else:
            first[word] = j


def merge_contexts(context_C: Any, x_C: Any, num: int, g_N: Any, stride: int, J: int) -> int:
    """Merge repeated contexts into the first one; return how many contexts remain.

    The kernel moves the last context to the place of a removed one, so compare contexts as a set.
    """
    g_JC = g_N[: J * stride].reshape(J, stride)
    words = list(dict.fromkeys(context_C[:num].tolist()))
    rows = dict(zip(context_C[:num].tolist(), x_C[:num].tolist(), strict=True))
    merged_JC = np.stack([g_JC[:, :num][:, context_C[:num] == word].sum(axis=1) for word in words], axis=1)
    g_JC[:, : len(words)] = merged_JC
    context_C[: len(words)] = words
    x_C[: len(words)] = [rows[word] for word in words]
    return len(words)


def add_rows(weight_RD: Any, rows_N: Any, start: int, stop: int, sum_D: Any, D: int) -> None:
    """Add the rows rows_N[start:stop] to sum_D."""
    for row in rows_N[start:stop]:
        sum_D[:] += weight_RD[row, :D]
