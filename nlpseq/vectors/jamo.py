"""Split the syllables of Hangul into letters (jamo).

A syllable is an initial consonant, a vowel and perhaps a final consonant. Unicode numbers the syllables in
this order (The Unicode Standard, section 3.12):

    0xAC00 + (initial * 21 + vowel) * 28 + final

Here a syllable becomes three characters. A mark stands for a missing final consonant, so that every three
letters are one syllable (Park et al. 2018, ACL P18-1226):

    강아지    ㄱㅏㅇㅇㅏ∅ㅈㅣ∅

Letters that stand alone in a text stay as they are. So two texts can have the same letters: 강, and the three
letters ㄱㅏㅇ.
"""

from functools import cache

__all__ = ["FINALS", "INITIALS", "VOWELS", "split_syllables"]

INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
FINALS = "∅ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
FIRST_SYLLABLE = 0xAC00


def split_syllables(text: str) -> str:
    """Return a text with three characters for each syllable; other characters stay."""
    return text.translate(_letters())


@cache
def _letters() -> dict[int, str]:
    """Return the letters of each syllable by its code point."""
    triples = [initial + vowel + final for initial in INITIALS for vowel in VOWELS for final in FINALS]
    return dict(enumerate(triples, FIRST_SYLLABLE))
