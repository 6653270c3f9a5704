"""Blocks of pairs: each pair once, no common row in a step, and steps as in the specification."""

from dataclasses import replace

import numpy as np
import pytest
from reference.blocks import train_pairs_one_by_one
from support.kernel_cases import VARIANTS, make_tables, make_weights

from nlpseq.core.counter_rng import Stream
from nlpseq.word2vec import blocks
from nlpseq.word2vec.objectives import Weights
from nlpseq.word2vec.sampling import epoch_keys, span_windows

SIZES = [(7, 5, 3, 2, 2), (50, 17, 5, 5, 4), (2, 1, 1, 1, 1), (7, 5, 3, 2, 9)]  # V, D, K, window, P


@pytest.mark.parametrize(("num_words", "num_parts"), [(7, 2), (8, 2), (5, 8), (1000, 7), (3, 1)])
def test_each_word_has_one_row_of_one_part(num_words: int, num_parts: int) -> None:
    parts = blocks.cut_vocabulary(num_words, num_parts, seed=1)
    words = parts.words_PG[parts.words_PG >= 0]
    assert sorted(words.tolist()) == list(range(num_words))
    for word in range(num_words):
        assert parts.words_PG[parts.part_V[word], word // num_parts] == word
    sizes = (parts.words_PG >= 0).sum(axis=1)
    assert sizes.max() - sizes.min() <= 1
    assert (blocks.cut_vocabulary(num_words, num_parts, seed=1).part_V == parts.part_V).all()


def test_parts_depend_on_the_seed() -> None:
    first, second = (blocks.cut_vocabulary(1000, 8, seed).part_V for seed in (1, 2))
    assert 0.05 < (first == second).mean() < 0.25


@pytest.mark.parametrize("width", [1, 2, 4, 8])
@pytest.mark.parametrize("num_parts", [1, 2, 3, 8, 13])
def test_squares_of_a_step_share_no_part_and_cover_all_blocks(num_parts: int, width: int) -> None:
    squares = [*blocks.cut_squares(num_parts, width)]
    for first in range(0, blocks.num_steps(num_parts), width):
        here = [square for square in squares if square.steps.start == first]
        for side in ("inputs", "outputs"):
            parts = [part for square in here for part in getattr(square, side)]
            assert len(parts) == len(set(parts))
    found = [block for square in squares for block in square.blocks()]
    assert sorted(block[1:] for block in found) == [
        (i, t) for i in range(num_parts) for t in range(num_parts)
    ]
    assert all(i == t ^ step for step, i, t in found)


@pytest.mark.parametrize("width", [2, 4, 8])
@pytest.mark.parametrize("num_parts", [2, 3, 8, 13])
def test_squares_of_each_width_keep_the_order_of_blocks(num_parts: int, width: int) -> None:
    one, wide = ([b for s in blocks.cut_squares(num_parts, w) for b in s.blocks()] for w in (1, width))
    for part in range(num_parts):
        for side in (1, 2):
            assert [b for b in one if b[side] == part] == [b for b in wide if b[side] == part]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_blocks_hold_each_pair_of_the_text_once(size: tuple[int, int, int, int, int]) -> None:
    num_words, _, _, window, num_parts = size
    tables, keys = make_tables(num_words), epoch_keys(3, 0)
    parts = blocks.cut_vocabulary(num_words, num_parts, seed=5)
    for start, stop in ((0, 154), (20, 60), (62, 80)):
        pairs = blocks.find_pairs(tables, keys, window, parts, start, stop)
        windows = span_windows(tables, keys, window, start, stop, np).by_pair()
        wanted = zip(windows.pos_B, windows.slot_P, windows.contexts_P, windows.centres_B, strict=True)
        block_N = np.repeat(np.arange(num_parts**2), np.diff(pairs.starts_B))
        context_N = parts.words_PG[block_N % num_parts, pairs.input_N]
        target_N = parts.words_PG[block_N // num_parts, pairs.target_N]
        found = list(zip(pairs.pos_N, pairs.slot_N, context_N, target_N, strict=True))
        assert sorted(found) == sorted(wanted)
        assert found == sorted(found, key=lambda pair: (int(block_N[found.index(pair)]), pair[0], pair[1]))


@pytest.mark.parametrize("size", SIZES[:3], ids=str)
def test_block_steps_equal_specification(size: tuple[int, int, int, int, int]) -> None:
    num_words, dim, negatives, window, num_parts = size
    config = replace(VARIANTS["skipgram-pair"], dim=dim, negatives=negatives, window=window)
    tables, keys, weights = make_tables(num_words), epoch_keys(3, 0), make_weights(num_words, dim)
    parts = blocks.cut_vocabulary(num_words, num_parts, seed=5)
    noise_V = np.arange(1.0, num_words + 1)
    alias = blocks.alias_tables(noise_V, parts)
    pairs = blocks.find_pairs(tables, keys, window, parts, 0, len(tables.tokens))
    ours = Weights(*(blocks.split_parts(weight, parts) for weight in weights))
    theirs = [[rows.astype(np.float64) for rows in each] for each in ours]
    total = 0
    for square in blocks.cut_squares(num_parts, 2):
        for _, i, t in square.blocks():
            block = t * num_parts + i
            part, reference = Weights(ours.in_VD[i], ours.out_VD[t]), Weights(theirs[0][i], theirs[1][t])
            key = keys[Stream.NEGATIVE]
            loss, num = blocks.train_block(pairs, block, part, alias[t], key, negatives, np.float32(0.05))
            wanted = train_pairs_one_by_one(pairs, block, reference, alias[t], keys, config, 0.05)
            assert loss == pytest.approx(wanted, rel=1e-5, abs=1e-6)
            total += num
    assert total == len(pairs.pos_N) > 20
    for mine, theirs_ in zip(ours, theirs, strict=True):
        for rows, wanted_rows in zip(mine, theirs_, strict=True):
            np.testing.assert_allclose(rows, wanted_rows, atol=2e-5)
            assert (rows[:, dim:] == 0).all()
    before = [weight.copy() for weight in weights]
    for weight, rows in zip(weights, ours, strict=True):
        blocks.join_parts(rows, parts, weight)
    assert not any((old == new).all() for old, new in zip(before, weights, strict=True))


def test_split_parts_join_again() -> None:
    weights = make_weights(50, 17)
    parts = blocks.cut_vocabulary(50, 8, seed=1)
    again = np.zeros_like(weights.in_VD)
    blocks.join_parts(blocks.split_parts(weights.in_VD, parts), parts, again)
    np.testing.assert_array_equal(again, weights.in_VD)


def test_negatives_come_from_the_part_by_their_weights() -> None:
    parts = blocks.cut_vocabulary(100, 3, seed=1)
    noise_V = np.arange(100.0)
    tables = blocks.alias_tables(noise_V, parts)
    for words_G, alias_G2 in zip(parts.words_PG, tables, strict=True):
        share_G = np.zeros(len(words_G))
        accepted_G = (alias_G2[:, 0].astype(np.float64) + 1) / 2**32
        share_G += accepted_G
        np.add.at(share_G, alias_G2[:, 1], 1 - accepted_G)
        weights_G = np.where(words_G >= 0, noise_V[words_G], 0)
        np.testing.assert_allclose(share_G / len(words_G), weights_G / weights_G.sum(), atol=1e-8)
