"""The last step of encoding with byte-level BPE: pre-tokens under provisional ids to tokens under final ids.

    counted pre-tokens ──> merges ──> ids of each distinct pre-token ──> ids of the text

Letters: T distinct pre-tokens.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.dataset.parallel import submit_ahead
from nlpseq.dataset.provisional_ids import ProvisionalText
from nlpseq.dataset.token_dataset import TOKENS, VOCAB, token_dtype
from nlpseq.dataset.vocab import SPECIALS, Vocab
from nlpseq.storage import artifact
from nlpseq.tokenizers.bpe import BPE, MAX_TRAIN_BYTES, train_bpe

__all__ = ["write_subwords"]


def write_subwords(
    folder: artifact.Folder,
    text: ProvisionalText,
    config: TextConfig,
    existing: Vocab | BPE | None,
    train_end: int,
    threads: int,
    start: Vocab | None = None,
) -> Vocab:
    """Write tokens.npy, vocab.tsv and tokenizer.json; return the vocabulary.

    existing: the vocabulary of a model, or a tokenizer; by default one is trained on the first train_end
    sentences. A new vocabulary has the tokens in order of id, and their counts in these sentences, added to
    the counts of `start`, which has the same tokens.
    """
    num_sentences = len(text.sentences) - 1
    counts_T = text.count(train_end)
    all_counts_T = counts_T if train_end == num_sentences else text.count(num_sentences)
    bpe = existing.bpe if isinstance(existing, Vocab) else existing
    bpe = bpe or _train(text, counts_T, config.vocab_size)
    ids, starts_T = _cut_types(text, bpe, threads)
    if isinstance(existing, Vocab):
        vocab = existing
    else:
        from nlpseq.tokenizers.bpe_numba import count_ids

        counts = np.append(count_ids(ids, starts_T, counts_T, len(bpe.tokens)), [0, train_end])
        if start is not None:
            earlier = start.counts
            counts[: len(earlier)] += earlier
            counts[: len(earlier)][earlier < 0] = -1  # unknown
        vocab = Vocab([*bpe.tokens, *SPECIALS], counts, len(SPECIALS), bpe)
    final_ids = ids.astype(token_dtype(len(vocab)))
    folder.complete(TOKENS, text.expand(TOKENS, final_ids, starts_T, all_counts_T, threads))
    vocab.save(folder.path / VOCAB)
    return vocab


def _train(text: ProvisionalText, counts_T: npt.NDArray[np.int64], vocab_size: int) -> BPE:
    """Train on the most frequent pre-tokens, as many as MAX_TRAIN_BYTES hold."""
    order = np.argsort(-counts_T, kind="stable")
    chosen_T = np.zeros(len(counts_T), np.bool_)
    chosen_T[order[np.cumsum(text.type_bytes()[order]) <= MAX_TRAIN_BYTES]] = True
    chosen_T &= counts_T > 0
    types = [each for _, _, types in text.type_chunks(chosen_T) for each in types]
    return train_bpe(b"\n".join([*types, b""]), counts_T[chosen_T], vocab_size)


def _cut_types(
    text: ProvisionalText, bpe: BPE, threads: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return ids for all types, and where the ids of each type start, (T + 1,)."""
    with ThreadPoolExecutor(threads) as pool:
        submitted = submit_ahead(
            lambda lines: pool.submit(bpe.cut_types, lines), text.type_lines(), 2 * threads
        )
        parts = [future.result() for _, future in submitted]
    lengths_T = np.concatenate([np.diff(bounds_T, prepend=0) for _, bounds_T in parts])
    return np.concatenate([ids for ids, _ in parts]), np.append(0, np.cumsum(lengths_T))
