"""Suggest words of a vocabulary for an unknown one."""

import re
import unicodedata
from collections.abc import Container, Iterable
from difflib import get_close_matches
from itertools import islice

from nlpseq.dataset.vocab import Vocab
from nlpseq.tokenizers.bpe import SPACE_MARK

__all__ = ["show_word", "suggest_tokens", "suggest_words"]

_MARKS = r"[\W_]*"  # between letters and digits
_MAX_COMPARED = 20_000  # words compared letter by letter for a suggestion
_MAX_SCANNED = 200_000  # words considered for a suggestion


def suggest_words(
    word: str,
    words: Iterable[str],
    max_compared: int = _MAX_COMPARED,
    *,
    max_scanned: int = _MAX_SCANNED,
    known: Container[str] = (),
) -> list[str]:
    """Suggest up to three words for an unknown one: of the same letters, then of similar spelling.

    words: by falling count. Letters are the same in another case or normal form, with other punctuation or
    invisible characters, or after a path: /c/en/coffee_pot for `coffee pot`. Only words of similar length
    with the same first letter or last two letters are compared letter by letter, at most `max_compared`, so
    that large vocabularies answer at once. For the same reason only the first `max_scanned` words are
    considered, besides usual cases among all `known` words.
    """
    letters = [char for char in _fold(word) if char.isalnum()]
    same_letters = re.compile(rf"(?:.*/)?{_MARKS}{_MARKS.join(letters)}{_MARKS}", re.DOTALL)
    first, last = word[:1], word[-2:]
    lengths = range(len(word) - 2, len(word) + 3)
    same, alike = list[str](), list[str]()
    for other in islice(words, max_scanned):
        if letters and same_letters.fullmatch(_fold(other)):
            same.append(other)
        if len(other) in lengths and (other.startswith(first) or other.endswith(last)):
            alike.append(other)
    same += [form for form in (word.lower(), word.capitalize(), word.upper()) if form in known]
    found = same + get_close_matches(word, alike[:max_compared], n=3)
    return list(dict.fromkeys(found))[:3]


def suggest_tokens(word: str, vocab: Vocab) -> list[str]:
    """Suggest up to three tokens of BPE that occur in the text and contain or start a word, as labels."""
    assert vocab.bpe
    word, found = word.removeprefix(SPACE_MARK), list[tuple[int, int, str]]()
    for token, count in zip(vocab.words, vocab.counts.tolist(), strict=True):
        text = vocab.bpe.token_bytes(token).decode(errors="replace").removeprefix(" ")
        if count and word and text and (word in text or word.startswith(text)):
            label = vocab.label(token)
            if vocab.find(label) == token:
                found.append((-min(len(word), len(text)), len(text), label))
    return [show_word(label) for *_, label in sorted(found)[:3]]


def show_word(word: str, like: str = "") -> str:
    """Return a word for a message; with quotes and escapes if a reader could not tell it from others.

    like: a word that the shown one may look like, with other code points.
    """
    looks_alike = word != like and unicodedata.normalize("NFKC", word) == unicodedata.normalize("NFKC", like)
    if looks_alike:
        return ascii(word)
    is_visible = word.isprintable() and word == word.strip() != ""
    return word if is_visible else repr(word)


def _fold(word: str) -> str:
    return word.casefold() if word.isascii() else unicodedata.normalize("NFKC", word).casefold()
