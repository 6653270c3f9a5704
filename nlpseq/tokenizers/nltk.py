"""The tokenizers `nltk`, `toktok` and `tweet`, which need whole lines and load no NLTK data."""

import re
from collections.abc import Callable, Iterator
from functools import cache

from nlpseq.config import TextConfig, Tokenizer

__all__ = ["split_with_nltk"]

_TWEET_CHARS = 1000  # characters given to TweetTokenizer at a time
_TWEET_RUN = 250  # characters without white space, because long runs of digits or dots take quadratic time


def split_with_nltk(text: str, config: TextConfig) -> list[str]:
    """Return the tokens that NLTK finds in a line.

    `nltk` is NLTKWordTokenizer (word_tokenize with preserve_line), `toktok` is ToktokTokenizer, and `tweet`
    is TweetTokenizer on pieces of the line.
    """
    split = _nltk_function(config.tokenizer_kind)
    if config.tokenizer == "tweet":
        return [token for piece in _tweet_pieces(text) for token in split(piece)]
    return split(text)


@cache
def _nltk_function(name: Tokenizer) -> Callable[[str], list[str]]:
    from nltk.tokenize import NLTKWordTokenizer, ToktokTokenizer, TweetTokenizer  # takes about a second

    tokenizer = {"nltk": NLTKWordTokenizer, "toktok": ToktokTokenizer, "tweet": TweetTokenizer}[name]
    split: Callable[[str], list[str]] = tokenizer().tokenize
    return split


def _tweet_pieces(text: str) -> Iterator[str]:
    """Cut a line before white space into pieces of at most _TWEET_CHARS.

    Tokens longer than _TWEET_RUN are cut, and so are tokens with spaces inside (telephone numbers) at the end
    of a piece. All other tokens stay as they are.
    """
    text = re.sub(rf"\S{{{_TWEET_RUN}}}(?=\S)", r"\g<0> ", text)
    return (piece[0] for piece in re.finditer(rf"(?s:.{{1,{_TWEET_CHARS}}}(?!\S))", text))
