"""Settings of reading and encoding text."""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

from nlpseq.config.fields import Config, check, setting
from nlpseq.errors import ConfigError

__all__ = ["BPE_SETTINGS", "FORMATS", "KEEPABLE", "KOREAN", "TOKENIZER_GROUP", "TOKEN_SETTINGS"]
__all__ += ["Format", "Sentences", "TextConfig", "Tokenizer", "kind_of_tokenizer"]

Format = Literal["auto", "text", "jsonl", "json", "csv", "tsv", "parquet", "arrow"]
FORMATS: dict[Format, str] = {  # titles, for messages
    "text": "plain text",
    "jsonl": "JSON lines",
    "json": "JSON",
    "csv": "CSV",
    "tsv": "TSV",
    "parquet": "Parquet",
    "arrow": "Arrow",
}
Sentences = Literal["lines", "documents", "punctuation"]
Tokenizer = Literal[  # of nlpseq; installed packages add more, as entry points of TOKENIZER_GROUP
    "word", "whitespace", "char", "nltk", "toktok", "tweet", "bpe",
    "kiwi", "mecab", "jieba", "fugashi", "pythainlp",
]  # fmt: skip
TOKENIZER_GROUP = "nlpseq.tokenizers"
# The only values with the tokenizer `bpe`, which keeps every byte and has all its tokens in the vocabulary.
BPE_SETTINGS = {"lower": False, "normalize": "none", "min_count": 1, "max_vocab": None, "phrases": 0}
TOKEN_SETTINGS = (  # which decide the tokens of a text; two texts of one vocabulary need the same
    "tokenizer", "vocab_size", "lower", "punctuation", "keep", "normalize", "morphemes", "pos",
    "user_dictionary", "phrases", "word_rule",
)  # fmt: skip
KOREAN = ("kiwi", "mecab")  # tokenizers with morphemes and parts of speech
_TOKENIZERS_OF_SETTINGS: dict[str, tuple[str, ...]] = {  # settings that other tokenizers lack
    "vocab_size": ("bpe",),
    "punctuation": ("word",),
    "keep": ("word",),
    "morphemes": KOREAN,
    "pos": KOREAN,
    "user_dictionary": ("kiwi",),
}
_KOREAN_TAGS = (  # of the Sejong corpus, with the additions of Kiwi and mecab-ko-dic
    " NNG NNP NNB NNBC NR NP VV VA VX VCP VCN MM MAG MAJ IC JKS JKC JKG JKO JKB JKV JKQ JX JC EP EF EC ETN"
    " ETM XPN XSN XSV XSA XSM XR SF SP SS SSO SSC SE SO SW SL SH SN SB SC SY UN UNKNOWN W_URL W_EMAIL"
    " W_MENTION W_HASHTAG W_SERIAL W_EMOJI Z_CODA Z_SIOT USER0 USER1 USER2 USER3 USER4"
)
_DICTIONARY_LINE = re.compile(r"\S+\t[A-Z0-9_]+(\t-?\d+(\.\d+)?)?")
KEEPABLE = ("urls", "mentions", "hashtags", "numbers")


def kind_of_tokenizer(tokenizer: str) -> str:
    """Return the name of a tokenizer, `bpe` for the path of a tokenizer.json."""
    return "bpe" if tokenizer.endswith(".json") else tokenizer


@dataclass(frozen=True, kw_only=True)
class TextConfig(Config):
    """How text becomes a vocabulary and token ids.

    tokenizer: also the path of a tokenizer.json of byte-level BPE. With BPE the settings in BPE_SETTINGS have
    the values there, also in place of their usual defaults; any other value raises ConfigError.
    """

    column: str | None = setting(
        None, "column of a table, or key of JSON records, with the text; meta.body is a key within a key"
    )
    format: Format = setting("auto", "format of the files; auto recognizes the content")
    sentences: Sentences = setting(
        "lines", "a sentence is a line, a document, or ends at . ! ? and at blank lines"
    )
    tokenizer: str = setting(
        "word",
        f"rule that splits text into tokens: {', '.join(get_args(Tokenizer))}, or a tokenizer.json of "
        "byte-level BPE",
    )
    vocab_size: int = setting(8000, "tokens of the tokenizer `bpe`", ge=256, le=1_000_000)
    lower: bool = setting(True, "lower-case the text")
    punctuation: bool = setting(
        False, "keep each punctuation mark as a token (tokenizer `word`; other tokenizers always keep marks)"
    )
    keep: str | None = setting(
        None, "keep whole, separated by commas: " + ", ".join(KEEPABLE) + " (tokenizer `word`)"
    )
    min_count: int = setting(5, "drop words with fewer occurrences", ge=1)
    max_vocab: int | None = setting(None, "largest vocabulary; keep the most frequent words", ge=1)
    encoding: str = setting("utf-8", "encoding of files that have no byte order mark and are not UTF-8")
    encoding_errors: Literal["replace", "strict"] = setting("replace", "replace invalid bytes, or fail")
    normalize: Literal["NFC", "NFKC", "none"] = setting("NFC", "Unicode normal form of the text")
    morphemes: Literal["written", "lemmas"] = setting(
        "written", "morphemes as they are written, or their lemmas (tokenizers `kiwi` and `mecab`)"
    )
    pos: str | None = setting(
        None, "parts of speech to keep, such as NNG,NNP,V (tokenizers `kiwi` and `mecab`) [default: all]"
    )
    user_dictionary: str | None = setting(
        None, "words to know, a line each: word, tab, tag (tokenizer `kiwi`)", unit="file"
    )
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

    @property
    def tokenizer_kind(self) -> str:
        """Return the name of the tokenizer, `bpe` for the path of a tokenizer.json."""
        return kind_of_tokenizer(self.tokenizer)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_tokenizer(self)
        _check_settings_of_tokenizers(self)
        _check_korean(self)
        _apply_bpe(self)
        check(not self.phrases or self.tokenizer != "char", self, "phrases", "0 for the tokenizer `char`")
        has_train = self.valid_share + self.test_share < 1
        check(has_train, self, "valid_share", "below 1 together with test_share, to leave text to train on")
        check(self.word_rule > 1 or not self.keep, self, "keep", "empty with the word rule 1")
        known = set(KEEPABLE).issuperset((self.keep or KEEPABLE[0]).split(","))
        check(known, self, "keep", f"names separated by commas, of {', '.join(KEEPABLE)}")
        wanted = "a text encoding that Python knows, such as utf-8, utf-16 or cp949"
        check(_is_text_encoding(self.encoding), self, "encoding", wanted)


def _check_tokenizer(config: TextConfig) -> None:
    names = list(get_args(Tokenizer))
    if config.tokenizer_kind in names:
        return
    from importlib.metadata import entry_points  # late, because a search of installed packages takes time

    names += entry_points(group=TOKENIZER_GROUP).names
    close = get_close_matches(config.tokenizer, names, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    wanted = f"one of {', '.join(names)}{hint}, of an installed package, or FILE.json"
    check(config.tokenizer in names, config, "tokenizer", wanted)


def _check_settings_of_tokenizers(config: TextConfig) -> None:
    """Raise ConfigError for a setting that the tokenizer lacks."""
    for name, tokenizers in _TOKENIZERS_OF_SETTINGS.items():
        default = getattr(TextConfig, name)  # or "", which asks for nothing
        if config.tokenizer not in tokenizers and (getattr(config, name) or default) != default:
            others = "s" * (len(tokenizers) > 1) + " " + " and ".join(tokenizers)
            raise ConfigError(
                f"{name}: works with the tokenizer{others} alone. "
                f"Use --tokenizer {' or '.join(tokenizers)}, or leave out --{name.replace('_', '-')}."
            )


def _apply_bpe(config: TextConfig) -> None:
    """Give the settings in BPE_SETTINGS their values there if the tokenizer is BPE."""
    for name, value in BPE_SETTINGS.items() if config.tokenizer_kind == "bpe" else ():
        is_default = getattr(config, name) in (value, TextConfig.__dataclass_fields__[name].default)
        check(is_default, config, name, f"{value} with the tokenizer `bpe`")
        object.__setattr__(config, name, value)


def _check_korean(config: TextConfig) -> None:
    if config.pos is not None:
        for tag in config.pos.split(","):
            is_known = tag != "" and f" {tag}" in _KOREAN_TAGS
            check(
                is_known, config, "pos", f"one or more, with commas, of{_KOREAN_TAGS}, or beginnings of these"
            )
    if config.user_dictionary is not None:
        for number, line in enumerate(config.user_dictionary.splitlines(), 1):
            if line and not _DICTIONARY_LINE.fullmatch(line):
                raise ConfigError(
                    f"user_dictionary: line {number} is {line[:80]!r}. "
                    "Write a word without spaces, a tab and a tag such as NNP."
                )


def _is_text_encoding(name: str) -> bool:
    if name.lower() in ("idna", "punycode"):  # because they encode host names, not text
        return False
    try:
        return isinstance("".encode(name), bytes)
    except (LookupError, TypeError, ValueError):
        return False
