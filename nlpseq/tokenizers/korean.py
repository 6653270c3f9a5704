"""The tokenizers `kiwi` and `mecab`: morphemes of Korean, and the spaces between written morphemes.

    학교에 갔다.     kiwi, mecab              학교 에 갔 다 .
                     morphemes="lemmas"       학교 에 가다 었 다 .       (mecab: 았)

Written morphemes are pieces of the text: morphemes with a common syllable stay one token, and `space_before`
can restore a text from its tokens. Lemmas keep all morphemes apart; verbs and adjectives get -다.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from typing import Any

from nlpseq.config import TextConfig
from nlpseq.errors import ConfigError
from nlpseq.reading.normalize import normalize
from nlpseq.tokenizers.pieces import pieces

__all__ = ["space_before", "split_with_kiwi", "split_with_mecab"]

Tagged = tuple[str, str]  # a morpheme and its tag; several tags of one token are joined by +

_VERBS = ("VV", "VA", "VX", "VCP", "VCN")  # tags of mecab-ko-dic for stems that are cited with -다
_QUOTES = "\"'“‘《〈「『"
_EXPRESSION, _TYPE = 7, 4  # fields of a feature in mecab-ko-dic


def split_with_kiwi(text: str, config: TextConfig) -> list[str]:
    """Return the morphemes of a line, found by Kiwi."""
    kiwi = _kiwi(config.user_dictionary)
    found: list[Tagged] = []
    for piece in pieces(text):
        tokens = kiwi.tokenize(piece, compatible_jamo=True)
        if config.morphemes == "lemmas":
            found += [(token.lemma, token.tag) for token in tokens]
        else:
            found += _merge_fused(piece, tokens)
    return _keep(found, config.pos)


def split_with_mecab(text: str, config: TextConfig) -> list[str]:
    """Return the morphemes of a line, found by mecab-ko."""
    tagger, found = _mecab(), list[Tagged]()
    for piece in pieces(text):
        for line in tagger.parse(piece).split("\n")[:-2]:  # without EOS and the end
            written, _, feature = line.partition("\t")
            if config.morphemes == "lemmas":
                found += _lemmas(written, feature.split(","))
            else:
                found.append((written, feature.partition(",")[0]))
    return _keep(found, config.pos)


def _keep(morphemes: Iterable[Tagged], pos: str | None) -> list[str]:
    """Return the morphemes whose first tag begins with one of `pos`, all without it."""
    wanted = tuple((pos or "").split(","))  # every tag begins with ""
    return [part for morpheme, tag in morphemes if tag.startswith(wanted) for part in morpheme.split()]


def _merge_fused(text: str, tokens: Iterable[Any]) -> Iterator[Tagged]:
    """Yield the written form of Kiwi's tokens, one piece for all tokens with a common syllable."""
    start = end = 0
    tags = ""
    for token in sorted(tokens, key=lambda token: token.span):
        if token.start >= end:
            if tags:
                yield text[start:end], tags
            start, end, tags = token.start, token.end, token.tag
        else:
            end = max(end, token.end)
            tags += "+" + token.tag
    if tags:
        yield text[start:end], tags


def _lemmas(written: str, feature: list[str]) -> Iterator[Tagged]:
    """Yield the lemmas of a morpheme of mecab-ko-dic, several if it is an inflected form."""
    morphemes = [(written, feature[0])]
    if len(feature) > _EXPRESSION and feature[_TYPE] == "Inflect":  # 가/VV/*+았/EP/*
        parts = [part.split("/") for part in feature[_EXPRESSION].split("+")]
        morphemes = [(part[0], part[1]) for part in parts]
    for morpheme, tag in morphemes:
        yield morpheme + "다" * (tag in _VERBS), tag


@lru_cache(maxsize=1)  # because a Kiwi takes 400 MB
def _kiwi(user_dictionary: str | None) -> Any:
    """Load Kiwi, in about a second."""
    from kiwipiepy import Kiwi

    kiwi = Kiwi(num_workers=1, load_multi_dict=False)  # names of several words would be one token
    for number, line in enumerate((user_dictionary or "").splitlines(), 1):
        if not line:
            continue
        word, tag, *score = normalize(line, "NFC").split("\t")
        try:
            for form in {word, word.lower()}:  # because the text may be lower-cased
                kiwi.add_user_word(form, tag, *map(float, score))
        except ValueError as error:
            raise ConfigError(
                f"user_dictionary: line {number} is refused by Kiwi ({error}). Correct the line."
            ) from error
    return kiwi


@cache
def _mecab() -> Any:
    from mecab_ko import Tagger

    return Tagger()


def space_before(tokens: Sequence[str], guesses: Sequence[bool], config: TextConfig) -> list[bool]:
    """Return True for each written morpheme with a space before it.

    guesses: the same by rules for punctuation. Every False is final, and so is a True before quotes and
    between characters other than Hangul. For all others, Kiwi decides.
    """
    text = "".join(tokens[:1])
    for (before, after), guess in zip(pairwise(tokens), guesses[1:], strict=True):
        is_up_to_kiwi = after[0] not in _QUOTES and (_is_hangul(before[-1]) or _is_hangul(after[0]))
        text += " " * (guess and not is_up_to_kiwi) + after
    spaced, num_chars = set(), 0  # numbers of characters before a space
    for char in _kiwi(config.user_dictionary).space(text):
        if char.isspace():
            spaced.add(num_chars)
        else:
            num_chars += 1
    starts = accumulate(map(len, tokens), initial=0)
    return [guess and start in spaced for start, guess in zip(starts, guesses, strict=False)]


def _is_hangul(char: str) -> bool:
    return "가" <= char <= "힣" or "ㄱ" <= char <= "ㆎ"
