"""Recognition of encodings: right names for long text, none or right names for short text."""

import pytest
from support.languages import SENTENCES, text_in

from nlpseq.reading.encodings import recognize

ENCODINGS = {
    "Arabic": "cp1256 iso8859_6",
    "Chinese": "gb18030 gbk",
    "Chinese, traditional": "big5 cp950",
    "Czech": "cp1250 iso8859_2",
    "French": "cp1252 iso8859_15 cp850 mac_roman",
    "German": "cp1252 cp437",
    "Greek": "cp1253 iso8859_7",
    "Hebrew": "cp1255",
    "Hungarian": "cp1250",
    "Japanese": "shift_jis euc_jp iso2022_jp",
    "Korean": "cp949 euc_kr iso2022_kr johab utf_16_le utf_32_be",
    "Polish": "cp1250 iso8859_2 cp852",
    "Russian": "cp1251 koi8_r cp866 iso8859_5 mac_cyrillic utf_16_be",
    "Spanish": "cp1252 utf_16_le",
    "Thai": "cp874",
    "Turkish": "cp1254",
    "Ukrainian": "cp1251 koi8_u",
}
CASES = [(language, encoding) for language, names in ENCODINGS.items() for encoding in names.split()]


@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_long_text_is_recognized(language, encoding):
    sample = text_in(language, encoding, 20_000)
    found = recognize(sample)
    assert found is not None
    assert sample.decode(found) == sample.decode(encoding)


@pytest.mark.parametrize(("language", "encoding"), CASES)
def test_short_text_gets_no_wrong_name(language, encoding):
    for num_bytes in (60, 200):
        sample = text_in(language, encoding, num_bytes)
        found = recognize(sample)
        assert found is None or sample.decode(found) == sample.decode(encoding)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        pytest.param("Ĝis revido, ĉiuj ĵaŭdaj ŝipanoj! Ĉu ĥoro?\n", "iso8859_3", id="Esperanto"),
        pytest.param("Қазақ тілі — ғажап, үлкен өлкенің әні.\n", "kz1048", id="Kazakh"),
        pytest.param("Ŵyth gŵr yn y tŷ, a'r ŷd yn tyfu.\n", "iso8859_14", id="Welsh"),
    ],
)
def test_language_without_letters_here_gets_no_name(text, encoding):
    assert recognize(text.encode(encoding) * 99) is None


@pytest.mark.parametrize("language", ["Korean", "Japanese", "Chinese", "Russian"])
def test_sample_may_end_inside_a_character(language):
    encoding = {"Korean": "cp949", "Japanese": "shift_jis", "Chinese": "gb18030", "Russian": "koi8_r"}[
        language
    ]
    whole = text_in(language, encoding, 4_000)
    assert {recognize(whole[:end]) for end in range(3_000, 3_004)} == {encoding}


def test_bytes_without_language_get_no_name():
    assert recognize(b"plain ASCII text, \x1b[31mred\x1b[0m\n" * 99) is None
    assert recognize(bytes(range(1, 256)) * 99) is None
    assert recognize(b"\0\1\0\2\0\3" * 99) is None
    assert set(ENCODINGS) == set(SENTENCES)
