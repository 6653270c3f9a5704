"""Text from anywhere: bytes that are no text, endless lines, endless vocabularies, commands to a terminal."""

import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from conftest import RunCli
from tallies import Tally
from works import NLPSEQ, leftovers

import nlpseq as ns
from nlpseq.config import TextConfig, Tokenizer
from nlpseq.text._decode import normalized_block
from nlpseq.text.tokenize import tokenize
from nlpseq.vectors.vectors import Vectors

# Writes a line to stdout: argv[1] MB of argv[2], again and again, and no newline.
ENDLESS = """
import sys
part = sys.argv[2].encode() * ((1 << 20) // len(sys.argv[2]))
for _ in range(int(sys.argv[1])):
    sys.stdout.buffer.write(part)
"""
# Runs nlpseq, and writes down its most memory, seen every millisecond. That of mapped files is not counted,
# which is there while nothing else needs it.
WATCHED = """
import atexit, re, threading, time
from pathlib import Path
from nlpseq.cli import main

seen = []

def watch():
    while True:
        status = Path("/proc/self/status").read_text()
        seen.append(int(re.search(r"RssAnon:\\s+(\\d+)", status)[1]))
        time.sleep(0.001)

threading.Thread(target=watch, daemon=True).start()
atexit.register(lambda: Path("peak").write_text(str(max(seen))))
main()
"""
MOST_MB = 500
ADDRESSES = 2 << 30  # bytes
ESCAPES = (
    *("\x1b[31mred", "\x1b]0;title\x07", "\x1b[2J", "\x1b[6n", "\x9b31m", "\x90q\x9c", "\x07", "\b\b"),
    *("\u202eabc", "a\x7f"),
)


@pytest.mark.parametrize(
    "megabytes", [pytest.param(40, id="fast"), pytest.param(3 << 10, id="whole", marks=pytest.mark.trust)]
)
@pytest.mark.parametrize("part", ["a b c ", "a", "é "])
def test_an_endless_line_from_a_pipe_takes_little_memory(
    tmp_path: Path, tally: Tally, megabytes: int, part: str
) -> None:
    settings = ["--tokenizer", "whitespace", "--valid-share", "0", "--test-share", "0", "--min-count", "1"]
    with tally.case(f"{megabytes} MB of {part!r}"):
        writer = [sys.executable, "-c", ENDLESS, str(megabytes), part]
        source = subprocess.Popen(writer, stdout=subprocess.PIPE)
        child = subprocess.Popen(
            [sys.executable, "-c", WATCHED, "preprocess", "-", "-o", "out.tokens", "-q", *settings],
            cwd=tmp_path,
            stdin=source.stdout,
            stderr=subprocess.PIPE,
        )
        assert source.stdout is not None
        source.stdout.close()
        _, err = child.communicate()
        assert source.wait() == child.returncode == 0, err
        peak = int((tmp_path / "peak").read_text()) / 1024
        data = ns.TokenDataset.open(tmp_path / "out.tokens", verify=False)
        words = megabytes * ((1 << 20) // len(part)) * len(part.split())
        assert data.num_sentences == 1
        assert data.num_tokens == words if part.endswith(" ") else 1 <= data.num_tokens < words
        assert peak < MOST_MB, f"{peak:.0f} MB"


@pytest.mark.parametrize(
    "num_words",
    [pytest.param(300_000, id="fast"), pytest.param(20_000_000, id="whole", marks=pytest.mark.trust)],
)
def test_a_vocabulary_larger_than_memory_is_pruned_exactly(
    tmp_path: Path, tally: Tally, num_words: int
) -> None:
    """Every word once, some more often; of those that occur twice the first by name are kept."""
    chance, often, kept = random.Random(1), num_words // 1000, num_words // 2000
    doubled = [f"w{number:x}" for number in chance.sample(range(num_words), often)]
    with (tmp_path / "corpus.txt").open("w") as corpus:
        for start in range(0, num_words, 1000):
            print(*(f"w{number:x}" for number in range(start, min(start + 1000, num_words))), file=corpus)
            print(*doubled[start // 1000 : start // 1000 + 1], file=corpus)
    settings = ["--tokenizer", "whitespace", "--valid-share", "0", "--test-share", "0", "--min-count", "1"]
    with tally.case(f"{num_words:,} words"):
        done = subprocess.run(
            [*NLPSEQ, "preprocess", "corpus.txt", "-q", *settings, "--max-vocab", str(kept)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES)),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        data = ns.TokenDataset.open(tmp_path / "corpus.tokens")
        assert data.vocab.words[:-2] == sorted(doubled)[:kept]
        assert (data.vocab.counts[:kept] == 2).all()
        assert data.num_tokens == num_words + often
        assert not leftovers(tmp_path)


@pytest.mark.parametrize(
    "texts", [pytest.param(300, id="fast"), pytest.param(10_000, id="whole", marks=pytest.mark.trust)]
)
def test_any_bytes_are_read_alike_on_every_way(tmp_path: Path, tally: Tally, texts: int) -> None:
    """Invalid UTF-8, NUL, marks of byte order, line ends of all kinds; in one thread and in two."""
    chance = random.Random(2)
    pieces = [b"a", b"b ", b" ", b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xc3", b"\xc3\xa9", b"\xed\xa0\x80"]
    pieces += [b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\x0c", b"\x85", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"word "]
    for number in range(texts):
        content = b"start " + b"".join(chance.choices(pieces, k=chance.randint(0, 40)))
        (tmp_path / "text.txt").write_bytes(content)
        with tally.case(f"text {number}, {content!r}"):
            text = content.decode("utf-8", "replace").replace("\0", " ")
            lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            expected = [tokens for line in lines if (tokens := tokenize(line, PLAIN))]
            for threads in (1, 2):
                corpus, out = ns.open_corpus(tmp_path / "text.txt"), tmp_path / "out"
                assert sentences(ns.preprocess(corpus, PLAIN, out, threads=threads, force=True)) == expected


PLAIN = TextConfig(
    tokenizer="whitespace", lower=False, normalize="none", min_count=1, valid_share=0, test_share=0
)


def sentences(data: ns.TokenDataset) -> list[list[str]]:
    words = [data.vocab.words[token] for token in data.tokens]
    bounds = data.sentences.tolist()
    return [words[start:end] for start, end in pairwise(bounds)]


@pytest.mark.parametrize("tokenizer", get_args(Tokenizer))
def test_text_made_to_be_slow_is_not(tally: Tally, tokenizer: Tokenizer) -> None:
    """Four times the text does not take sixteen times as long."""
    config = TextConfig(tokenizer=tokenizer)

    def split(text: str) -> None:
        tokenize(text, config)

    baits = [
        "a",
        "'",
        "''",
        "a'",
        "’",
        ".",
        "..a",
        "-",
        "a-",
        "1,",
        "1.",
        "@",
        "#a",
        "<",
        "</",
        "http://",
        "(:",
    ]
    baits += ["é", "e\u0301", "\u0301", "한", "\u200d", "😀\u200d", "$1", "it's", "...", "?!", "%", "&amp;"]
    size = 4000 if tokenizer in ("nltk", "toktok", "tweet") else 100_000
    for bait in baits:
        with tally.case(f"{tokenizer}, {bait!r}"):
            check_time(split, bait, size)


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_marks_made_to_be_slow_are_not(tally: Tally, form: str) -> None:
    """Out of order, or signs that are two marks out of order, or are marks in one form alone."""

    def compose(text: str) -> None:
        normalized_block(text.encode(), form)

    baits = ["\u0301", "\u0300\u0316", "\u0344\u0316", "é\u0316\u0301", "\u0f73", "\u0f75", "\u0f81"]
    baits += ["\uff9e", "\u0301\uff9e", "\uff9f\u0316", "\u0f73\u0316", "\u0f77", "\u1100\u1161", "\ufdfa"]
    for bait in baits:
        for start in ("", "a", "a b\n" * 100):
            with tally.case(f"{form}, {start[:4]!r} and {bait!r}"):
                check_time(compose, bait, 4000, start)


def check_time(work: Callable[[str], None], bait: str, size: int, start: str = "") -> None:
    """work takes text of 16 times this size in at most some eight times what 4 times its size took."""
    work(start + bait * 100)
    some, more = (seconds(work, start + bait * (size * times // len(bait))) for times in (4, 16))
    assert more < 8 * some + 0.3, f"{some:.2f} s, and {more:.2f} s for four times as much"


def seconds(work: Callable[[str], None], text: str) -> float:
    """Of the processor, which other work does not change."""
    begun = time.process_time()
    work(text)
    return time.process_time() - begun


def test_no_token_commands_a_terminal(
    tmp_path: Path, tally: Tally, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["plain", *ESCAPES]
    vocab = ns.Vocab(words, np.arange(len(words), 0, -1))
    Vectors(vocab, np.eye(len(words), dtype=np.float32) + 1).save("a.w2v")
    (tmp_path / "text.txt").write_text("\n".join(["plain text", *ESCAPES] * 3), "utf-8")
    asked = [(0, "neighbors", "a.w2v", "plain", "--top", "20"), (0, "inspect", "a.w2v")]
    for number, word in enumerate(ESCAPES):
        asked.append((4, "neighbors", "a.w2v", f"no{word}"))
        asked.append((4, "preprocess", f"no{word}.txt"))
        asked.append((0, "preprocess", "text.txt", "--min-count", "1", "-o", f"{number}{word}.tokens"))
    for code, *command in asked:
        with tally.case(repr(command)):
            done = run_cli(*command)
            assert done.exit_code == code, done.stderr
            shown = (
                done.stderr if command[0] == "preprocess" else done.output
            )  # a path is data, for a program
            commands = Counter(filter(is_command, shown))
            assert not commands, commands


def is_command(char: str) -> bool:
    return (char < " " and char not in "\n\t") or "\x7f" <= char < "\xa0" or char in "\u202e\u2066"
