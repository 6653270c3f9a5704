"""Turn windows of words into windows of rows, for inputs that are means of rows: subwords, as in fastText.

A word as input is the mean of the rows of its bag (vectors/subwords.py), and CBOW predicts a word from a mean
of rows. So cbow_step of objectives.py trains both objectives on the windows made here:

    cbow       the rows of all contexts predict the center: one mean of all rows
    skipgram   the rows of the center predict a context, for each context

Without subwords, skip-gram has the context as input and the center as target, as in word2vec.c. Here the
center is the input, because a fast kernel then adds up one bag for each window; by the symmetry of windows
both are skip-gram. As in fastText, each row gets the whole gradient of the mean, so that a step moves the
mean as far as the vector of a word without n-grams.

Letters: P pairs of a window and one of its contexts, N rows.
"""

from typing import Any

from nlpseq.vectors.subwords import Bags
from nlpseq.word2vec.sampling import Windows

__all__ = ["cbow_rows", "flatten", "skipgram_rows"]

Array = Any  # a NumPy or CuPy array


def cbow_rows(windows: Windows, bags: Bags, xp: Any) -> Windows:
    """Return the windows with the rows of the contexts in place of the contexts."""
    rows_N, pair_N = flatten(bags, windows.contexts_P, xp)
    return windows._replace(
        contexts_P=rows_N, window_P=windows.window_P[pair_N], slot_P=windows.slot_P[pair_N]
    )


def skipgram_rows(windows: Windows, bags: Bags, xp: Any) -> Windows:
    """Return a window for each pair, in which the rows of the center predict the context."""
    window_P = windows.window_P
    rows_N, pair_N = flatten(bags, windows.centres_B[window_P], xp)
    return Windows(windows.contexts_P, windows.pos_B[window_P], rows_N, pair_N, windows.slot_P[pair_N])


def flatten(bags: Bags, words_P: Array, xp: Any) -> tuple[Array, Array]:
    """Return the rows of all words in one list, (N,), and the index of the word of each row in words_P."""
    first_P, sizes_P = bags.starts_V[words_P], bags.starts_V[words_P + 1] - bags.starts_V[words_P]
    ends_P = xp.cumsum(sizes_P)
    number_N = xp.arange(int(ends_P[-1]) if len(words_P) else 0)
    pair_N = xp.searchsorted(ends_P, number_N, side="right")
    return bags.rows_N[first_P[pair_N] + number_N - (ends_P - sizes_P)[pair_N]], pair_N
