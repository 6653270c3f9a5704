"""Extract the text of JSON records, compiled: a pushdown automaton that reads strings 64 bytes at a time.

A record is an object or a string. tests/reference/json_records.py does the same with the json module, which
is stricter about numbers and names outside strings. A scan stops and continues at any byte; the state holds
all that a chunk leaves open.

Letters: S steps, C classes of characters, P keys of the path to the text, D open objects and arrays, B bytes.
"""

import string
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from nlpseq.reading.blank_numba import is_blank
from nlpseq.reading.blocks import NEWLINE
from nlpseq.tokenizers.simd_numba import VECTOR_BYTES, bytes_in_range, trailing_zeros

__all__ = ["ARRAY", "FIRST_MALFORMED", "FIRST_WITHOUT", "IN_ARRAY", "MALFORMED", "MAX_DEPTH", "NUM_FIELDS"]
__all__ += ["RECORDS", "STEP", "SURROGATES", "WITHOUT", "JsonPath", "JsonState", "scan_json"]

MAX_DEPTH = 512  # of objects and arrays in a record
MAX_NAME_BYTES = 1 << 10  # longer keys match no key of the path
MAX_HELD_BYTES = 1 << 20  # of text of an open record

# Fields of the state.
STEP, ROLE, DEPTH, MATCHED, IS_TARGET, IS_ON_PATH, HAS_TEXT, NAME_BYTES = range(8)
CODE, DIGITS, HIGH, AFTER_RETURN, WAS_CUT, PLACE, ARRAY = range(8, 15)
RECORDS, MALFORMED, FIRST_MALFORMED, WITHOUT, FIRST_WITHOUT, SURROGATES = range(15, 21)
NUM_FIELDS = 21

# Steps: the next part expected. From STRING on, the table of actions is not in use.
RECORD, VALUE, FIRST_VALUE, KEY, FIRST_KEY, COLON, NEXT_PAIR, NEXT_VALUE, LINE_END, SKIP = range(10)
NUM_STEPS, STRING, ESCAPE, HEX, SCALAR, END_STRING, AFTER_VALUE = range(10, 17)
# Actions for a character; an action below NUM_STEPS is the next step.
STAY, BAD, OPEN_OBJECT, OPEN_ARRAY, CLOSE, START_STRING, START_SCALAR, END_LINE, OPEN_RECORDS = range(20, 29)
CLOSE_RECORDS = 29
OTHER, LONG_NAME, NAME, TEXT = range(4)  # roles of a string; of the last two, the text is kept
NO_ARRAY, IN_ARRAY, ARRAY_END = range(3)  # array of records: not begun, open, closed

QUOTE, BACKSLASH, RETURN, SPACE = ord('"'), ord("\\"), ord("\r"), ord(" ")
LETTER_A, LETTER_U, DIGIT_0 = ord("a"), ord("u"), ord("0")
HIGH_SURROGATE, LOW_SURROGATE, SURROGATE_END, REPLACEMENT = 0xD800, 0xDC00, 0xE000, 0xFFFD

CLASSES = ("{", "}", "[", "]", '"', ",", ":", string.ascii_letters + string.digits + "+-.", " \t", "\n")
CLASS_OF = np.full(256, len(CLASSES), np.uint8)
for number, characters in enumerate(CLASSES):
    CLASS_OF[[ord(char) for char in characters]] = number
SCALAR_CLASS = np.uint8(7)
ESCAPES = np.zeros(256, np.uint8)
ESCAPES[[ord(char) for char in '"\\/bfnrt']] = [ord(char) for char in '"\\/\b\f\n\r\t']


def _make_actions(is_lines: bool) -> npt.NDArray[np.uint8]:
    """Return the action for each step and class of characters: uint8, (S, C)."""
    actions_SC = np.full((NUM_STEPS, len(CLASSES) + 1), BAD, np.uint8)
    actions_SC[:, 8] = STAY
    actions_SC[SKIP] = STAY
    if not is_lines:
        actions_SC[RECORD, [2, 3, 5]] = OPEN_RECORDS, CLOSE_RECORDS, STAY
    actions_SC[:, 9] = BAD if is_lines else STAY
    actions_SC[[RECORD, LINE_END, SKIP], 9] = END_LINE if is_lines else STAY
    for step in (VALUE, FIRST_VALUE):
        actions_SC[step, [0, 2, 4, 7]] = OPEN_OBJECT, OPEN_ARRAY, START_STRING, START_SCALAR
    actions_SC[RECORD, [0, 4]] = OPEN_OBJECT, START_STRING
    actions_SC[[KEY, FIRST_KEY], 4] = START_STRING
    actions_SC[COLON, 6] = VALUE
    actions_SC[NEXT_PAIR, [1, 5]] = CLOSE, KEY
    actions_SC[NEXT_VALUE, [3, 5]] = CLOSE, VALUE
    actions_SC[FIRST_KEY, 1] = actions_SC[FIRST_VALUE, 3] = CLOSE
    return actions_SC


LINES_SC, STREAM_SC = _make_actions(True), _make_actions(False)


class JsonPath(NamedTuple):
    """The keys that lead to the text, as UTF-8: key p is bytes_B[ends_P[p] : ends_P[p + 1]]."""

    bytes_B: npt.NDArray[np.uint8]
    ends_P: npt.NDArray[np.int64]  # one more than keys


class JsonState(NamedTuple):
    """The state of a scan between two chunks; all zero at the start."""

    fields: npt.NDArray[np.int64]  # (NUM_FIELDS,)
    objects_D: npt.NDArray[np.bool_]  # (MAX_DEPTH,): an object, not an array


@njit(inline="always")
def _string_end(data, at):  # type: ignore[no-untyped-def]
    """Return the offset of the next quote, backslash or newline, or the end of the data."""
    while at + VECTOR_BYTES <= len(data):
        found = bytes_in_range(data, at, np.uint8(QUOTE), np.uint8(1))
        found |= bytes_in_range(data, at, np.uint8(BACKSLASH), np.uint8(1))
        found |= bytes_in_range(data, at, np.uint8(NEWLINE), np.uint8(1))
        if found != 0:
            return at + np.int64(trailing_zeros(found))
        at += VECTOR_BYTES
    while at < len(data) and data[at] != QUOTE and data[at] != BACKSLASH and data[at] != NEWLINE:
        at += 1
    return at


@njit(inline="always")
def _write_utf_8(code, out, at):  # type: ignore[no-untyped-def]
    """Write a character; return the offset behind it."""
    if code < 0x80:
        out[at] = code
        return at + 1
    if code < 0x800:
        out[at] = 0xC0 | code >> 6
        out[at + 1] = 0x80 | code & 0x3F
        return at + 2
    if code < 0x10000:
        out[at] = 0xE0 | code >> 12
        out[at + 1] = 0x80 | code >> 6 & 0x3F
        out[at + 2] = 0x80 | code & 0x3F
        return at + 3
    out[at] = 0xF0 | code >> 18
    out[at + 1] = 0x80 | code >> 12 & 0x3F
    out[at + 2] = 0x80 | code >> 6 & 0x3F
    out[at + 3] = 0x80 | code & 0x3F
    return at + 4


@njit(inline="always")
def _hex_value(char):  # type: ignore[no-untyped-def]
    """Return the value of a hexadecimal digit, -1 for another character."""
    digit, letter = np.int64(char) - DIGIT_0, (np.int64(char) | 0x20) - LETTER_A
    return digit if 0 <= digit < 10 else letter + 10 if 0 <= letter < 6 else -1


@njit(inline="always")
def _is_next_key(bytes_B, ends_P, matched, out, start, end):  # type: ignore[no-untyped-def]
    """Compare out[start:end] with key number `matched` of the path."""
    first = ends_P[matched]
    is_equal = end - start == ends_P[matched + 1] - first
    k = 0
    while is_equal and k < end - start:
        is_equal = out[start + k] == bytes_B[first + k]
        k += 1
    return is_equal


@njit
def _write_escaped(code, fields, out, size):  # type: ignore[no-untyped-def]
    r"""Write the character of an escape, NUL as a space, \r and \r\n as \n; return the size of the text."""
    is_counted = code == NEWLINE and fields[AFTER_RETURN] == 1
    fields[AFTER_RETURN] = code == RETURN
    if is_counted:
        return size
    return _write_utf_8(SPACE if code == 0 else NEWLINE if code == RETURN else code, out, size)


@njit
def _read_escape(data, at, step, role, fields, out, size):  # type: ignore[no-untyped-def]
    """Read the rest of an escape; return the offset, the size of the text and the next step (or BAD)."""
    if step == ESCAPE and data[at] == LETTER_U:
        fields[CODE] = fields[DIGITS] = 0
        return at + 1, size, HEX
    if step == ESCAPE:
        code = ESCAPES[data[at]]
        if code == 0:
            return at, size, BAD
        at += 1
    else:
        while at < len(data) and fields[DIGITS] < 4:
            digit = _hex_value(data[at])
            if digit < 0:
                return at, size, BAD
            fields[CODE] = fields[CODE] << 4 | digit
            fields[DIGITS] += 1
            at += 1
        if fields[DIGITS] < 4:
            return at, size, HEX
        code = fields[CODE]
    high, fields[HIGH] = fields[HIGH], 0
    if high != 0 and LOW_SURROGATE <= code < SURROGATE_END:
        code += 0x10000 + ((high - HIGH_SURROGATE) << 10) - LOW_SURROGATE
    elif high != 0:
        fields[SURROGATES] += role == TEXT
        size = _write_escaped(REPLACEMENT, fields, out, size)
    if HIGH_SURROGATE <= code < LOW_SURROGATE:
        fields[HIGH] = code
        return at, size, STRING
    if LOW_SURROGATE <= code < SURROGATE_END:
        fields[SURROGATES] += role == TEXT
        code = REPLACEMENT
    return at, _write_escaped(code, fields, out, size), STRING


@njit
def _reject(fields, end_of_document, out, done):  # type: ignore[no-untyped-def]
    """Drop the open record, except text that the caller has taken already; return the size of the text."""
    fields[MALFORMED] += 1
    if fields[MALFORMED] == 1:
        fields[FIRST_MALFORMED] = fields[PLACE] + 1
    if fields[WAS_CUT]:
        out[done] = end_of_document
        done += 1
    fields[HIGH] = fields[AFTER_RETURN] = fields[WAS_CUT] = 0
    return done


@njit
def _end_record(fields, has_text, end_of_document, out, done, size):  # type: ignore[no-untyped-def]
    """Count a record and end its document, out[done:size]; return the size of the text."""
    fields[RECORDS] += 1
    if fields[WAS_CUT] == 0 and is_blank(out, done, size):
        fields[WITHOUT] += 1
        if fields[WITHOUT] == 1:
            fields[FIRST_WITHOUT] = fields[PLACE] + 1
    fields[WAS_CUT] = 0
    if has_text:
        out[size] = end_of_document
        size += 1
    return size


@njit(nogil=True, cache=True)
def scan_json(data, is_lines, end_of_document, path, state, out, size):  # type: ignore[no-untyped-def]
    r"""Append the text of the records to `out`, which holds `size` bytes of the open record.

    data: uint8, the next chunk. is_lines: each line is a record, and a malformed line is skipped; otherwise
    records follow each other, with commas or white space between, perhaps in one array, and the scan stops at
    the first malformed record. out: room for `size` bytes, for the data and 8 more.
    Returns the bytes of complete records in `out`, and of all records, with the open key.
    """
    bytes_B, ends_P = path
    fields, objects_D = state
    actions_SC = LINES_SC if is_lines else STREAM_SC
    step, role, depth, matched = fields[STEP], fields[ROLE], fields[DEPTH], fields[MATCHED]
    is_target, is_on_path, has_text = fields[IS_TARGET], fields[IS_ON_PATH], fields[HAS_TEXT]
    name_bytes, num_keys, done, at = fields[NAME_BYTES], len(ends_P) - 1, 0, 0
    while at < len(data):
        action = STAY
        if step in (STRING, ESCAPE, HEX):
            before = size
            if step != STRING:
                at, size, step = _read_escape(data, at, step, role, fields, out, size)
                action = BAD if step == BAD else STAY
            else:
                if fields[HIGH] != 0 and data[at] != BACKSLASH:
                    fields[HIGH] = 0
                    fields[SURROGATES] += role == TEXT
                    size = _write_escaped(REPLACEMENT, fields, out, size)
                start, at = at, _string_end(data, at)
                if role >= NAME and at > start:
                    for k in range(at - start):
                        out[size + k] = data[start + k]
                    size += at - start
                    fields[AFTER_RETURN] = 0
                if at < len(data):
                    if data[at] == NEWLINE and is_lines:
                        action = BAD
                    elif data[at] == NEWLINE:
                        size = _write_escaped(NEWLINE, fields, out, size)
                    else:
                        step = ESCAPE if data[at] == BACKSLASH else END_STRING
                    at += action != BAD
            if role < NAME:
                size = before
            elif role == NAME:
                name_bytes += size - before
                if name_bytes > MAX_NAME_BYTES:
                    size -= name_bytes
                    name_bytes, role = 0, LONG_NAME
            if step == END_STRING and role in (NAME, LONG_NAME):
                is_target = is_on_path = 0
                is_compared = role == NAME and depth == matched + 1 and matched < num_keys
                if is_compared and _is_next_key(bytes_B, ends_P, matched, out, size - name_bytes, size):
                    is_target = np.int64(matched + 1 == num_keys)
                    is_on_path = 1 - is_target
                size = done if is_target else size - name_bytes  # the last of equal keys counts
                has_text = 0 if is_target else has_text
                step, name_bytes = COLON, 0
            elif step == END_STRING:
                has_text |= role == TEXT
                step = AFTER_VALUE
        elif step == SCALAR:
            while at < len(data) and CLASS_OF[data[at]] == SCALAR_CLASS:
                at += 1
            step = SCALAR if at == len(data) else AFTER_VALUE
        else:
            action = actions_SC[step, CLASS_OF[data[at]]]
            at += action != BAD
            if action < NUM_STEPS:
                step = action
            elif action == START_STRING:
                is_name = step in (KEY, FIRST_KEY)
                role = NAME if is_name else TEXT if is_target or depth == 0 else OTHER
                step, fields[AFTER_RETURN] = STRING, 0
            elif action in (OPEN_OBJECT, OPEN_ARRAY):
                if depth == MAX_DEPTH:
                    action = BAD
                else:
                    objects_D[depth] = action == OPEN_OBJECT
                    matched += is_on_path if action == OPEN_OBJECT else 0
                    is_target = is_on_path = 0
                    step = FIRST_KEY if action == OPEN_OBJECT else FIRST_VALUE
                    depth += 1
            elif action == CLOSE:
                matched -= depth == matched + 1 and matched > 0
                depth -= 1
                step = AFTER_VALUE
            elif action == START_SCALAR:
                step = SCALAR
            elif action == END_LINE:
                if step == LINE_END:
                    done = size = _end_record(fields, has_text, end_of_document, out, done, size)
                    has_text = 0
                fields[PLACE] += 1
                step = RECORD
            elif action in (OPEN_RECORDS, CLOSE_RECORDS):
                if fields[ARRAY] != (NO_ARRAY if action == OPEN_RECORDS else IN_ARRAY):
                    action = BAD
                fields[ARRAY] += 1
        if action == BAD:
            done = size = _reject(fields, end_of_document, out, done)
            step, depth, matched, has_text, name_bytes, is_target, is_on_path = SKIP, 0, 0, 0, 0, 0, 0
            if not is_lines:
                break
        elif step == AFTER_VALUE:
            is_target = 0
            if depth > 0:
                step = NEXT_PAIR if objects_D[depth - 1] else NEXT_VALUE
            elif is_lines:
                step = LINE_END
            else:
                done = size = _end_record(fields, has_text, end_of_document, out, done, size)
                fields[PLACE] += 1
                step, has_text = RECORD, 0
    if size - done > MAX_HELD_BYTES:
        done, fields[WAS_CUT] = size - name_bytes, 1
    fields[STEP], fields[ROLE], fields[DEPTH], fields[MATCHED] = step, role, depth, matched
    fields[IS_TARGET], fields[IS_ON_PATH], fields[HAS_TEXT] = is_target, is_on_path, has_text
    fields[NAME_BYTES] = name_bytes
    return done, size
