"""Block tokenizers equal tokenize() on every line, alone and over many blocks and threads."""

import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from support.texts import ANY_TEXT, CHAR_CONFIGS, WORD_CONFIGS, config_name, write_text

from nlpseq.config import TextConfig
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.dataset.parallel import block_tokenizer, tokenize_blocks
from nlpseq.errors import RunError
from nlpseq.reading.corpus import Block
from nlpseq.reading.decode import UTF_8
from nlpseq.reading.normalize import normalize
from nlpseq.tokenizers.base import tokenize

THREADS = 2
CONFIGS = [*WORD_CONFIGS, *CHAR_CONFIGS, TextConfig(tokenizer="toktok")]


def assert_tokens_of_blocks(
    texts: list[str], config: TextConfig, limits: EncodeLimits = EncodeLimits()
) -> None:
    tokenize_block, types = block_tokenizer(config, limits), list[str]()
    for text in (normalize(text, config.normalize) for text in texts):
        found = tokenize_block(text.encode(*UTF_8))
        new_types = found.types.decode(*UTF_8).split("\n")[:-1]
        new_ids = np.arange(len(types), len(types) + len(new_types), dtype=np.uint32)
        found.thread_ids[:] = [np.concatenate([*found.thread_ids, new_ids])]
        ids_T = found.thread_ids[0]
        types += new_types
        lines = [tokenize(line, config) for line in text.split("\n")]
        assert [types[number] for number in ids_T[found.ids]] == list(chain.from_iterable(lines))
        assert found.lengths_L.tolist() == [len(line) for line in lines]


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
@given(texts=st.lists(ANY_TEXT, min_size=1, max_size=6), thread_types=st.sampled_from([1, 2, 5, 1000]))
def test_blocks_have_the_tokens_of_their_lines(
    texts: list[str], thread_types: int, config: TextConfig
) -> None:
    assert_tokens_of_blocks(texts, config, EncodeLimits(thread_types=thread_types))


@pytest.mark.parametrize("text", ["", "'", "a'", "a’", "a'b", "é", "😀", "’’", "\n", "a\n", "ΑΣ.Α"])
@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_tokens_do_not_depend_on_block_ends(text: str, config: TextConfig) -> None:
    assert_tokens_of_blocks([text], config)


@pytest.mark.parametrize("tokenizer", ["whitespace", "char"])
def test_rule_1_keeps_byte_order_marks(tokenizer: str) -> None:
    config = TextConfig(tokenizer=tokenizer, word_rule=1)
    assert "".join(tokenize("\ufeffA b\ufeff", config)).replace(" ", "") == "\ufeffab\ufeff"
    assert_tokens_of_blocks(["\ufeffA b\ufeff \ufeff"], config)


@pytest.mark.parametrize("before", ["", "1\ufe0f\u20e3 ", "Σ "], ids=["alone", "emoji", "sigma"])
@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_tokens_in_angle_brackets_follow_one_rule(before: str, config: TextConfig) -> None:
    for text in (
        "<unk>",
        "<un\xadk>",
        "a<\u2060b>",
        "<i\u0307>",
        "x</s>\ufeff\ufeffy",
        "<<a>>",
        f"<{'a' * 21}>",
    ):
        assert_tokens_of_blocks([before + text], config)


@pytest.mark.parametrize("config", CONFIGS, ids=config_name)
def test_thousands_of_types_grow_the_table(config: TextConfig) -> None:
    words = (f"w{k * k % 20_011}{chr(0xAC00 + k % 9_000)}" for k in range(30_000))
    assert_tokens_of_blocks([" ".join(words)], config)


@pytest.mark.parametrize("config", WORD_CONFIGS, ids=config_name)
def test_tokens_around_the_key_length_stay_distinct(config: TextConfig) -> None:
    stems, lengths = ("abcdefghijklmnopqrst", "bbcdefghijklmnopqrst"), (6, 7, 8, 13, 14, 15, 16)
    words = [stem[:length] + end for stem in stems for length in lengths for end in "xyz"]
    texts = [" ".join(words), " ".join(reversed(words)), "é" * 4 + " " + "é" * 5, "\0a a \0\0a aa"]
    assert_tokens_of_blocks(texts, config)


@pytest.mark.parametrize("config", WORD_CONFIGS, ids=config_name)
def test_very_long_tokens_keep_their_ids(config: TextConfig) -> None:
    words = [f"{k}{'x' * 9_000}{k}" for k in range(30)]
    assert_tokens_of_blocks([" ".join(words), " ".join(reversed(words)) + " " + "y" * 50_000], config)


def test_blocks_come_in_order_and_few_at_once() -> None:
    taken = 0

    def blocks() -> Iterator[Block]:
        nonlocal taken
        for taken in range(1, 41):
            yield Block(f"w{taken}".encode(), False, taken)

    tokenized = tokenize_blocks(blocks(), WORD_CONFIGS[0], 3, EncodeLimits())
    for number, (block, found) in enumerate(tokenized, 1):
        assert block.data + b"\n" == found.types == f"w{number}\n".encode()
        assert taken - number < 2 * 3


@pytest.mark.parametrize("part_bytes", [1, 7, 1000])
def test_parts_of_blocks_give_the_same_tokens(part_bytes: int) -> None:
    texts = ["a bc\n\nd e", "\nf\n", "g", ""]
    blocks = [Block(text.encode(), False, 100 * number) for number, text in enumerate(texts, 1)]
    limits = EncodeLimits(part_bytes=part_bytes)
    tokenized = list(tokenize_blocks(iter(blocks), TextConfig(tokenizer="toktok"), 1, limits))
    assert b"".join(block.data for block, _ in tokenized).decode() == "".join(texts)
    lengths = [int(length) for _, found in tokenized for length in found.lengths_L if length]
    assert lengths == [2, 2, 1, 1]
    assert max(len(block.data) for block, _ in tokenized) <= part_bytes + 5
    read = [block.bytes_read for block, _ in tokenized]
    assert read == sorted(read) and {100, 200, 300} <= set(read)


def test_killed_process_raises_run_error() -> None:
    def blocks() -> Iterator[Block]:
        for _ in range(2 * THREADS):  # submitted before the first result, so that all processes run
            yield Block(b"a few words", False, 11)
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
        yield Block(b"more words", False, 10)

    tokenized = tokenize_blocks(blocks(), TextConfig(tokenizer="toktok"), THREADS, EncodeLimits())
    message = r"tokenizing: a process died\. A script must call .*; else free some memory, or use --threads 1"
    with pytest.raises(RunError, match=message):
        list(tokenized)


SCRIPT_WITHOUT_GUARD = """
from nlpseq import TextConfig, open_corpus, preprocess
preprocess(open_corpus("corpus.txt"), TextConfig(tokenizer="toktok"), "out", threads=2)
"""


@pytest.mark.slow
def test_dead_process_raises_run_error(tmp_path: Path) -> None:
    """A script without `if __name__ == "__main__":` kills its own child processes."""
    write_text(tmp_path / "corpus.txt", "a few words\n" * 30_000)  # more than a block
    script = write_text(tmp_path / "script.py", SCRIPT_WITHOUT_GUARD)
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "RunError: tokenizing: a process died. A script must call nlpseq under `if" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(  # 30,000 lines: more than a block
    ("threads", "lines"), [pytest.param(1, 30_000, marks=pytest.mark.slow), (2, 9)]
)
def test_one_thread_or_block_needs_no_guard(tmp_path: Path, threads: int, lines: int) -> None:
    write_text(tmp_path / "corpus.txt", "a few words\n" * lines)
    settings = f'tokenizer="toktok", min_count=1, threads={threads}'
    script = write_text(
        tmp_path / "script.py", f'import nlpseq\nnlpseq.preprocess("corpus.txt", {settings})\n'
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
