"""Settings of reading and encoding text."""

from dataclasses import dataclass
from typing import Literal, get_args

from nlpseq.config.fields import Config, check, setting

__all__ = ["BPE_SETTINGS", "TextConfig", "Tokenizer"]

Tokenizer = Literal["word", "whitespace", "char", "nltk", "toktok", "tweet", "bpe"]
# The only values with the tokenizer `bpe`, which keeps every byte and has all its tokens in the vocabulary.
BPE_SETTINGS = {"lower": False, "normalize": "none", "min_count": 1, "max_vocab": None, "phrases": 0}


@dataclass(frozen=True, kw_only=True)
class TextConfig(Config):
    """How text becomes a vocabulary and token ids.

    tokenizer: also the path of a tokenizer.json of byte-level BPE. With BPE the settings in BPE_SETTINGS have
    the values there, also in place of their usual defaults; any other value raises ConfigError.
    """

    tokenizer: str = setting(
        "word", "rule that splits text into tokens, or a tokenizer.json of byte-level BPE"
    )
    vocab_size: int = setting(8000, "tokens of the tokenizer `bpe`", ge=256, le=1_000_000)
    lower: bool = setting(True, "lower-case the text")
    punctuation: bool = setting(False, "keep each punctuation mark as a token (tokenizer `word`)")
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

    @property
    def tokenizer_kind(self) -> Tokenizer:
        """Return the name of the tokenizer, `bpe` for a tokenizer.json."""
        return "bpe" if self.tokenizer.endswith(".json") else self.tokenizer  # type: ignore[return-value]

    def __post_init__(self) -> None:
        names, wanted = get_args(Tokenizer), f"one of {', '.join(get_args(Tokenizer))} or FILE.json"
        check(isinstance(self.tokenizer, str) and self.tokenizer_kind in names, self, "tokenizer", wanted)
        super().__post_init__()
        for name, value in BPE_SETTINGS.items() if self.tokenizer_kind == "bpe" else ():
            is_default = getattr(self, name) in (value, TextConfig.__dataclass_fields__[name].default)
            check(is_default, self, name, f"{value} with the tokenizer `bpe`")
            object.__setattr__(self, name, value)
        has_size = self.tokenizer == "bpe" or self.vocab_size == TextConfig.vocab_size
        check(has_size, self, "vocab_size", "left out unless the tokenizer is `bpe`")
        check(not self.phrases or self.tokenizer != "char", self, "phrases", "0 for the tokenizer `char`")
        has_train = self.valid_share + self.test_share < 1
        check(has_train, self, "valid_share", "below 1 together with test_share, to leave text to train on")
        is_word = self.tokenizer == "word"
        check(is_word or not self.punctuation, self, "punctuation", "off unless the tokenizer is `word`")
        wanted = "a text encoding that Python knows, such as utf-8, utf-16 or cp949"
        check(_is_text_encoding(self.encoding), self, "encoding", wanted)


def _is_text_encoding(name: str) -> bool:
    if name.lower() in ("idna", "punycode"):  # because they encode host names, not text
        return False
    try:
        return isinstance("".encode(name), bytes)
    except (LookupError, TypeError, ValueError):
        return False
