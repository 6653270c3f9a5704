"""Byte-level BPE of nlpseq/tokenizers/bpe.py in plain Python, after Karpathy's minbpe.

Symbols are ids: 0 to 255 for the bytes, in the order of their characters in tokenizer.json, then the merges.
"""

from collections import Counter
from itertools import pairwise

import regex

PATTERN = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
VISIBLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
BYTES = VISIBLE + [byte for byte in range(256) if byte not in VISIBLE]  # by id
IDS = {byte: symbol for symbol, byte in enumerate(BYTES)}

Merges = dict[tuple[int, int], int]


def pretokens(line: bytes) -> list[bytes]:
    """Return the pre-tokens of a text; bytes that are not UTF-8 are neither letters, numbers nor spaces."""
    text = line.decode("utf-8", "surrogateescape")
    return [part.encode("utf-8", "surrogateescape") for part in PATTERN.findall(text)]


def merge(word: list[int], pair: tuple[int, int], new: int) -> list[int]:
    """Replace each occurrence of a pair, from left to right."""
    merged = list[int]()
    at = 0
    while at < len(word):
        if tuple(word[at : at + 2]) == pair:
            merged.append(new)
            at += 2
        else:
            merged.append(word[at])
            at += 1
    return merged


def train(counts: dict[bytes, int], vocab_size: int, min_pairs: int = 2) -> Merges:
    """Merge the most frequent pair, of equal counts the smaller ids, until the vocabulary is full."""
    words = {pretoken: [IDS[byte] for byte in pretoken] for pretoken in counts}
    merges: Merges = {}
    while 256 + len(merges) < vocab_size:
        pairs = Counter[tuple[int, int]]()
        for pretoken, word in words.items():
            for pair in pairwise(word):
                pairs[pair] += counts[pretoken]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        if pairs[best] < min_pairs:
            break
        merges[best] = 256 + len(merges)
        words = {pretoken: merge(word, best, merges[best]) for pretoken, word in words.items()}
    return merges


def encode(line: bytes, merges: Merges) -> list[int]:
    """Cut each pre-token: merge the pair of the lowest rank until no pair has a rank."""
    ids = list[int]()
    for pretoken in pretokens(line):
        word = [IDS[byte] for byte in pretoken]
        while known := [pair for pair in pairwise(word) if pair in merges]:
            first = min(known, key=merges.__getitem__)
            word = merge(word, first, merges[first])
        ids += word
    return ids


def decode(ids: list[int], merges: Merges) -> bytes:
    """Return the text of ids."""
    texts = [bytes([byte]) for byte in BYTES]
    for left, right in merges:
        texts.append(texts[left] + texts[right])
    return b"".join(texts[symbol] for symbol in ids)
