"""The three tokenizers of NLTK. They need whole lines and load no NLTK data."""

import re
from collections.abc import Callable, Iterator
from functools import cache

from nlpseq.config import Tokenizer

_TWEET_CHARS = 1000  # TweetTokenizer gets no more at a time,
_TWEET_RUN = 250  # and no longer run without white space: it takes quadratic time for one of digits or dots


@cache
def nltk_tokenizer(name: Tokenizer) -> Callable[[str], list[str]]:
    """Return a function that splits a line by NLTKWordTokenizer, ToktokTokenizer or TweetTokenizer."""
    from nltk.tokenize import NLTKWordTokenizer, ToktokTokenizer, TweetTokenizer  # about a second

    if name == "tweet":
        split = TweetTokenizer().tokenize
        return lambda text: [token for piece in _tweet_pieces(text) for token in split(piece)]
    tokens: Callable[[str], list[str]] = (NLTKWordTokenizer if name == "nltk" else ToktokTokenizer)().tokenize
    return tokens


def _tweet_pieces(text: str) -> Iterator[str]:
    """`text` in pieces of at most _TWEET_CHARS, cut before white space; runs without any are broken up.

    Tokens do not change, except those longer than _TWEET_RUN and those with spaces inside (telephone
    numbers) where one happens to lie across a cut.
    """
    text = re.sub(rf"\S{{{_TWEET_RUN}}}(?=\S)", r"\g<0> ", text)
    return (piece[0] for piece in re.finditer(rf"(?s:.{{1,{_TWEET_CHARS}}}(?!\S))", text))
