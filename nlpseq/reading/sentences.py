r"""Where sentences end: at lines, documents or punctuation.

Before this step every document ends with END_OF_DOCUMENT, except the last of a file; after this step every
sentence ends with \n. With the setting `lines` both are \n, and there is nothing to do.

The rule of `punctuation`: a sentence ends with its document, at a blank line, after . ! ? … or a full stop of
another script before white space, and after 。！？｡ anywhere. Closing quotes and brackets belong to the
sentence. The rule knows no abbreviations.
"""

import re
from collections.abc import Iterator

from nlpseq.config import Sentences, TextConfig

__all__ = ["document_end", "end_sentences", "keeps_nul"]

END_OF_DOCUMENT = 0  # because decoded text holds no NUL, see keeps_nul

_MAX_HELD_BYTES = 1 << 20  # of text without white space


def _any_of(characters: str) -> bytes:
    return b"|".join(re.escape(char.encode()) for char in characters)


_SPACES = rb"(?:[ \t\n\v\f]|\xc2\xa0|\xe3\x80\x80)"
_CLOSING = _any_of("\"')]}’”»›」』）】〉》")
_SENTENCE_END = re.compile(
    rb"((?:[.!?]|%b)(?:%b)*)%b+|((?:%b)(?:%b)*)%b*|\n[ \t]*\n\s*"
    % (_any_of("…।॥؟۔։።။។"), _CLOSING, _SPACES, _any_of("。！？｡"), _CLOSING, _SPACES)
)
_SEPARATORS = b" \t\n\0"
_DOCUMENTS_TO_LINES = bytes.maketrans(b"\n\0", b" \n")


def document_end(sentences: Sentences) -> int:
    r"""Return the byte that ends a document: \n if line ends and document ends mean the same."""
    return ord("\n") if sentences == "lines" else END_OF_DOCUMENT


def keeps_nul(config: TextConfig) -> bool:
    """Return True if NUL is text: with BPE, which keeps all bytes, unless NUL ends documents."""
    return config.tokenizer_kind == "bpe" and document_end(config.sentences) != END_OF_DOCUMENT


def end_sentences(pieces: Iterator[bytes], sentences: Sentences) -> Iterator[bytes]:
    r"""Yield the text with \n after each sentence, and with spaces instead of other line ends."""
    if sentences == "lines":
        yield from pieces
    elif sentences == "documents":
        for piece in pieces:
            yield piece.translate(_DOCUMENTS_TO_LINES)
    else:
        held = b""
        for piece in pieces:
            held += piece
            words = held.rstrip(_SEPARATORS)
            cut = 1 + max(map(words.rfind, (b" ", b"\n", b"\0")))  # before the last word
            if not cut and len(held) > _MAX_HELD_BYTES:
                cut = len(held)
            if cut:
                yield _end_at_punctuation(held[:cut])
                held = held[cut:]
        yield _end_at_punctuation(held)


def _end_at_punctuation(text: bytes) -> bytes:
    """End sentences in a text that ends between words."""
    return _SENTENCE_END.sub(b"\\1\\2\0", text).translate(_DOCUMENTS_TO_LINES)
