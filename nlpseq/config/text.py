"""Settings of reading and encoding text."""

from dataclasses import dataclass
from typing import Literal

from nlpseq.config.fields import Config, check, setting

__all__ = ["KEEPABLE", "TextConfig", "Tokenizer"]

Tokenizer = Literal["word", "whitespace", "char", "nltk", "toktok", "tweet"]
KEEPABLE = ("urls", "mentions", "hashtags", "numbers")


@dataclass(frozen=True, kw_only=True)
class TextConfig(Config):
    """How text becomes a vocabulary and token ids."""

    tokenizer: Tokenizer = setting("word", "rule that splits text into tokens")
    lower: bool = setting(True, "lower-case the text")
    punctuation: bool = setting(False, "keep each punctuation mark as a token (tokenizer `word`)")
    keep: str | None = setting(
        None, "keep whole, separated by commas: " + ", ".join(KEEPABLE) + " (tokenizer `word`)"
    )
    min_count: int = setting(5, "drop words with fewer occurrences", ge=1)
    max_vocab: int | None = setting(None, "largest vocabulary; keep the most frequent words", ge=1)
    encoding: str = setting("utf-8", "character encoding of the text")
    encoding_errors: Literal["replace", "strict"] = setting("replace", "replace invalid bytes, or fail")
    normalize: Literal["NFC", "NFKC", "none"] = setting("NFC", "Unicode normal form of the text")
    phrases: int = setting(
        0, "passes that join frequent word pairs into one token; 2 passes join up to 4 words", ge=0, le=8
    )
    phrase_score: Literal["word2phrase", "npmi"] = setting("word2phrase", "score of a word pair")
    phrase_threshold: float | None = setting(
        None, "lowest score of a phrase [default: 100 word2phrase, .5 npmi]"
    )
    phrase_min_count: int = setting(5, "fewest occurrences of a phrase and of each of its words", ge=1)
    valid_share: float = setting(0.0, "share of the tokens for validation, before the test split", ge=0, lt=1)
    test_share: float = setting(0.0, "share of the tokens for testing, at the end", ge=0, lt=1)

    word_rule: int = setting(2, "version of the rule for words", ge=1, le=2, before=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        check(not self.phrases or self.tokenizer != "char", self, "phrases", "0 for the tokenizer `char`")
        has_train = self.valid_share + self.test_share < 1
        check(has_train, self, "valid_share", "below 1 together with test_share, to leave text to train on")
        is_word = self.tokenizer == "word"
        check(is_word or not self.punctuation, self, "punctuation", "off unless the tokenizer is `word`")
        has_kept = is_word and self.word_rule > 1
        check(has_kept or not self.keep, self, "keep", "empty unless the tokenizer is `word`")
        known = set(KEEPABLE).issuperset((self.keep or KEEPABLE[0]).split(","))
        check(known, self, "keep", f"names separated by commas, of {', '.join(KEEPABLE)}")
        wanted = "a text encoding that Python knows, such as utf-8, utf-16 or cp949"
        check(_is_text_encoding(self.encoding), self, "encoding", wanted)


def _is_text_encoding(name: str) -> bool:
    if name.lower() in ("idna", "punycode"):  # because they encode host names, not text
        return False
    try:
        return isinstance("".encode(name), bytes)
    except (LookupError, TypeError, ValueError):
        return False
