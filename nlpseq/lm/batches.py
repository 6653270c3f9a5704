"""The input of a recurrent network: one stream of tokens, folded into columns.

    stream   a b c d e f g h i j k l          column 1   a b c d
             with <eos> after each    fold    column 2   e f g h      all columns are read downwards together,
             sentence                 ───>    column 3   i j k l      a few rows (bptt) at a time

Letters: T time steps, B columns.
"""

from bisect import bisect_right

import numpy as np
import numpy.typing as npt

from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.errors import DataError

__all__ = ["READ_AHEAD_ROWS", "Columns", "Stream"]

READ_AHEAD_ROWS = 1024


class Stream:
    """The tokens of a dataset with <eos> after every sentence, read in pieces from memory-mapped files."""

    def __init__(self, data: TokenDataset) -> None:
        self.tokens, self.sentences = data.tokens, data.sentences
        self.eos = len(data.vocab) - 1
        self.first = int(data.sentences[0])

    def __len__(self) -> int:
        return int(self.sentences[-1]) - self.first + len(self.sentences) - 1

    def read(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """Return positions start to stop. The stream is circular: -1 is its final <eos>."""
        size = len(self)
        if start // size != (stop - 1) // size and stop > start:
            end = (start // size + 1) * size
            return np.concatenate([self.read(start, end), self.read(end, stop)])
        offset, starts = start // size * size, range(1, len(self.sentences))
        start, stop = start - offset, stop - offset
        first, last = (  # sentences at both positions, also the number of <eos> before
            bisect_right(starts, position, key=lambda s: int(self.sentences[s]) - self.first + s)
            for position in (start, stop)
        )
        ends = self.sentences[first + 1 : last + 1] - self.first + np.arange(first, last) - start
        piece = np.full(stop - start, self.eos, np.int64)
        is_word = np.ones(stop - start, bool)
        is_word[ends] = False
        piece[is_word] = self.tokens[self.first + start - first : self.first + stop - last]
        return piece


class Columns:
    """A stream folded into B columns of equal length; up to B - 1 tokens remain unread.

    rotation: start of the first column in the stream; another value per epoch moves the column borders.
    read_ahead: rows read from disk at a time. chosen: the columns to read, default all. Raises DataError if
    the stream is empty.
    """

    def __init__(
        self,
        stream: Stream,
        batch_size: int = 1,
        rotation: int = 0,
        read_ahead: int = READ_AHEAD_ROWS,
        chosen: range | None = None,
    ) -> None:
        if not len(stream):
            raise DataError("text: has no tokens. Name a text with at least one word.")
        self.stream, self.read_ahead = stream, read_ahead
        self.length = len(stream) // batch_size
        chosen = range(batch_size) if chosen is None else chosen
        self.starts = [rotation + column * self.length for column in chosen]
        self._block_TB = np.empty((0, len(chosen)), np.int64)  # rows read ahead
        self._block_start = 0

    def window(self, start: int, stop: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return rows start to stop as inputs and targets, both (T, B); targets follow inputs.

        Row 0 predicts the first token of a column from the token before; <eos> comes before the text.
        """
        if not self._block_start <= start <= stop < self._block_start + len(self._block_TB):
            ahead = min(self.length, max(stop, start + self.read_ahead))
            pieces = [self.stream.read(first + start - 1, first + ahead) for first in self.starts]
            self._block_TB, self._block_start = np.stack(pieces, axis=1), start
        rows_TB = self._block_TB[start - self._block_start : stop - self._block_start + 1]
        return rows_TB[:-1], rows_TB[1:]
