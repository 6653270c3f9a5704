"""Letters of Hangul: every syllable comes back from its letters."""

import re
import unicodedata

from nlpseq.vectors.jamo import FINALS, INITIALS, VOWELS, split_syllables

SYLLABLES = [chr(code) for code in range(0xAC00, 0xD7A4)]


def join_letters(letters: str) -> str:
    """Return a text with a syllable for each three letters: the inverse of split_syllables."""

    def join(triple: re.Match[str]) -> str:
        initial, vowel, final = (
            known.index(letter) for known, letter in zip((INITIALS, VOWELS, FINALS), triple[0], strict=True)
        )
        return chr(0xAC00 + (initial * 21 + vowel) * 28 + final)

    return re.sub(f"[{INITIALS}][{VOWELS}][{FINALS}]", join, letters)


def test_every_syllable_comes_back_from_its_letters() -> None:
    assert len(SYLLABLES) == 11_172
    assert len({split_syllables(syllable) for syllable in SYLLABLES}) == len(SYLLABLES)
    for syllable in SYLLABLES:
        assert join_letters(split_syllables(syllable)) == syllable
    text = "".join(SYLLABLES)
    assert join_letters(split_syllables(text)) == text


def test_letters_are_those_of_unicode() -> None:
    """Compare the names of the letters with the names in the canonical decomposition."""
    for syllable in SYLLABLES:
        parts, letters = unicodedata.normalize("NFD", syllable), split_syllables(syllable)
        assert letters[2:] == "∅" or len(parts) == 3
        ours = [
            unicodedata.name(letter).removeprefix("HANGUL LETTER ") for letter in letters if letter != "∅"
        ]
        assert ours == [unicodedata.name(part).split()[2] for part in parts]


def test_other_characters_stay() -> None:
    assert split_syllables("K팝ㅋ!") == "Kㅍㅏㅂㅋ!"
    assert split_syllables("강아지") == "ㄱㅏㅇㅇㅏ∅ㅈㅣ∅"
    assert split_syllables("") == ""
