"""The hash table of types: ids in order of first appearance, collisions, growth, partitions."""

import numpy as np
import pytest

from nlpseq.dataset.hash_table_numba import empty_table, hash_partitions, number_lines, type_lines

PATTERNS = [
    "{}",
    "{:07d}",
    "{:x}word",
    "a long word in front of {}",
    "{:020d}",
    "{}a long word behind",
    "é{}é",
]


def as_lines(words: list[str]) -> bytes:
    return "".join(f"{word}\n" for word in words).encode()


@pytest.mark.parametrize("length", [1, 7, 8, 9, 14, 15, 16, 17, 23, 40])
def test_ids_equal_those_of_a_dict(length: int) -> None:
    words = [f"{number * number % 501:x}".rjust(length, "é")[-length:] for number in range(4001)]
    ids, table = number_lines(as_lines(words), empty_table())
    expected = dict[str, int]()
    assert ids.tolist() == [expected.setdefault(word, len(expected)) for word in words]
    assert type_lines(table) == as_lines(list(expected))
    assert type_lines(table, first=3) == as_lines(list(expected)[3:])


def test_ids_continue_in_the_next_block() -> None:
    ids, table = number_lines(b"a\nb\na\n", empty_table())
    more, table = number_lines(b"c\nb\n", table)
    assert (ids.tolist(), more.tolist(), type_lines(table)) == ([0, 1, 0], [2, 1], b"a\nb\nc\n")


def test_long_tokens_with_equal_hashes_are_distinct() -> None:
    words = [
        "as long as sixteen bytes",
        "as long as sixteen bytez",
        "as short as 17..",
        "and another word here",
    ]
    always_zero = np.uint64(0), np.uint64(0)
    ids, table = number_lines(as_lines([*words, words[1]]), empty_table(), seed=always_zero)
    assert len({tuple(key) for key in table.keys_S2.tolist()}) == 2, "empty slots and one hash"
    assert ids.tolist() == [0, 1, 2, 3, 1]
    assert type_lines(table) == as_lines(words)


def test_long_types_grow_only_the_bytes() -> None:
    words = [f"{k}{'x' * 9_000}{k}" for k in range(30)]
    empty = empty_table()
    ids, table = number_lines(as_lines(words), empty)
    assert ids.tolist() == list(range(30))
    assert len(table.keys_S2) == len(empty.keys_S2) and len(table.bytes_B) > len(empty.bytes_B)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_similar_tokens_spread_over_partitions(pattern: str) -> None:
    lines = as_lines([pattern.format(number) for number in range(1 << 16)])
    partitions = hash_partitions(lines, 1 << 16)
    used = len(np.unique(partitions)) / (1 << 16)
    assert used == pytest.approx(1 - np.exp(-1), abs=0.01), "as many as random partitions would"


def test_types_of_a_partition_spread_over_the_table() -> None:
    words = [f"word{number}" for number in range(1 << 16)]
    partitions = hash_partitions(as_lines(words), 8)
    inside = [word for word, partition in zip(words, partitions, strict=True) if partition == 3]
    _, table = number_lines(as_lines(inside), empty_table())
    used = (table.keys_S2[:, 1] != 0).reshape(8, -1).sum(axis=1)
    assert used / used.mean() == pytest.approx(1, abs=0.2)
