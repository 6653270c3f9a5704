"""Vocabularies that are hard to store, and the stated policy for their words."""

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.vocab import Vocab
from nlpseq.vectors.formats.registry import Written, write_vectors

__all__ = [
    "FILE_NAMES",
    "MATRIX",
    "PLAIN_WORDS",
    "WORDS",
    "is_bad",
    "random_vectors",
    "same_bits",
    "vocab_of",
    "write",
]

FILE_NAMES = ("a.vec", "a.txt", "a.bin", "a.npy", "a.tsv")  # one of each file format
WORDS, MATRIX = ["one", "둘"], np.array([[0.1, -2], [1e-5, 1024.5]], np.float32)
SPACES = " \t\n\r\v\f"  # white space in C
SEPARATORS = {
    **{"a.vec": SPACES, "a.txt": SPACES, "a.bin": " \n", "a.tsv": "\t\n\r", "a.npy": None},
    "a.parquet": "\udcff",  # holds no surrogate, see is_bad
}
PLAIN_WORDS = (
    *("</s>", "king", "한국어", "12", "0.5", "nan", "1e5", "-", "\\", "\\e", "\\u0020", "\\n", "w" * 150),
    *("a\u00a0b", "\u00a0", "\u0085", "\u2028", "\u2029", "\u3000x", "\ufeff", "\x00", "\x1c", "é"),
    "\udcff\udcfe",
)
HARD_WORDS = (
    *("", " ", "a b", "a 1", "\t", "a\tb", "\n", "a\nb", "\nb", "a\r", "\v", "\f"),
    *("\ud800", "\udcc3\udca9"),
)
ALPHABET = SPACES + "ab1.-\\ue\u00a0\u2028\x85é왕😀\udce9\udcff\ud83d\ude00"


def vocab_of(words: Sequence[str]) -> Vocab:
    """Return a vocabulary with falling counts."""
    return Vocab(words, np.arange(len(words), 0, -1))


def random_vectors(number: int = 200) -> Iterator[tuple[list[str], npt.NDArray[np.float32]]]:
    """Yield hard vocabularies with vectors of random finite bits, and some of zeros."""
    for seed in range(number):
        chance = random.Random(seed)
        words = _random_words(chance)
        yield words, _random_matrix(chance, len(words))


def _random_words(chance: random.Random) -> list[str]:
    def word() -> str:
        if chance.random() < 0.5:
            return chance.choice(PLAIN_WORDS if chance.random() < 0.8 else HARD_WORDS)
        return "".join(chance.choices(ALPHABET, k=chance.choice((1, 1, 2, 3, 5))))

    return list(dict.fromkeys(word() for _ in range(chance.randint(1, 9))))


def _random_matrix(chance: random.Random, num_words: int) -> npt.NDArray[np.float32]:
    dim = chance.randint(1, 5)
    matrix = np.frombuffer(chance.randbytes(4 * num_words * dim), np.float32).reshape(num_words, dim)
    is_kept = np.isfinite(matrix) & (np.array(chance.choices((True, False), (4, 1), k=num_words))[:, None])
    return np.where(is_kept, matrix, np.float32(-0.0))


def is_bad(word: str, file_name: str) -> bool:
    """Apply the stated policy: tell whether a format cannot hold a word."""
    separators = SEPARATORS[file_name]
    if separators is None:
        return False
    raw = word.encode("utf-8", "surrogatepass")
    is_text = not re.search("[\ud800-\udfff]", word) or (
        not re.search("[\ud800-\udc7f\udd00-\udfff]", word)
        and word.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") == word
    )
    is_marked = file_name == "a.txt" and word.startswith("\ufeff")
    is_raw = file_name == "a.parquet" and re.search("[\ud800-\udfff]", word) is not None
    return not raw or not is_text or is_marked or is_raw or any(separator in word for separator in separators)


def same_bits(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> bool:
    """Compare dtype, shape and bits."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def write(file: Path, words: Sequence[str], matrix: npt.NDArray[np.float32], **options: Any) -> Written:
    """Write vectors with falling counts to a file."""
    return write_vectors(file, vocab_of(words), matrix, **options)
