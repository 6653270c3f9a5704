"""Text without spaces is recognized, with the tokenizer for its script."""

import numpy as np
import pytest

from nlpseq.tokenizers.scripts import korean_notice, script_shares, tokenizer_for_script, unspaced_notice

JAPANESE = "彼は毎朝早く起きて近くの公園を散歩します"
CHINESE = "我们明天早上一起去北京大学图书馆看书"
THAI = "ฉันชอบอ่านหนังสือในห้องสมุดทุกวัน"


@pytest.mark.parametrize(
    ("text", "tokenizer"),
    [
        (JAPANESE, "fugashi"),
        (CHINESE, "jieba"),
        (THAI, "pythainlp"),
        ("아버지가방에들어가신다", "kiwi"),
        ("ខ្ញុំចូលចិត្តអានសៀវភៅ", "char"),
        ("donaudampfschifffahrt", "char"),
        ("", "char"),
    ],
)
def test_script_decides_the_tokenizer(text, tokenizer):
    assert tokenizer_for_script(text) == tokenizer


@pytest.mark.parametrize(
    ("words", "words_a_line", "notice"),
    [
        (["これは", "です"], [1, 2, 2], None),
        ([JAPANESE, JAPANESE], [2, 2], "words have 20 letters on average. Use --tokenizer fugashi."),
        (["早上好", "谢谢"], [1, 1, 2], "most lines are a single word. Use --tokenizer jieba."),
        (["a" * 13], [5], "words have 13 letters on average. Use --tokenizer char."),
        (["house", "garden"], [1, 1], None),  # a list of words
        ([], [], None),
    ],
)
def test_notice_for_long_words_or_single_words(words, words_a_line, notice):
    found = unspaced_notice(words, np.ones(len(words), np.int64), np.array(words_a_line, np.int64))
    assert found == (notice and f"Text without spaces: {notice}")


def test_script_shares_count_letters_once_an_occurrence():
    words = ["abc", "時計", "コーヒー", "Ａ", "々", "9!", "\ud800"]
    shares = script_shares(words, np.array([2, 4, 1, 1, 1, 50, 3]))
    assert shares == {"Han": 9 / 20, "Latin": 7 / 20, "Katakana": 4 / 20}
    assert list(shares) == ["Han", "Latin", "Katakana"]
    assert script_shares(["1"], np.array([3])) == {} == script_shares([], np.array([], np.int64))


@pytest.mark.parametrize(("counts", "is_korean"), [([3, 3, 5], True), ([3, 3, 6], False), ([3, 3, 7], False)])
def test_mostly_korean_words_give_a_note(counts, is_korean):
    found = korean_notice(["학교에서", "나는", "the"], np.array(counts, np.int64))
    assert (found is not None) == is_korean
    assert found is None or (found.startswith("note: Korean text") and "--tokenizer kiwi" in found)
