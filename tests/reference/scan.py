"""The scan of nlpseq/tokenizers/scan_numba.py in plain Python, one character after the other."""

import re

import numpy as np
import numpy.typing as npt

PADDING_BYTES = 16  # newlines after a text
SEPARATOR, WORD, MIDDLE, PUNCTUATION, INVISIBLE, EMOJI_JOINER, EMOJI_PART, LESS_THAN = range(8)
LITERAL = re.compile("</?[A-Za-z][A-Za-z0-9_-]{0,19}>")


def find_tokens(
    text: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.uint8],
    middle_tokens: bool,
    lengths_L: npt.NDArray[np.int64],
) -> tuple[list[int], list[int], bool]:
    """Return where each token starts and ends, in bytes, and if emoji of several characters are possible.

    lengths_L: receives the tokens of each line.
    """
    chars = text[: len(text) - PADDING_BYTES].tobytes().decode("utf-8", "surrogatepass") + "\n"
    kinds = classes[[ord(char) for char in chars]].tolist()
    widths = [len(char.encode("utf-8", "surrogatepass")) for char in chars]
    offsets = np.cumsum([0, *widths]).tolist()
    starts, ends, index, line, before_line = list[int](), list[int](), 0, 0, 0
    inside = has_emoji = False
    while index < len(chars):
        kind, length = kinds[index], 1
        has_emoji |= kind in (EMOJI_JOINER, EMOJI_PART)
        literal = LITERAL.match(chars, index) if kind == LESS_THAN else None
        letter = letter_after(kinds, index) if inside else index
        if literal:
            kind, length = PUNCTUATION, len(literal[0])
        elif kind in (MIDDLE, INVISIBLE, EMOJI_JOINER) and letter > index:
            kind, length = WORD, letter - index
            has_emoji |= offsets[letter] - offsets[index] > 4
        elif kind in (MIDDLE, LESS_THAN):
            kind = PUNCTUATION if middle_tokens else SEPARATOR
        if kind == WORD and not inside:
            starts.append(offsets[index])
        if kind != WORD and inside:
            ends.append(offsets[index])
        if kind == PUNCTUATION:
            starts.append(offsets[index])
            ends.append(offsets[index + length])
        if chars[index] == "\n":
            lengths_L[line] = len(ends) - before_line
            line, before_line = line + 1, len(ends)
        index, inside = index + length, kind == WORD
    return starts, ends, has_emoji


def letter_after(kinds: list[int], index: int) -> int:
    """Return the index of the letter after invisible characters and at most one MIDDLE, else `index`."""
    end = index
    while kinds[end] in (MIDDLE, INVISIBLE, EMOJI_JOINER):
        end += 1
    return end if kinds[end] == WORD and kinds[index:end].count(MIDDLE) <= 1 else index
