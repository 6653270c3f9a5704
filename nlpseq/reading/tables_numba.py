"""Extract one column of CSV or TSV, compiled: 64 bytes at a time.

Python's csv module, not strict, is the specification. A scan stops and continues at any byte; the state holds
all that a chunk leaves open.
"""

import numpy as np
from numba import njit

from nlpseq.reading.blank_numba import is_blank
from nlpseq.reading.blocks import NEWLINE
from nlpseq.tokenizers.simd_numba import VECTOR_BYTES, bytes_in_range, trailing_zeros

__all__ = [
    "AFTER_HEADING",
    "FIRST_SKIPPED",
    "FIRST_STRAY",
    "FIRST_WITHOUT",
    "NUM_FIELDS",
    "PLACE",
    "QUOTED",
    "SKIPPED",
    "STEP",
]
__all__ += ["WITHOUT", "scan_table"]

# Fields of the state.
STEP, COLUMN, HAS_CONTENT, WAS_CUT, AFTER_HEADING, PLACE, SKIPPED, FIRST_SKIPPED, FIRST_STRAY = range(9)
WITHOUT, FIRST_WITHOUT = 9, 10
NUM_FIELDS = 11
FIELD_START, PLAIN, QUOTED, AFTER_QUOTE = range(4)  # steps
MAX_HELD_BYTES = 1 << 20  # of text of an open record


@njit(inline="always")
def _find(data, at, first, second):  # type: ignore[no-untyped-def]
    """Return the offset of the next of two bytes, or the end of the data."""
    while at + VECTOR_BYTES <= len(data):
        found = bytes_in_range(data, at, first, np.uint8(1)) | bytes_in_range(data, at, second, np.uint8(1))
        if found != 0:
            return at + np.int64(trailing_zeros(found))
        at += VECTOR_BYTES
    while at < len(data) and data[at] != first and data[at] != second:
        at += 1
    return at


@njit(nogil=True, cache=True)
def scan_table(data, marks, wanted, num_columns, end_of_document, fields, out, size):  # type: ignore[no-untyped-def]
    """Append the wanted column of each record to `out`, which holds `size` bytes of the open record.

    data: uint8, the next chunk. marks: uint8, delimiter and quote; a newline as quote means no quotes.
    wanted: number of the column, from 0. Records with another number of columns than num_columns are skipped
    and counted, blank texts are counted, and empty lines are ignored. fields: the state, int64,
    (NUM_FIELDS,), all zero at the start; with AFTER_HEADING 0 the first record is ignored. out: room for
    `size` bytes, for the data and 8 more.
    Returns the bytes of complete records in `out`, and of all records.
    """
    delimiter, quote = marks[0], marks[1]
    newline = np.uint8(NEWLINE)
    step, column, has_content, done, at = fields[STEP], fields[COLUMN], fields[HAS_CONTENT], 0, 0
    while at < len(data):
        char = data[at]
        if char == quote and quote != newline and step in (FIELD_START, AFTER_QUOTE):
            if step == AFTER_QUOTE and column == wanted:  # two quotes stand for one
                out[size] = quote
                size += 1
            step, has_content = QUOTED, 1
            at += 1
            continue
        start = at
        if step == QUOTED:
            at = _find(data, at, quote, quote)
        else:
            at = _find(data, at, delimiter, newline)
            if step == AFTER_QUOTE and at > start and fields[FIRST_STRAY] == 0:
                fields[FIRST_STRAY] = fields[PLACE] + 1  # text follows a closing quote
            step = PLAIN
        if column == wanted:
            for k in range(at - start):
                out[size + k] = data[start + k]
            size += at - start
        has_content |= at > start
        if at == len(data):
            break
        if step == QUOTED:
            step = AFTER_QUOTE
        elif data[at] == delimiter:
            step, has_content = FIELD_START, 1
            column += 1
        else:
            if has_content and fields[AFTER_HEADING]:
                fields[PLACE] += 1
                if column + 1 != num_columns:
                    fields[SKIPPED] += 1
                    fields[FIRST_SKIPPED] = fields[FIRST_SKIPPED] or fields[PLACE]
                    size = done
                elif fields[WAS_CUT] == 0 and is_blank(out, done, size):
                    fields[WITHOUT] += 1
                    fields[FIRST_WITHOUT] = fields[FIRST_WITHOUT] or fields[PLACE]
                if column + 1 == num_columns or fields[WAS_CUT]:
                    out[size] = end_of_document
                    size += 1
                done = size
            elif has_content:
                fields[AFTER_HEADING] = 1
                size = done
            step, column, has_content, fields[WAS_CUT] = FIELD_START, 0, 0, 0
        at += 1
    if size - done > MAX_HELD_BYTES:
        done, fields[WAS_CUT] = size, 1
    fields[STEP], fields[COLUMN], fields[HAS_CONTENT] = step, column, has_content
    return done, size
