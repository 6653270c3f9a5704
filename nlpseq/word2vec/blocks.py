"""Cut the pairs of skip-gram into blocks that share no row, so that workers can train them at the same time.

A pair changes the input row of its context, and the output rows of its target and negatives. The vocabulary
is cut into P parts, and the negatives of a pair come from the part of its target. So a pair with its context
in part i and its target in part t, a pair of block (t, i), changes input rows of part i and output rows of
part t alone. The pairs of a segment of text are trained in steps. In step s the blocks (t, t XOR s) of all t
share no row: any number of workers gives the same result. This is the stratified gradient descent of Gemulla
et al. 2011 (doi:10.1145/2020408.2020426), as in PyTorch-BigGraph (Lerer et al. 2019, arXiv:1903.12287).

XOR has a second use. If w is a power of two, the blocks of w target parts in w steps need w context parts,
which are theirs alone in these steps. So one task may train such a square of blocks: few workers take large
squares and move less data, and the result is the same for every w. With another P, t XOR s may be beyond the
last part, and a worker is idle in that step.

A segment must be short against the text, because its pairs are trained in the order of blocks. Words with ids
P g to P g + P - 1, so of nearly equal frequency, are row g of the P parts in random order, which gives all
parts about the same number of pairs and of negatives.

Letters: V words, P parts, G rows of a part, N pairs, B = P * P blocks, D dimensions.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.core.counter_rng import Stream, random_bits_array, stream_key
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import Tables, alias_table, epoch_keys
from nlpseq.word2vec.weights import aligned_zeros

__all__ = ["Pairs", "Parts", "Square", "alias_tables", "compile_kernels", "cut_squares", "cut_vocabulary"]
__all__ += ["find_pairs", "join_parts", "num_steps", "split_parts", "train_block"]

Floats = npt.NDArray[np.float32]


class Parts(NamedTuple):
    """The part of each word, and the words of each part."""

    part_V: npt.NDArray[np.int64]  # the row of word v in its part is v // P
    words_PG: npt.NDArray[np.int64]  # -1 in a row without a word

    @property
    def num(self) -> int:
        """Return P."""
        return len(self.words_PG)


class Pairs(NamedTuple):
    """Pairs of a segment, block by block, in the order of the text within a block."""

    input_N: npt.NDArray[np.uint32]  # row of the context in its part
    target_N: npt.NDArray[np.uint32]  # row of the target in its part
    pos_N: npt.NDArray[np.int64]  # position of the target in the tokens
    slot_N: npt.NDArray[np.int16]  # slot of the context in the widest window
    starts_B: npt.NDArray[np.int64]  # (P * P + 1,), of block t * P + i

    def between(self, first: int, end: int) -> "Pairs":
        """Return the pairs of consecutive blocks; the first one is block 0 then."""
        starts = self.starts_B[first : end + 1]
        start, stop = int(starts[0]), int(starts[-1])
        here = slice(start, stop)
        return Pairs(
            self.input_N[here], self.target_N[here], self.pos_N[here], self.slot_N[here], starts - start
        )


def cut_vocabulary(num_words: int, num_parts: int, seed: int) -> Parts:
    """Return num_parts parts of the words, a function of the arguments."""
    num_rows = -(-num_words // num_parts)
    ids_GP = np.arange(num_rows * num_parts).reshape(num_rows, num_parts)
    key = stream_key(seed, Stream.PART, 0)
    part_GP = np.argsort(random_bits_array(key, ids_GP, np.zeros_like(ids_GP), np), axis=1, kind="stable")
    words_PG = np.full((num_parts, num_rows), -1)
    words_PG[part_GP, ids_GP // num_parts] = np.where(ids_GP < num_words, ids_GP, -1)
    return Parts(part_GP.reshape(-1)[:num_words], words_PG)


class Square(NamedTuple):
    """Blocks that one task trains: some parts of contexts with as many of targets, in some steps."""

    steps: range
    inputs: range  # parts of the contexts
    outputs: range  # parts of the targets

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """Yield (step, part of the contexts, part of the targets) of each block, in order of training."""
        for step in self.steps:
            for t in self.outputs:
                if t ^ step in self.inputs:
                    yield step, t ^ step, t


def num_steps(num_parts: int) -> int:
    """Return the number of steps of a segment: num_parts, rounded up to a power of two."""
    return 1 << (num_parts - 1).bit_length()


def cut_squares(num_parts: int, width: int) -> Iterator[Square]:
    """Yield squares of all blocks of a segment; width: a power of two.

    Squares share a part only with squares of other steps, which come in the order of the steps.
    """
    for first in range(0, num_steps(num_parts), width):
        for t in range(0, num_parts, width):
            if (i := t ^ first) < num_parts:
                inputs, outputs = (range(at, min(at + width, num_parts)) for at in (i, t))
                yield Square(range(first, first + width), inputs, outputs)


def alias_tables(noise_V: npt.NDArray[np.float64], parts: Parts) -> list[npt.NDArray[np.uint32]]:
    """Return the alias table of each part, (G, 2): draws of rows by the noise weights of their words."""
    weights_PG = np.where(parts.words_PG >= 0, noise_V[parts.words_PG], 0)
    return [alias_table(weights_G) for weights_G in weights_PG]


def split_parts(weight_VD: Floats, parts: Parts) -> list[Floats]:
    """Return a copy of the rows of each part, (G, D); rows without a word are 0."""
    copies = []
    for words_G in parts.words_PG:
        copies.append(copy_GD := aligned_zeros(len(words_G), weight_VD.shape[1]))
        copy_GD[words_G >= 0] = weight_VD[words_G[words_G >= 0]]
    return copies


def join_parts(parts_PGD: list[Floats], parts: Parts, weight_VD: Floats) -> None:
    """Copy the rows of the parts back into the rows of the words."""
    for words_G, rows_GD in zip(parts.words_PG, parts_PGD, strict=True):
        weight_VD[words_G[words_G >= 0]] = rows_GD[words_G >= 0]


def find_pairs(tables: Tables, keys: Any, window: int, parts: Parts, start: int, stop: int) -> Pairs:
    """Return the pairs of all windows whose center lies in tokens[start:stop]; see sampling.span_windows."""
    use_cache_for_numba()
    from nlpseq.word2vec.kernels.blocks_numba import count_pairs, fill_pairs
    from nlpseq.word2vec.kernels.windows_numba import keep_tokens

    sentence = np.searchsorted(tables.sentences, start, side="right") - 1
    kept = [np.empty(stop - start + 2 * window, np.int64) for _ in range(3)]
    keys, part_V = _read_only(keys), _read_only(parts.part_V)
    tokens, sentences, keep_V, alias_V2 = map(_read_only, tables[:4])
    text = Tables(tokens, sentences, keep_V, alias_V2)
    span = keep_tokens(text, keys[Stream.KEEP], window, start, stop, sentence, *kept)
    context_C, slot_C = np.zeros(2 * window, np.uint64), np.zeros(2 * window, np.int64)
    work: list[Any] = [*kept, *span, keys, window, part_V, parts.num, context_C, slot_C]
    starts_B = np.zeros(parts.num**2 + 1, np.int64)
    count_pairs(*[*work, starts_B[1:]])
    starts_B = np.cumsum(starts_B)
    num = int(starts_B[-1])
    found = (
        np.empty(num, np.uint32),
        np.empty(num, np.uint32),
        np.empty(num, np.int64),
        np.empty(num, np.int16),
    )
    fill_pairs(*[*work, starts_B[:-1].copy(), *found])
    return Pairs(*found, starts_B)


def train_block(
    pairs: Pairs,
    block: int,
    weights: Weights,
    alias_G2: npt.NDArray[np.uint32],
    key: Any,
    negatives: int,
    rate: Any,
) -> tuple[float, int]:
    """Train the pairs of a block one after another; return the sum of the losses in nats and their number.

    weights: the inputs of the part of the contexts and the outputs of the part of the targets, padded. key:
    of the stream NEGATIVE in the epoch. rate: float32.
    """
    use_cache_for_numba()
    from nlpseq.word2vec.kernels.blocks_numba import make_kernel

    first, stop = (int(n) for n in pairs.starts_B[block : block + 2])
    if first == stop:
        return 0.0, 0
    arrays = (_read_only(each[first:stop]) for each in pairs[:4])
    kernel = make_kernel(weights.in_VD.shape[1], negatives)
    loss: float = kernel(*arrays, key, _read_only(alias_G2), *weights, rate)
    return loss, stop - first


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a read-only view, such as Ray passes: Numba compiles a kernel for each kind of array."""
    view = array.view()
    view.flags.writeable = False
    return view


def compile_kernels(dim: int, negatives: int) -> None:
    """Compile the kernels into the cache, for both types of tokens; dim: the padded row length."""
    parts, keys = cut_vocabulary(2, 1, 0), epoch_keys(0, 0)
    alias_G2, keep_V = alias_table(np.ones(2)), np.full(2, np.iinfo(np.uint32).max, np.uint32)
    for dtype in (np.uint16, np.uint32):
        tables = Tables(np.array([0, 1], dtype), np.array([0, 2]), keep_V, alias_G2)
        pairs = find_pairs(tables, keys, 1, parts, 0, 2)
        weights = Weights(aligned_zeros(2, dim), aligned_zeros(2, dim))
        train_block(pairs, 0, weights, alias_G2, keys[Stream.NEGATIVE], negatives, np.float32(0))
