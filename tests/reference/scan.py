"""The scan of nlpseq/tokenizers/scan_numba.py in plain Python, one character after the other."""

import numpy as np
import numpy.typing as npt

PADDING_BYTES = 16  # newlines after a text
SEPARATOR, WORD, APOSTROPHE, PUNCTUATION = range(4)


def find_tokens(
    text: npt.NDArray[np.uint8],
    classes: npt.NDArray[np.uint8],
    apostrophe_tokens: bool,
    lengths_L: npt.NDArray[np.int64],
) -> tuple[list[int], list[int]]:
    """Return where each token starts and ends, in bytes; write the tokens of each line to lengths_L."""
    chars = text[: len(text) - PADDING_BYTES].tobytes().decode("utf-8", "surrogatepass") + "\n"
    kinds = classes[[ord(char) for char in chars]].tolist()
    starts, ends, at, line, before_line, inside = list[int](), list[int](), 0, 0, 0, False
    for index, (char, kind) in enumerate(zip(chars, kinds, strict=True)):
        if kind == APOSTROPHE:
            is_letter = inside and kinds[index + 1] == WORD
            kind = WORD if is_letter else PUNCTUATION if apostrophe_tokens else SEPARATOR
        width = len(char.encode("utf-8", "surrogatepass"))
        if kind == WORD and not inside:
            starts.append(at)
        if kind != WORD and inside:
            ends.append(at)
        if kind == PUNCTUATION:
            starts.append(at)
            ends.append(at + width)
        if char == "\n":
            lengths_L[line] = len(ends) - before_line
            line, before_line = line + 1, len(ends)
        at, inside = at + width, kind == WORD
    return starts, ends
