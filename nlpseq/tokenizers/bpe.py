r"""Byte-level BPE, the tokenizer `bpe`: the algorithm of GPT-2, in files of Hugging Face `tokenizers`.

    line ──> pre-tokens ──> bytes ──> pairs merged by rank ──> tokens

Pre-tokens are the matches of GPT-2's pattern, one after the other:

    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

A byte that is not part of valid UTF-8 counts as a character that is no letter, number or white space.

Training merges the most frequent pair of neighboring tokens again and again; of equal counts, the pair of
smaller ids comes first, as in `tokenizers`. The tokens are the 256 bytes and the result of each merge. A
token is written with one visible character for each byte (BYTE_CHARS): " the" is Ġthe.

References: Sennrich et al. 2016, arXiv:1508.07909; Radford et al. 2019, "Language Models are Unsupervised
Multitask Learners". bpe_numba.py has the algorithms compiled, tests/reference/bpe.py in plain Python.

Letters: N pre-tokens, T distinct pre-tokens, M merges, S slots of a hash table.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.core.cache_dir import use_cache_for_numba
from nlpseq.errors import DataError
from nlpseq.reading.decode import UTF_8

__all__ = ["BLANK", "BPE", "BREAK", "BYTE_CHARS", "LETTER", "MAX_TRAIN_BYTES", "NUMBER", "OTHER", "SPACE"]
__all__ += ["SPACE_MARK", "TOKENIZER_FILE", "last_safe_cut", "pretoken_classes", "read_tokenizer"]
__all__ += ["token_name", "train_bpe"]

TOKENIZER_FILE = "tokenizer.json"
SPACE_MARK = "▁"  # a space at the start of a token, for a person
MIN_PAIRS = 2  # occurrences of a pair to merge
MAX_TRAIN_BYTES = 1 << 24  # of distinct pre-tokens; training takes 24 times as much memory

SPACE, LETTER, NUMBER, OTHER, BLANK, BREAK = range(6)  # \s, \p{L}, \p{N}, all others, a space, end of line
# Letters and numbers of Unicode 15.0 to 16.0, which `tokenizers` knows and an older Python does not.
_NEW_LETTERS = (
    "1c89-1c8a a7cb-a7cd a7da-a7dc 105c0-105f3 10d4a-10d65 10d6f-10d85 10ec2-10ec4 1123f-11240 "
    "11380-11389 1138b 1138e 11390-113b5 113b7 113d1 113d3 11bc0-11be0 11f02 11f04-11f10 11f12-11f33 "
    "1342f 13441-13446 13460-143fa 16100-1611d 16d40-16d6c 18cff 1b132 1b155 1df25-1df2a 1e030-1e06d "
    "1e4d0-1e4eb 1e5d0-1e5ed 1e5f0 2b739 2ebf0-2ee5d 31350-323af"
)
_NEW_NUMBERS = (
    "10d40-10d49 116d0-116e3 11bf0-11bf9 11f50-11f59 16130-16139 16d70-16d79 1ccf0-1ccf9 1d2c0-1d2d3 "
    "1e4f0-1e4f9 1e5f1-1e5fa"
)

_VISIBLE = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
_HIDDEN = [byte for byte in range(256) if byte not in _VISIBLE]
BYTE_CHARS = {byte: chr(byte) for byte in _VISIBLE} | {byte: chr(256 + n) for n, byte in enumerate(_HIDDEN)}
_BYTES = {char: byte for byte, char in BYTE_CHARS.items()}  # in order of id

# Parts of a tokenizer.json, and their values with the same tokens as here; the first is written.
_PARTS: dict[str, list[Any]] = {
    "truncation": [None],
    "padding": [None],
    "normalizer": [None],
    "pre_tokenizer.type": ["ByteLevel"],
    "pre_tokenizer.add_prefix_space": [False],
    "pre_tokenizer.use_regex": [True, None],
    "post_processor.type": [None, "ByteLevel"],
    "decoder.type": ["ByteLevel", None],
    "model.type": ["BPE", None],
    "model.dropout": [None],
    "model.continuing_subword_prefix": [None, ""],
    "model.end_of_word_suffix": [None, ""],
    "model.byte_fallback": [False, None],
    "model.ignore_merges": [False, None],
}
_FLAGS = ("single_word", "lstrip", "rstrip")  # of an added token


class BPE:
    """The tokens and merges of a tokenizer.json, written here or by `tokenizers`.

    content: of the file. name: of the file, for messages. tokens: in order of id. added: UTF-8 of texts that
    are one token wherever they stand, such as <|endoftext|>, with their ids. Raises DataError if the file is
    not valid, or has a part that gives other tokens than this class.
    """

    def __init__(self, content: bytes, name: str = TOKENIZER_FILE) -> None:
        self.content, self.name = content, name
        try:
            parsed = json.loads(content)
            _check_parts(parsed, name)
            vocab, merges = parsed["model"]["vocab"], parsed["model"]["merges"]
            pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in merges]
            self.added = {each["content"].encode(): each["id"] for each in parsed.get("added_tokens") or ()}
            self._added_texts = {token.decode() for token in self.added}
            ids = vocab | {token.decode(): token_id for token, token_id in self.added.items()}
            self.tokens: list[str] = sorted(ids, key=ids.__getitem__)
            if [ids[token] for token in self.tokens] != [*range(len(ids))]:
                raise ValueError("the ids are not 0, 1, 2 and so on")
            self._byte_ids = np.array([vocab[BYTE_CHARS[byte]] for byte in range(256)], np.int32)
            merged = [[vocab[left], vocab[right], vocab[left + right]] for left, right in pairs]
            self._merges_M3 = np.array(merged, np.int32).reshape(-1, 3)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            problem = f"is not a valid tokenizer.json ({type(error).__name__}: {error})"
            raise DataError(f"{name}: {problem}. Save the file again with `tokenizers`.") from error

    def __repr__(self) -> str:
        return f"BPE({len(self.tokens):,} tokens, {self.name!r})"

    @classmethod
    def load(cls, file: Path | str) -> "BPE":
        """Read a tokenizer.json. Raises DataError if the file cannot be read or used."""
        return cls(read_tokenizer(file), str(file))

    def encode(self, text: str | bytes) -> list[int]:
        """Return the ids of a text, as `tokenizers` does; a line end is white space here."""
        use_cache_for_numba()
        from nlpseq.tokenizers.pretokens_numba import find_spans

        data = text if isinstance(text, bytes) else _to_bytes(text)
        padded, starts, ends, _ = find_spans(data, pretoken_classes(SPACE), self.added_pattern)
        ids: list[int] = self._cut(padded, starts, ends)[0].tolist()
        return ids

    def decode(self, ids: Iterable[int]) -> bytes:
        """Return the text of some ids."""
        return b"".join(self.token_bytes(self.tokens[token_id]) for token_id in ids)

    def token_bytes(self, token: str) -> bytes:
        """Return the bytes of a token, the UTF-8 of an added token or of any other text."""
        if token not in self._added_texts:
            with suppress(KeyError):
                return bytes(map(_BYTES.__getitem__, token))
        return token.encode(*UTF_8)

    def label(self, token: str) -> str:
        """Return a token as a person reads it, or its name if its bytes are no UTF-8.

        A space at its start is SPACE_MARK, as the tools of SentencePiece print it.
        """
        try:
            text = self.token_bytes(token).decode()
        except UnicodeDecodeError:
            return token
        return SPACE_MARK + text[1:] if text.startswith(" ") else text

    def tokenize(self, text: str) -> list[str]:
        """Return the tokens of a text, line by line; line ends are no tokens."""
        lines = re.split("\r\n|\r|\n", text)
        return [self.tokens[token_id] for line in lines for token_id in self.encode(line)]

    def cut_types(self, lines: bytes) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return ids for a pre-token in each line, and where the ids of each pre-token end, (T,)."""
        text = np.frombuffer(lines, np.uint8)
        ends = np.flatnonzero(text == ord("\n"))
        return self._cut(text, np.append(0, ends + 1)[:-1], ends)

    @cached_property
    def added_pattern(self) -> re.Pattern[bytes] | None:
        """Return a pattern of the added tokens, the longest first."""
        by_length = sorted(self.added, key=len, reverse=True)
        return re.compile(b"|".join(map(re.escape, by_length))) if by_length else None

    @cached_property
    def _table_S(self) -> npt.NDArray[np.int64]:
        from nlpseq.tokenizers.bpe_numba import hash_merges

        table_S: npt.NDArray[np.int64] = hash_merges(self._merges_M3[:, :2], self._merges_M3[:, 2])
        return table_S

    def _cut(
        self, text: npt.NDArray[np.uint8], starts_N: npt.NDArray[Any], ends_N: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return ids for pre-tokens, and where the ids of each pre-token end, (N,)."""
        use_cache_for_numba()
        from nlpseq.tokenizers.bpe_numba import cut_into_tokens

        sizes_N, whole_N = ends_N - starts_N, np.full(len(starts_N), -1, np.int32)
        for token, token_id in self.added.items():
            for n in np.flatnonzero(sizes_N == len(token)).tolist():
                if text[starts_N[n] : ends_N[n]].tobytes() == token:
                    whole_N[n] = token_id
        spans = starts_N.astype(np.int64), ends_N.astype(np.int64)
        found: tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]] = cut_into_tokens(
            text, *spans, whole_N, self._byte_ids, self._table_S
        )
        return found


def read_tokenizer(file: Path | str) -> bytes:
    """Return the content of a tokenizer.json; raise DataError if the file cannot be read."""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}). Name a tokenizer.json.") from error


def last_safe_cut(text: bytes) -> int:
    """Return where the last pre-token but one starts.

    No later text moves that border. text: not empty.
    """
    use_cache_for_numba()
    from nlpseq.tokenizers.pretokens_numba import find_spans

    return int(find_spans(text, pretoken_classes(BREAK), None)[1][-2:][0])


def train_bpe(lines: bytes, counts_T: npt.NDArray[np.int64], vocab_size: int) -> BPE:
    """Learn a tokenizer of at most vocab_size tokens.

    lines: a pre-token each, with a line end. counts_T: the count of each. Training ends early if no pair of
    tokens occurs MIN_PAIRS times.
    """
    use_cache_for_numba()
    from nlpseq.tokenizers.bpe_numba import BORDER, learn_merges

    tokens = list(_BYTES)
    byte_ids = np.array([tokens.index(BYTE_CHARS[byte]) for byte in range(256)], np.int32)
    byte_ids[ord("\n")] = BORDER
    text = np.frombuffer(b"\n" + lines, np.uint8)
    words_B = np.cumsum(text == ord("\n"), dtype=np.int32) - 1
    counts_T = np.append(counts_T, 0)  # for the last line end
    limits = len(tokens), max(0, vocab_size - len(tokens)), MIN_PAIRS
    merges: list[list[int]] = learn_merges(byte_ids[text], words_B, counts_T, *limits).tolist()
    for left, right in merges:
        tokens.append(tokens[left] + tokens[right])
    return BPE(_write_json(tokens, [f"{tokens[left]} {tokens[right]}" for left, right in merges]))


def _write_json(tokens: list[str], merges: list[str]) -> bytes:
    """Return the content of a tokenizer.json."""
    file: dict[str, Any] = {"version": "1.0", "added_tokens": []}
    for part, (value, *_) in _PARTS.items():
        name, _, key = part.partition(".")
        if key:
            file.setdefault(name, {})[key] = value
        else:
            file[name] = value
    for name in ("pre_tokenizer", "decoder"):
        file[name] = {"add_prefix_space": False, "trim_offsets": True, "use_regex": True} | file[name]
    file["post_processor"] = None
    file["model"] |= {"unk_token": None, "fuse_unk": False}
    file["model"] |= {"vocab": {token: token_id for token_id, token in enumerate(tokens)}, "merges": merges}
    return (json.dumps(file, ensure_ascii=False, indent=1) + "\n").encode()


def _check_parts(parsed: Any, name: str) -> None:
    """Raise DataError for a part of a tokenizer.json that gives other tokens than the class BPE."""
    found, added = {part: _part(parsed, part) for part in _PARTS}, parsed.get("added_tokens") or ()
    found_first = [token["content"] for token in added if not token.get("normalized")]
    for token in added:
        content, label = token["content"], f"added token {token['content']!r}"
        found |= {f"{label}, {flag}": token.get(flag) or False for flag in _FLAGS}
        found |= {f"{label}, empty": not content, f"{label}, line end": bool({"\n", "\r"} & {*content})}
        if token.get("normalized"):  # because `tokenizers` looks for other added tokens before
            overlaps = any(_starts_inside(first, content) for first in found_first)
            found[f"{label}, normalized and overlapping"] = overlaps
    for part, value in found.items():
        allowed = _PARTS.get(part, [False])
        if not any(value is each or value == each for each in allowed):
            shown = json.dumps(value)[:100]
            raise DataError(
                f"{name}: {part} is {shown}, and nlpseq reads {json.dumps(allowed[0])} only. "
                "Use --tokenizer bpe to train a tokenizer on the corpus."
            )


def _starts_inside(token: str, other: str) -> bool:
    """Return True if a text can have a token that starts inside another."""
    rests = (other[start:] for start in range(len(other)))
    return token != other and any(rest.startswith(token) or token.startswith(rest) for rest in rests)


def _part(parsed: Any, part: str) -> Any:
    """Return a value of a tokenizer.json, None if it or its parent is missing or null."""
    parent, _, key = part.rpartition(".")
    return ((parsed.get(parent) or {}) if parent else parsed).get(key)


def token_name(text: bytes) -> str:
    """Return the token of a text as tokenizer.json writes it."""
    return "".join(map(BYTE_CHARS.__getitem__, text))


def _to_bytes(text: str) -> bytes:
    """Return a text as UTF-8; bytes that Python could not decode come back as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # other single surrogates
        return text.encode(*UTF_8)


@cache
def pretoken_classes(newline: int) -> npt.NDArray[np.uint8]:
    """Return the class of every code point: uint8, (0x110000,), read-only.

    newline: class of line ends, BREAK in a corpus of lines, else SPACE.
    """
    classes = np.full(0x110000, OTHER, np.uint8)
    for code in (*range(0x40000), *range(0xE0000, 0xE1000)):  # because Unicode assigns none in between
        char = chr(code)
        category = unicodedata.category(char)[0]
        if category == "L":
            classes[code] = LETTER
        elif category == "N":
            classes[code] = NUMBER
        elif char.isspace() and char not in "\x1c\x1d\x1e\x1f":  # because these are no white space in Unicode
            classes[code] = SPACE
    for ranges, new in ((_NEW_LETTERS, LETTER), (_NEW_NUMBERS, NUMBER)):
        for each in ranges.split():
            first, _, last = each.partition("-")
            classes[int(first, 16) : int(last or first, 16) + 1] = new
    classes[ord(" ")], classes[ord("\n")] = BLANK, newline
    classes.flags.writeable = False
    return classes
