"""The last step of encoding with byte-level BPE: pre-tokens under provisional ids to tokens under final ids.

    counted pre-tokens ──> merges ──> ids of each distinct pre-token ──> ids of the text

Letters: T distinct pre-tokens.
"""

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.provisional_ids import ProvisionalText
from nlpseq.dataset.token_dataset import TOKENS, token_dtype
from nlpseq.dataset.vocab import SPECIALS, Vocab
from nlpseq.tokenizers.bpe import BPE, MAX_TRAIN_BYTES, train_bpe

__all__ = ["write_subwords"]


def write_subwords(
    text: ProvisionalText, vocab: Vocab | None, bpe: BPE | None, vocab_size: int, train_end: int
) -> tuple[Vocab, str]:
    """Write tokens.npy; return the vocabulary and the sha256 of the file.

    vocab: of a model. bpe: its tokenizer, or the tokenizer of a file; by default one is trained on the first
    train_end sentences. A new vocabulary has the tokens in order of id, and their counts in these sentences.
    """
    num_sentences = len(text.sentences) - 1
    counts_T = text.count(train_end)
    all_counts_T = counts_T if train_end == num_sentences else text.count(num_sentences)
    bpe = bpe or _train(text, counts_T, vocab_size)
    parts = [bpe.cut_types(lines) for lines in text.type_lines()]
    num_entries = len(bpe.tokens) + len(SPECIALS)
    ids = np.concatenate([ids for ids, _ in parts]).astype(token_dtype(num_entries))
    lengths_T = np.concatenate([np.diff(bounds, prepend=0) for _, bounds in parts])
    starts_T = np.append(0, np.cumsum(lengths_T))
    if vocab is None:
        from nlpseq.tokenizers.bpe_numba import count_ids

        counts = np.append(count_ids(ids, starts_T, counts_T, len(bpe.tokens)), [0, train_end])
        vocab = Vocab([*bpe.tokens, *SPECIALS], counts, len(SPECIALS), bpe)
    return vocab, text.expand(TOKENS, ids, starts_T, all_counts_T)


def _train(text: ProvisionalText, counts_T: npt.NDArray[np.int64], vocab_size: int) -> BPE:
    """Train on the most frequent pre-tokens, as many as MAX_TRAIN_BYTES hold."""
    order = np.argsort(-counts_T, kind="stable")
    fits = np.cumsum(text.type_bytes()[order]) <= MAX_TRAIN_BYTES
    chosen_T = np.zeros(len(counts_T), np.bool_)
    chosen_T[order[fits]] = True
    chosen_T &= counts_T > 0
    types = [each for _, _, types in text.type_chunks(chosen_T) for each in types]
    return train_bpe(b"\n".join([*types, b""]), counts_T[chosen_T], vocab_size)
