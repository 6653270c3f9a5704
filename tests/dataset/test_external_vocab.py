"""Types beyond memory: the same ids as a dict, whatever the limits."""

import random

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from nlpseq.dataset.external_vocab import ExternalVocabulary, join_lines, line_ends, select_lines
from nlpseq.dataset.limits import EncodeLimits


@pytest.mark.slow
@settings(max_examples=settings.default.max_examples // 4)
@given(
    seed=st.integers(0, 99),
    memory_types=st.sampled_from([3, 7, 40, 1000]),
    file_bytes=st.sampled_from([17, 100, 1 << 20]),
)
def test_merged_ids_equal_those_of_a_dict(
    seed: int, memory_types: int, file_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("vocab") / "types.txt"
    limits = EncodeLimits(memory_types=memory_types, file_bytes=file_bytes)
    vocab, chance = ExternalVocabulary(file, limits), random.Random(seed)
    words = [f"{'long' * (number % 7)}{number:x}é" for number in range(101)]
    tokens, sizes = [chance.choices(words, k=13) for _ in range(7)], list[int]()
    assigned = list[np.ndarray]()
    for block in tokens:
        assigned.append(vocab.assign_ids(join_lines(block)))
        sizes.append(file.stat().st_size if file.exists() else 0)
    lines, final_T = vocab.merge()
    expected = dict[str, int]()
    for block in tokens:
        for token in block:
            expected.setdefault(token, len(expected))
    ids = np.concatenate(assigned)
    assert (ids if final_T is None else final_T[ids]).tolist() == [
        expected[token] for block in tokens for token in block
    ]
    assert lines.tobytes() == join_lines(expected)
    assert (final_T is None) == (vocab.num_flushed == 0) == (memory_types == 1000)
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("token", ["", "a\nb", "\n"])
def test_join_lines_refuses_tokens_that_are_no_line(token: str) -> None:
    with pytest.raises(AssertionError, match="empty or more than a line"):
        join_lines(["a", token])


@pytest.mark.parametrize("chunk_bytes", [1, 3, 100])
def test_select_lines_keeps_chosen_lines(chunk_bytes: int) -> None:
    text = np.frombuffer("a\nbé\n\nlast\n".encode(), np.uint8)
    ends = line_ends(text, chunk_bytes)
    assert ends.tolist() == [2, 6, 7, 12]
    assert select_lines(text, ends, np.array([True, False, False, True])) == b"a\nlast\n"
    assert line_ends(text[:0]).tolist() == []
