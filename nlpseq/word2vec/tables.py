"""Tables of a word2vec run, made once from the corpus.

Letters: V words.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import Word2VecConfig
from nlpseq.dataset.subsample import HALF, keep_thresholds
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.word2vec.sampling import Tables, alias_table

__all__ = ["make_tables", "pairs_of_words", "resident"]


def make_tables(data: TokenDataset, config: Word2VecConfig, xp: Any) -> Tables:
    """Return the text and the sampling tables of a split, mostly as arrays of xp.

    data: the train split. The bounds of sentences stay in NumPy, and so does a text too large for the device.
    """
    counts_V = data.vocab.without_specials().counts
    return Tables(
        resident(data.tokens, xp),
        data.sentences,
        xp.asarray(keep_thresholds(counts_V, config.subsample)),
        xp.asarray(alias_table(np.maximum(counts_V, 1).astype(np.float64) ** config.smoothing)),
    )


def resident(tokens: npt.NDArray[Any], xp: Any) -> Any:
    """Return the tokens on the device of xp if half of its free memory can hold them, else unchanged.

    Kernels then copy the text part by part.
    """
    if xp is np:
        return tokens
    free, _ = xp.cuda.runtime.memGetInfo()
    return xp.asarray(tokens) if tokens.nbytes <= free // 2 else tokens


def pairs_of_words(data: TokenDataset, config: Word2VecConfig) -> npt.NDArray[np.float64]:
    """Return about how many training pairs contain each word, (V,), per token of the text.

    A word is in a pair as input, target or negative. data: the train split.
    """
    counts_V = data.vocab.without_specials().counts
    kept_V = counts_V / data.num_tokens * (keep_thresholds(counts_V, config.subsample) / 2.0**HALF)
    noise_V = counts_V**config.smoothing
    noise_V *= kept_V.sum() / noise_V.sum()
    pairs_V: npt.NDArray[np.float64] = (1 + config.negatives) * kept_V + config.negatives * noise_V
    return (config.window + 1) * pairs_V
