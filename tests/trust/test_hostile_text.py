"""Text from anywhere: invalid bytes, endless lines and vocabularies, terminal commands."""

import codecs
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import RunCli
from support.analyzers import CORE
from support.results import stale_files
from tallies import Tally

import nlpseq as ns
from nlpseq.config import TextConfig
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.errors import DataError
from nlpseq.reading.blocks import BlockLimits
from nlpseq.reading.encodings import marked_encoding
from nlpseq.reading.normalize import normalize_block
from nlpseq.tokenizers.base import TOKENIZERS, tokenize
from nlpseq.vectors.vectors import Vectors

# Writes argv[1] MB of repeated argv[2] to stdout, without a newline.
ENDLESS = """
import sys
part = sys.argv[2].encode() * ((1 << 20) // len(sys.argv[2]))
for _ in range(int(sys.argv[1])):
    sys.stdout.buffer.write(part)
"""
# Runs nlpseq and stores its peak memory, sampled every millisecond, without mapped files.
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
# Runs nlpseq with argv[1] bytes in a block and room for argv[2] types, and writes down how often it was full.
CRAMPED = """
import sys
from functools import partial
from pathlib import Path
from nlpseq.cli import main
from nlpseq.dataset import encode
from nlpseq.dataset.external_vocab import ExternalVocabulary
from nlpseq.dataset.limits import EncodeLimits
from nlpseq.reading.blocks import BlockLimits

block, held = map(int, sys.argv[1:3])
del sys.argv[1:3]
merge = ExternalVocabulary.merge

def count_and_merge(vocab):
    Path("full").write_text(str(vocab.num_flushed // held))
    return merge(vocab)

ExternalVocabulary.merge = count_and_merge
limits = EncodeLimits(blocks=BlockLimits(block_bytes=block), memory_types=held)
encode.preprocess = partial(encode.preprocess, limits=limits)
main()
"""
SOME_MB, MORE_MB = 32, 64  # of a line of many blocks, and allowed in addition for a longer one
ADDRESSES = 2 << 30  # bytes
SIZES = [1000 * 4**step for step in range(5)]  # characters; the last only for linear tokenizers
PATIENCE = 20.0  # s, for all sizes
END = "¬"  # of text, so that every search for another end of the bait fails
ESCAPES = (
    *("\x1b[31mred", "\x1b]0;title\x07", "\x1b[2J", "\x1b[6n", "\x9b31m", "\x90q\x9c", "\x07", "\b\b"),
    *("\u202eabc", "a\x7f"),
)


@pytest.mark.parametrize(
    "megabytes",
    [
        pytest.param(128, id="fast", marks=pytest.mark.slow),
        pytest.param(3 << 10, id="whole", marks=pytest.mark.trust),
    ],
)
@pytest.mark.parametrize("part", ["a b c ", "a", "é "])
def test_endless_line_from_pipe_takes_little_memory(
    tmp_path: Path, tally: Tally, megabytes: int, part: str
) -> None:
    with tally.case(f"{megabytes} MB of {part!r}"):
        some, peak = (peak_of_a_line(tmp_path, size, part) for size in (SOME_MB, megabytes))
        assert peak < some + MORE_MB, f"{peak:.0f} MB, and {some:.0f} MB for a line of {SOME_MB}"


def peak_of_a_line(folder: Path, megabytes: int, part: str) -> float:
    """Return the peak memory of encoding in MB, after a check of the tokens."""
    settings = ["--tokenizer", "whitespace", "--valid-share", "0", "--test-share", "0", "--min-count", "1"]
    writer = [sys.executable, "-c", ENDLESS, str(megabytes), part]
    source = subprocess.Popen(writer, stdout=subprocess.PIPE)
    child = subprocess.Popen(
        [sys.executable, "-c", WATCHED, "preprocess", "-", "-o", "out.tokens", "-q", "--force", *settings],
        cwd=folder,
        stdin=source.stdout,
        stderr=subprocess.PIPE,
    )
    assert source.stdout is not None
    source.stdout.close()
    try:
        _, err = child.communicate(timeout=30 + megabytes)
        assert source.wait(10) == child.returncode == 0, err
    finally:
        child.kill()
        source.kill()
    data = ns.TokenDataset.open(folder / "out.tokens", verify=False)
    words = megabytes * ((1 << 20) // len(part)) * len(part.split())
    assert data.num_sentences == 1
    assert data.num_tokens == words if part.endswith(" ") else 1 <= data.num_tokens < words
    return int((folder / "peak").read_text()) / 1024


@pytest.mark.parametrize(
    ("num_words", "block", "held"),
    [
        pytest.param(100_000, 1 << 16, 16_000, id="fast", marks=pytest.mark.slow),
        pytest.param(
            20_000_000,
            BlockLimits().block_bytes,
            EncodeLimits().memory_types,
            id="whole",
            marks=pytest.mark.trust,
        ),
    ],
)
def test_vocabulary_larger_than_memory_is_pruned_exactly(
    tmp_path: Path, tally: Tally, num_words: int, block: int, held: int
) -> None:
    """Keep exactly the first words by name among the repeated words.

    All words occur once, some twice, also after the table with their first occurrence was full.
    """
    chance, often, kept = random.Random(1), num_words // 1000, num_words // 2000
    doubled = [f"w{number:x}" for number in chance.sample(range(num_words), often)]
    with (tmp_path / "corpus.txt").open("w") as corpus:
        for start in range(0, num_words, 1000):
            print(*(f"w{number:x}" for number in range(start, min(start + 1000, num_words))), file=corpus)
            print(*doubled[start // 1000 : start // 1000 + 1], file=corpus)
    settings = ["--tokenizer", "whitespace", "--valid-share", "0", "--test-share", "0", "--min-count", "1"]
    cramped = [sys.executable, "-c", CRAMPED, str(block), str(held)]
    with tally.case(f"{num_words:,} words"):
        done = subprocess.run(
            [*cramped, "preprocess", "corpus.txt", "-q", *settings, "--max-vocab", str(kept)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES)),
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert int((tmp_path / "full").read_text()) > num_words // held // 2, "there was room for all words"
        data = ns.TokenDataset.open(tmp_path / "corpus.tokens")
        assert data.vocab.words[:-2] == sorted(doubled)[:kept]
        assert (data.vocab.counts[:kept] == 2).all()
        assert data.num_tokens == num_words + often
        assert not stale_files(tmp_path)


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(60, id="fast", marks=pytest.mark.slow),
        pytest.param(10_000, id="whole", marks=pytest.mark.trust),
    ],
)
def test_any_bytes_encode_alike_in_any_blocks_and_threads(tmp_path: Path, tally: Tally, texts: int) -> None:
    """Invalid UTF-8, NUL, marks of byte order, line ends of all kinds; many blocks, one thread and two."""
    chance, seen = random.Random(2), Counter[str]()
    pieces = [b"a", b"b ", b" ", b"\n", b"\r", b"\r\n", b"\xc3\xa9", b"\xe2\x80\xa8", b"\x0c", b"word "] * 6
    pieces += [b"\0", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x85", b"\xf4\x90\x80\x80", b"\xc0\xaf"]
    marks = [codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE]
    for number in range(texts):
        start = (b"start ", b"", chance.choice(marks))[number % 3]
        content = b"".join(chance.choices(pieces + marks, k=chance.randint(0, 40)))
        if start in marks[1:]:  # without NUL, because a mark of UTF-16 and NUL are the mark of UTF-32
            chars = content.decode("utf-8", "replace").lstrip("\0")
            content = chars.encode(marked_encoding(start) or "")
        content = start + content
        encoding = marked_encoding(content) or "utf-8"  # the random bytes may begin with a mark, too
        (tmp_path / "text.txt").write_bytes(content)
        with tally.case(f"text {number}, {content!r}"):
            text = content.decode(encoding, "replace").removeprefix("\ufeff").replace("\0", " ")
            lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            expected = [tokens for line in lines if (tokens := tokenize(line, PLAIN))]
            longest = max((len(word.encode()) for word in text.split()), default=0)
            block_bytes = max(20, longest + 3)  # 3: white space to cut at
            limits = EncodeLimits(blocks=BlockLimits(block_bytes=block_bytes))
            refusal = "contains no words" if not expected else None
            if encoding == "utf-8" and is_mostly_invalid(content):
                refusal = "bytes are invalid in utf-8"
            for threads in (1, 2):
                corpus, out = ns.open_corpus(tmp_path / "text.txt"), tmp_path / "out"
                if refusal:
                    with pytest.raises(DataError, match=refusal):
                        ns.preprocess(corpus, PLAIN, out, threads=threads, force=True, limits=limits)
                else:
                    data = ns.preprocess(corpus, PLAIN, out, threads=threads, force=True, limits=limits)
                    assert sentences(data) == expected
            seen[refusal or "is read"] += 1
            seen["has a mark"] += not refusal and content.startswith(codecs.BOM_UTF8)
            seen["has blocks"] += not refusal and len(text.encode()) > 2 * block_bytes
    assert len(seen) == 5 and min(seen.values()) >= texts // 60, seen


def is_mostly_invalid(content: bytes) -> bool:
    """Tell if UTF-8 is refused: more invalid bytes than valid ones beyond ASCII, and 1 % or, if few, 20 %."""
    valid = content.decode("utf-8", "ignore")
    num_invalid, beyond_ascii = len(content) - len(valid.encode()), len(valid.encode()) - len(valid)
    return beyond_ascii <= num_invalid > len(content) * (0.01 if num_invalid >= 16 else 0.2)


PLAIN = TextConfig(
    tokenizer="whitespace", lower=False, normalize="none", min_count=1, valid_share=0, test_share=0
)


def sentences(data: ns.TokenDataset) -> list[list[str]]:
    words = [data.vocab.words[token] for token in data.tokens]
    bounds = data.sentences.tolist()
    return [words[start:end] for start, end in pairwise(bounds)]


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", CORE)
def test_worst_case_text_tokenizes_in_linear_time(tally: Tally, tokenizer: str) -> None:
    """Tokenizing takes linear time: four times the text, about four times as long."""
    config = TextConfig(tokenizer=tokenizer)

    sizes = SIZES[:-1] if TOKENIZERS[tokenizer].whole_lines else SIZES

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
    baits += ["1", " ", ",", "_", "1 ", ", ", "  a", "_a", "\t", "\u3000"]
    baits += ["é", "e\u0301", "\u0301", "한", "\u200d", "😀\u200d", "$1", "it's", "...", "?!", "%", "&amp;"]
    for bait in baits:
        with tally.case(f"{tokenizer}, {bait!r}"):
            check_time(split, bait, sizes)
        if tally.broken:  # because the next one would take as long
            break


@pytest.mark.slow
@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_worst_case_marks_normalize_in_linear_time(tally: Tally, form: str) -> None:
    """Normalize marks out of order, pairs of such marks, and marks of a single form in linear time."""

    def compose(text: str) -> None:
        normalize_block(text.encode(), form)

    baits = ["\u0301", "\u0300\u0316", "\u0344\u0316", "é\u0316\u0301", "\u0f73", "\u0f75", "\u0f81"]
    baits += ["\uff9e", "\u0301\uff9e", "\uff9f\u0316", "\u0f73\u0316", "\u0f77", "\u1100\u1161", "\ufdfa"]
    for bait in baits:
        for start in ("", "a", "a b\n" * 100):
            with tally.case(f"{form}, {start[:4]!r} and {bait!r}"):
                check_time(compose, bait, SIZES[:-1], start)
            if tally.broken:
                return


def check_time(work: Callable[[str], None], bait: str, sizes: list[int], start: str = "") -> None:
    """Check that four times the text takes at most eight times as long, for any size."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"more than {PATIENCE} s")

    signal.signal(signal.SIGVTALRM, give_up)  # of processor time, checked inside regular expressions
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    try:
        work(start + bait * 10 + END)
        some = 0.0
        for size in sizes:
            more = cpu_seconds(work, start + bait * (size // len(bait)) + END)
            assert more < 8 * some + 0.3, f"{more:.2f} s for {size:,} characters, {some:.2f} s for a quarter"
            some = more
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, signal.SIG_DFL)


def cpu_seconds(work: Callable[[str], None], text: str) -> float:
    """Return processor time, independent of other load."""
    begun = time.process_time()
    work(text)
    return time.process_time() - begun


@pytest.mark.slow
def test_no_token_commands_a_terminal(
    tmp_path: Path, tally: Tally, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["plain", *ESCAPES]
    vocab = ns.Vocab(words, np.arange(len(words), 0, -1))
    Vectors(vocab, np.eye(len(words), dtype=np.float32) + 1).save("a.w2v")
    (tmp_path / "text.txt").write_text("\n".join(["plain text", *ESCAPES] * 3), "utf-8")
    words_of_text = ("--tokenizer", "whitespace", "--min-count", "1", "--valid-share", "0.3")
    small = ("--preset", "tiny", "--hidden", "8", "--dim", "8", "--epochs", "1", "--batch-size", "2")
    assert run_cli("train-lm", "text.txt", *words_of_text, *small, "-o", "a.lm", "-q").exit_code == 0
    told = [("neighbors", "a.w2v", "plain", "--top", "20"), ("analogy", "a.w2v", "plain", words[1], words[2])]
    told += [("neighbors", "a.w2v", "plain", words[1]), ("score", "a.lm", "text.txt", "--tokens")]
    told += [(*command, "--json") for command in (*told, ("generate", "a.lm", "--samples", "2"))]
    asked = [(0, *command) for command in told] + [(0, "inspect", "a.w2v"), (0, "inspect", "a.lm")]
    asked += [(0, "generate", "a.lm"), (0, "generate", "a.lm", "--prompt", f"no{words[1]}")]
    for number, word in enumerate(ESCAPES):
        asked.append((0, "similarity", "a.w2v", "plain", word))
        asked.append((0, "similarity", "a.w2v", "plain", word, "--json"))
        asked.append((4, "similarity", "a.w2v", "plain", f"no{word}"))
        asked.append((4, "analogy", "a.w2v", "plain", "plain", f"no{word}"))
        asked.append((4, "neighbors", "a.w2v", f"no{word}"))
        asked.append((4, "preprocess", f"no{word}.txt"))
        asked.append((0, "preprocess", "text.txt", "--min-count", "1", "-o", f"{number}{word}.tokens"))
    for code, *command in asked:
        with tally.case(repr(command)):
            done = run_cli(*command)
            assert done.exit_code == code, done.stderr
            assert tuple(command) not in told or re.search(r"\\x|\\u00", done.output), "it told of no escape"
            is_data = command[0] in ("preprocess", "generate") and "--json" not in command  # for a program
            shown = done.stderr if is_data else done.output
            commands = Counter(filter(is_command, shown))
            assert not commands, commands


def is_command(char: str) -> bool:
    return (char < " " and char not in "\n\t") or "\x7f" <= char < "\xa0" or char in "\u202e\u2066"
