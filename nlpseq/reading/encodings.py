"""Recognize the encoding of text other than UTF-8, from a sample.

Candidates come from charset-normalizer and from a list of usual encodings. A candidate is likely if the
sample, read in this encoding, has the letters of a language, the frequent letters among them, and words
without symbols, capitals or another script inside. Two likely candidates with different letters leave a
doubt, and no encoding is named.
"""

import codecs
import re
import string
import unicodedata
from collections import Counter
from functools import cache
from operator import ne
from typing import NamedTuple

__all__ = ["marked_encoding", "recognize"]

_MARKS = {  # UTF-32-LE before UTF-16-LE, because one mark begins with the other
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_ESCAPED = ("iso2022_kr", "iso2022_jp", "iso2022_jp_2", "iso2022_jp_ext")  # ASCII bytes with escape sequences
_WIDE = (  # bytes of a character, and the bytes of its higher half
    ("utf-32-le", 4, (2, 3)),
    ("utf-32-be", 4, (0, 1)),
    ("utf-16-le", 2, (1,)),
    ("utf-16-be", 2, (0,)),
)
_ESCAPE = re.compile(rb"\x1b\$(?:[@B]|\([@BCD]|\)C)")
_USUAL = (  # the first is named if several read the same letters
    *("cp949", "johab", "shift_jis", "cp932", "euc_jp", "gb18030", "big5", "cp950", "big5hkscs"),
    *("cp1252", "cp1251", "koi8_r", "koi8_u", "cp866", "iso8859_5", "mac_cyrillic", "cp1253", "iso8859_7"),
    *("cp1255", "cp1256", "iso8859_6", "cp874", "iso8859_15", "cp850", "mac_roman", "cp1250", "iso8859_2"),
    *("iso8859_4", "cp852", "cp1254", "cp1257", "cp1258"),
)
_ASCII = b"\nABCDEFGHIJKLMNOPQRSTUVWXYZ abcdefghijklmnopqrstuvwxyz 0123456789"
_NO_TEXT = ("Cc", "Cn", "Co", "Cs")  # controls, unassigned, private, surrogates
_MIN_LETTERS = 24  # beyond ASCII, in a sample
_MIN_NULS = 4  # in the high bytes of a sample in UTF-16
_MIN_FIT = 0.97  # share of the letters beyond ASCII that fit the language


class _Language(NamedTuple):
    letters: str  # beyond ASCII, lower case; a-z is a range
    frequent: str = ""  # letters that make up a share of the others
    min_frequent: float = 0.0
    has_words: bool = True  # signs stand between words only
    has_ascii: bool = False  # ASCII letters stand beside the others in a word
    min_share: float = 0.05  # of `letters` among all letters
    max_share: float = 1.0
    encodings: tuple[str, ...] = ("",)  # starts of their names; others have the same letters by chance


def _latin(letters: str) -> _Language:
    """Return a language with Latin letters; letters: beyond ASCII, the three most frequent first."""
    return _Language(letters, letters[:3], 0.25, has_ascii=True, min_share=0, max_share=0.4)


_HAN = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方"
    "多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从想实日者意无力与长机十民第公此使情明性知全三又"
    "关点正业外将两高间由问最重物手应向文体政美相见被利二等或新制加月話合回特代內信表化給位次度門任先通教原名入請输選择除數字"
    "這個們來為國說時會對於著過發後裡種經麼學現當沒動還進樣開從實無與長機關點業將兩間問應體見輸"
    "語本東京気電車何書読私者員社場方続総市県区町村世界今回約第号館駅間係思言分前後目的新型式用部内外上下合同性名最主要"
)
_HANGUL = (
    "이다는의에을고가하지로은한를기도사서들어나자대인그해아있수리시정과라장부전것일보으제여원주"
    "구스동국상성와년적만게했선자용력문"
)
_KANA = "のにはをたがでてとしれさいなるかあっうこらりきすけもくよンストルーアイ"
_JAPANESE = ("shift_j", "cp932", "euc_j")
_LANGUAGES = (
    _Language("가-힣ㄱ-ㆎ一-鿿豈-﫿", _HANGUL, 0.35, has_words=False),
    _Language("ぁ-ヿ一-鿿ｦ-ﾟ々", _KANA + _HAN, 0.3, has_words=False, encodings=_JAPANESE),
    _Language("一-鿿〇", _HAN, 0.25, has_words=False),
    _Language("а-яё", "оеаинтсрвл", 0.5),
    _Language("абвгґдеєжзиіїйклмнопрстуфхцчшщьюя", "оеаинтсрвлі", 0.5),
    _Language("абвгдеёжзійклмнопрстуўфхцчшыьэюя", "оеаінтсрвл", 0.45),
    _Language("абвгдђежзијклљмнњопрстћуфхцчџш", "оеаинтсрвј", 0.5),
    _Language("абвгдѓежзѕијклљмнњопрстќуфхцчџш", "оеаинтсрвј", 0.5),
    _Language("α-ωάέήίόύώϊϋΐΰ", "αοιετσνρκπ", 0.5),
    _Language("א-ת\u05b0-\u05c4", "יוהלאשרמתב", 0.5),
    _Language("\u0621-\u0652پچژگکیےںہھٹڈڑ", "اليومنرتبد", 0.5),
    _Language("\u0e01-\u0e5b", "านรอกเงมย่้ัิลวดทสต", 0.5),
    *map(
        _latin,
        (
            "éèàêçùâîôûëïœüæ", "üäöß", "óíáéúñü", "ãçáéíóõâêôúàü", "èàòéìù", "àéóèíòúçïü", "éëïèöüêä",
            "äåöéšž", "åøæéêòóôè", "áíðéóúýþæö", "äõüöšž", "ëç", "łęąćńóśźż", "íáěčďéňóřšťúůýž",
            "áýíäčďéľňóôšťúž", "áéöíóőúüű", "ăîâșțşţ", "čšžćđ", "ėšųąčęįūž", "āīēčģķļņšūž", "ıüşçğöâîû",
        ),
    ),
    _Language("àáâãèéêìíòóôõùúýăđĩũơư\u0300\u0301\u0303\u0309\u0323", "đưôêâơă", 0.3, has_ascii=True),
)  # fmt: skip
_BROKEN = re.compile("[ax]X|xA|[axAX]¦[axAX]")  # a capital or a symbol inside a word
_MIXED = re.compile("[aA][xX]|[xX][aA]")  # ASCII letters beside others
_JOINERS = "'’ʼ-‐‑\u00ad·\u200c\u200d\u00b4`"


class _Reading(NamedTuple):
    """A sample as one encoding reads it."""

    encoding: str
    text: str
    good: int  # letters of the best language
    bad: int  # other letters and signs, and broken words

    @property
    def is_likely(self) -> bool:
        return self.good >= _MIN_LETTERS and self.good >= _MIN_FIT * (self.good + self.bad)


def marked_encoding(head: bytes) -> str | None:
    """Return the encoding of the byte order mark at the start of a file, None without one."""
    return next((encoding for mark, encoding in _MARKS.items() if head.startswith(mark)), None)


def recognize(sample: bytes) -> str | None:
    """Return the encoding of text other than UTF-8, None in doubt.

    sample: the start of a file, or a part from between two characters on.
    """
    if _ESCAPE.search(sample):
        return next((name for name in _ESCAPED if _decode(sample, name, "strict") is not None), None)
    if b"\0" in sample:
        return _recognize_wide(sample)
    if sample.isascii():
        return None
    readings = [_judge(sample, name) for name in _candidates(sample)]
    likely = sorted(
        (each for each in readings if each and each.is_likely), key=lambda each: (each.bad, -each.good)
    )
    if not likely:
        return None
    best, *others = likely
    nearly = best.bad + max(2, best.bad // 2)
    equal = (each for each in others if each.bad <= nearly and each.good >= 0.99 * best.good)
    has_rival = any(_differ(each.text, best.text) for each in equal)
    return None if has_rival else best.encoding


def _recognize_wide(sample: bytes) -> str | None:
    """Recognize UTF-16 and UTF-32 by NUL bytes: the high bytes of spaces and of ASCII characters."""
    for encoding, width, high_bytes in _WIDE:
        nuls = [sample[start::width].count(0) / (len(sample) // width or 1) for start in range(width)]
        high = min(nuls[place] for place in high_bytes)
        is_many = high > 0.01 and high * len(sample) >= _MIN_NULS * width
        is_wide = high > 0.9 if width == 4 else is_many and high * 3 > sum(nuls) * 2
        text = _decode(sample, encoding, "strict") if is_wide else None
        if text and all(
            char in "\t\n\r\f" or unicodedata.category(char) not in _NO_TEXT for char in set(text)
        ):
            return encoding
    return None


def _differ(text: str, other: str) -> bool:
    """Tell if two readings of a sample differ in more than 1 % of the letters beyond ASCII."""
    if len(text) != len(other):
        return True
    num_letters = sum(1 for char in text if char > "\x7f" and _is_letter(char))
    num_different: int = sum(map(ne, text, other))
    return num_different * 100 > num_letters


def _candidates(sample: bytes) -> list[str]:
    from charset_normalizer import from_bytes

    proposed = [
        name for match in from_bytes(sample) for name in (match.encoding, *match.could_be_from_charset)
    ]
    extends_ascii = [
        name for name in proposed if _ASCII.decode(name, "replace") == _ASCII.decode()
    ]  # not EBCDIC
    return list(dict.fromkeys([*_USUAL, *extends_ascii]))


def _decode(sample: bytes, encoding: str, errors: str) -> str | None:
    """Decode a sample, without a character cut by the end; return None if decoding fails."""
    try:
        return codecs.getincrementaldecoder(encoding)(errors).decode(sample)
    except (UnicodeError, LookupError):
        return None


def _judge(sample: bytes, encoding: str) -> _Reading | None:
    """Read a sample in an encoding, as the language that fits best."""
    text = _decode(sample, encoding, "replace")
    if text is None or text.count("\ufffd") * 20 > len(text):
        return None
    counts = Counter(text)
    num_ascii = sum(counts[char] for char in string.ascii_letters)
    others = {char: count for char, count in counts.items() if not " " <= char <= "~"}
    best = _Reading(encoding, text, 0, 0)
    for language in _LANGUAGES:
        letters = _letters_of(language)
        fitting = {char for char in others if char.lower()[0] in letters}
        good = sum(others[char] for char in fitting)
        if encoding.startswith(language.encodings) and good > best.good - best.bad:
            rest = {
                char: count for char, count in others.items() if char not in fitting and not char.isspace()
            }
            frequent = sum(others[char] for char in fitting if char.lower() in language.frequent)
            capitals = sum(others[char] for char in fitting if char.isupper())
            is_usual = (
                frequent >= language.min_frequent * good and max(2 * capitals, sum(rest.values())) <= good
            )
            if is_usual and language.min_share <= good / (good + num_ascii) <= language.max_share:
                bad = sum(count for char, count in rest.items() if not _is_neutral(char))
                if language.has_words and good >= _MIN_FIT * (good + bad):
                    bad += _num_broken(text, others, fitting, language)
                best = max(best, _Reading(encoding, text, good, bad), key=lambda each: each.good - each.bad)
    return best


@cache
def _letters_of(language: _Language) -> frozenset[str]:
    """Return the letters of a language, with a-z written out."""
    ranges = re.sub(
        "(.)-(.)", lambda ends: "".join(map(chr, range(ord(ends[1]), ord(ends[2]) + 1))), language.letters
    )
    return frozenset(ranges)


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LM"


def _is_neutral(char: str) -> bool:
    """Tell if a character is usual in any text: punctuation, a sign, white space, a number."""
    return (
        char in "\t\n\r\f"
        or (unicodedata.category(char)[0] in "PZN" and char != "¶")
        or char in "°©®™€£¥$×±№"
    )


def _num_broken(text: str, others: dict[str, int], fitting: set[str], language: _Language) -> int:
    """Count words with a symbol, a capital or another script inside."""
    classes = {ord(char): ("X" if char.isupper() else "x") if char in fitting else "¦" for char in others}
    classes |= {ord(char): " " for char in {*_JOINERS, *filter(str.isspace, others)}}
    classes |= dict.fromkeys(range(ord("a"), ord("z") + 1), "a") | dict.fromkeys(
        range(ord("A"), ord("Z") + 1), "A"
    )
    shape = text.translate(classes)
    return len(_BROKEN.findall(shape)) + (0 if language.has_ascii else len(_MIXED.findall(shape)))
