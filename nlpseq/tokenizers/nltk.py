"""The tokenizers `nltk`, `toktok` and `tweet`, which need whole lines and load no NLTK data."""

from collections.abc import Callable
from functools import cache

from nlpseq.config import TextConfig
from nlpseq.tokenizers.pieces import pieces

__all__ = ["split_with_nltk"]

_TWEET_CHARS = 1000  # characters given to TweetTokenizer at a time
_TWEET_RUN = 250  # characters without white space


def split_with_nltk(text: str, config: TextConfig) -> list[str]:
    """Return the tokens that NLTK finds in a line.

    `nltk` is NLTKWordTokenizer (word_tokenize with preserve_line), `toktok` is ToktokTokenizer, and `tweet`
    is TweetTokenizer on pieces of the line, because long runs of digits or dots take quadratic time. Tokens
    longer than _TWEET_RUN are cut, and so are tokens with spaces inside (telephone numbers) at the end of a
    piece. All other tokens stay as they are.
    """
    split = _nltk_function(config.tokenizer_kind)
    if config.tokenizer == "tweet":
        return [token for piece in pieces(text, _TWEET_CHARS, _TWEET_RUN) for token in split(piece)]
    return split(text)


@cache
def _nltk_function(name: str) -> Callable[[str], list[str]]:
    from nltk.tokenize import NLTKWordTokenizer, ToktokTokenizer, TweetTokenizer  # takes about a second

    tokenizer = {"nltk": NLTKWordTokenizer, "toktok": ToktokTokenizer, "tweet": TweetTokenizer}[name]
    split: Callable[[str], list[str]] = tokenizer().tokenize
    return split
