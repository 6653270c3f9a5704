"""Find n-grams and their rows in plain loops: the specification of vectors/subwords.py.

After Dictionary::computeSubwords and Dictionary::hash of fastText (src/dictionary.cc, MIT).
"""

import re
import unicodedata


def characters(word: str) -> list[bytes]:
    """Return the bytes of each character of a marked word; stray bytes belong to the character before."""
    try:
        marked = f"<{word}>".encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a surrogate that does not stand for a byte
        marked = f"<{word}>".encode("utf-8", "surrogatepass")
    return re.findall(rb"[^\x80-\xbf][\x80-\xbf]*", marked)


def ngrams(word: str, shortest: int, longest: int) -> list[bytes]:
    """Return the n-grams of a word with its marks, by first character, then by length."""
    marked = characters(word)
    if word == "</s>":
        return []
    return [
        b"".join(marked[i : i + n])
        for i in range(len(marked))
        for n in lengths(len(marked), i, shortest, longest)
    ]


def lengths(number: int, start: int, shortest: int, longest: int) -> list[int]:
    """Return the lengths of n-grams from a character on; a mark alone is not an n-gram."""
    possible = range(shortest, min(longest, number - start) + 1)
    return [n for n in possible if n > 1 or start not in (0, number - 1)]


def fnv1a(ngram: bytes) -> int:
    """Return the 32-bit hash FNV-1a of some bytes, each extended by its sign."""
    value = 2166136261
    for byte in ngram:
        signed = byte - 256 if byte > 127 else byte
        value = ((value ^ (signed & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
    return value


def rows(
    words: list[str], shortest: int, longest: int, buckets: int, *, jamo: bool = False
) -> list[list[int]]:
    """Return the rows of each word: own row, n-grams of characters, n-grams of letters."""
    found = [ngrams(word, shortest, longest) for word in words]
    if jamo:
        found = [of_word + jamo_ngrams(word) for word, of_word in zip(words, found, strict=True)]
    return [
        [v, *(len(words) + fnv1a(ngram) % buckets for ngram in of_word)] for v, of_word in enumerate(found)
    ]


def jamo_ngrams(word: str) -> list[bytes]:
    """Return the n-grams of 3 to 5 letters of a word with syllables of Hangul."""
    letters = ""
    for character in word:
        parts = unicodedata.normalize("NFD", character) if "가" <= character <= "힣" else character
        named = [unicodedata.name(part, "").split() for part in parts]
        is_syllable = len(parts) > 1
        letters += "".join(
            unicodedata.lookup(f"HANGUL LETTER {name[-1]}") if is_syllable else part
            for part, name in zip(parts, named, strict=True)
        )
        letters += "∅" if len(parts) == 2 else ""
    return ngrams(letters, 3, 5) if letters != word else []
