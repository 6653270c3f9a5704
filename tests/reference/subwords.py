"""Find n-grams and their rows in plain loops: the specification of vectors/subwords.py.

After Dictionary::computeSubwords and Dictionary::hash of fastText (src/dictionary.cc, MIT).
"""


def ngrams(word: str, shortest: int, longest: int) -> list[str]:
    """Return the n-grams of a word with its marks, by first character, then by length."""
    marked = f"<{word}>"
    if word == "</s>":
        return []
    return [marked[i : i + n] for i in range(len(marked)) for n in lengths(marked, i, shortest, longest)]


def lengths(marked: str, start: int, shortest: int, longest: int) -> list[int]:
    """Return the lengths of n-grams from a character on; a mark alone is not an n-gram."""
    possible = range(shortest, min(longest, len(marked) - start) + 1)
    return [n for n in possible if n > 1 or start not in (0, len(marked) - 1)]


def fnv1a(text: str) -> int:
    """Return the 32-bit hash FNV-1a of the UTF-8 bytes, each extended by its sign."""
    value = 2166136261
    for byte in text.encode("utf-8", "surrogatepass"):
        signed = byte - 256 if byte > 127 else byte
        value = ((value ^ (signed & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
    return value


def rows(words: list[str], shortest: int, longest: int, buckets: int) -> list[list[int]]:
    """Return the rows of each word: its own, then the rows of its n-grams."""
    return [
        [v, *(len(words) + fnv1a(ngram) % buckets for ngram in ngrams(word, shortest, longest))]
        for v, word in enumerate(words)
    ]
