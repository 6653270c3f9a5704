"""Tags and entities of HTML in plain text, such as reviews from a web page."""

import re
from collections import Counter

__all__ = ["MarkupSample"]

_MARKUP = re.compile(
    rb"</?(a|b|br|center|code|div|em|font|h[1-6]|hr|i|img|li|ol|p|pre|span|strong|table|td|tr|u|ul)"
    rb"(?:\s+[a-z-]+=[^<>\n]{0,300})?\s*/?>"
    rb"|(&(?:amp|apos|gt|lt|nbsp|quot|#[0-9]{1,6}|#x[0-9a-f]{1,5});)",
    re.IGNORECASE,
)
_PIECE_BYTES, _MAX_BYTES = 1 << 16, 1 << 20  # of the start of each text, and of all texts
_MIN_FOUND, _MIN_SHARE = 5, 0.02  # of lines
_NAMED = 4


class MarkupSample:
    """The tags and entities at the start of a few files."""

    def __init__(self) -> None:
        self._counts = Counter[str]()
        self._num_bytes = self._num_lines = 0
        self._last = self._first = ""  # names of the last file, and of the first with markup

    def add(self, text: bytes, name: str) -> str | None:
        """Count the tags and entities at the start of a file, and return a warning if there are many.

        text: next part of the file, UTF-8; only the first part of a file is looked at. name: of the file.
        """
        if name != self._last:
            piece = text[: min(_PIECE_BYTES, _MAX_BYTES - self._num_bytes)]
            found = [entity or b"<%b>" % tag for tag, entity in _MARKUP.findall(piece)]
            self._counts.update(each.decode().lower() for each in found)
            self._num_bytes += len(piece)
            self._num_lines += piece.count(b"\n")
            self._last, self._first = name, self._first or (name if found else "")
        if self._counts.total() < max(_MIN_FOUND, _MIN_SHARE * self._num_lines):
            return None
        named = ", ".join(mark for mark, _ in self._counts.most_common(_NAMED))
        return (
            f"{self._first}: holds HTML ({named}), whose tags and entities become words. Take the plain text "
            "with Beautiful Soup (get_text), and name that."
        )
