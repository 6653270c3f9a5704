"""N-grams, hashes and rows equal the plain reference and fastText; vectors are means of rows."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from reference import subwords as plain

from nlpseq.config import Ngrams
from nlpseq.vectors.subwords import Bags, SubwordVectors, count_ngrams, mean_rows, word_bags

WORDS = [
    "where",
    "강아지",
    "👩‍👩‍👧",
    "a",
    "",
    "café",
    "</s>",
    "hahaha",
    "𐍈",
    "<unk>",
    "\ud800",
    "\udce9\udc80x",
    "\udc80",
    "the" * 9,
]


def as_lists(bags: Bags) -> list[list[int]]:
    return [rows.tolist() for rows in np.split(bags.rows_N, bags.starts_V[1:-1])]


@pytest.mark.parametrize("lengths", [(3, 6), (1, 1), (1, 4), (2, 2), (20, 20)], ids=str)
@pytest.mark.parametrize("buckets", [1, 7, 2_000_000])
def test_word_bags_equal_reference(lengths: tuple[int, int], buckets: int) -> None:
    wanted = plain.rows(WORDS, *lengths, buckets)
    assert as_lists(word_bags(WORDS, Ngrams(*lengths), buckets)) == wanted


@given(st.lists(st.text(), min_size=1, max_size=20), st.integers(1, 5), st.integers(0, 3))
def test_word_bags_equal_reference_for_any_text(words: list[str], shortest: int, more: int) -> None:
    wanted = plain.rows(words, shortest, shortest + more, 1000)
    assert as_lists(word_bags(words, Ngrams(shortest, shortest + more), 1000)) == wanted


@pytest.mark.parametrize("buckets", [7, 2_000_000])
def test_word_bags_with_jamo_equal_reference(buckets: int) -> None:
    words = [*WORDS, "뷁", "K팝", "ㅋㅋㅋ", "강아지들은"]
    wanted = plain.rows(words, 1, 4, buckets, jamo=True)
    assert as_lists(word_bags(words, Ngrams(1, 4, "jamo"), buckets)) == wanted
    without = plain.rows(words, 1, 4, buckets)
    assert [len(more) > len(rows) for more, rows in zip(wanted, without, strict=True)] == [
        any("가" <= character <= "힣" for character in word) for word in words
    ]


@given(st.lists(st.text("강앎뚫ab이", max_size=6), min_size=1, max_size=9))
def test_word_bags_with_jamo_equal_reference_for_any_text(words: list[str]) -> None:
    wanted = plain.rows(words, 2, 3, 1000, jamo=True)
    assert as_lists(word_bags(words, Ngrams(2, 3, "jamo"), 1000)) == wanted


def test_inflected_forms_share_ngrams_of_letters() -> None:
    """Compare 달리다 and 달려서: a single common syllable, but five common letters."""
    rows = as_lists(word_bags(["달리다", "달려서"], Ngrams(2, 4, "jamo"), 2_000_000))
    alone = as_lists(word_bags(["달리다", "달려서"], Ngrams(2, 4), 2_000_000))
    assert len({*rows[0]} & {*rows[1]}) > 2 * len({*alone[0]} & {*alone[1]})


def test_rows_equal_known_rows_of_fasttext() -> None:
    """Compare with rows that fastText 0.10.4 gave for 9 words and 1,000 buckets."""
    words = ["강아지", "고양이", "👩‍👩‍👧", "the", "a", "𐍈", "ab", "café", "</s>"]
    found = as_lists(word_bags(words, Ngrams(3, 6), 1000))
    assert found[0] == [0, 514, 393, 291, 879, 137, 66]
    assert found[2] == [2, 94, 31, 436, 603, 913, 990, 221, 199, 907, 516, 688, 579, 325, 324]
    assert found[3] == [3, 160, 735, 969, 989, 943, 289]
    assert found[4] == [4, 609]
    assert found[7] == [7, 756, 840, 648, 196, 670, 610, 694, 371, 21, 706]
    assert found[8] == [8]


def test_no_words_have_no_rows() -> None:
    assert word_bags([], Ngrams(3, 6), 10).starts_V.tolist() == [0]
    assert count_ngrams([], Ngrams(3, 6), 10) == 0


def test_count_of_ngrams_equals_reference() -> None:
    hashes = {plain.fnv1a(ngram) for word in WORDS for ngram in plain.ngrams(word, 3, 6)}
    assert count_ngrams(WORDS, Ngrams(3, 6), 1_000_000) == len(hashes)
    assert count_ngrams(WORDS, Ngrams(3, 6), 5) == 5


def test_mean_rows_equal_plain_means() -> None:
    words = [f"word{number}" for number in range(9_000)]  # more than a block
    bags = word_bags(words, Ngrams(2, 3), 50)
    weight_RD = np.random.default_rng(1).normal(size=(9_050, 8)).astype(np.float32)
    wanted = [weight_RD[rows, :5].mean(axis=0) for rows in as_lists(bags)]
    np.testing.assert_allclose(mean_rows(bags, weight_RD, 5), wanted, atol=1e-6)


def test_unseen_word_is_mean_of_its_ngrams() -> None:
    rows_BD = np.random.default_rng(1).normal(size=(50, 5)).astype(np.float32)
    vectors = SubwordVectors(rows_BD, Ngrams(3, 6))
    rows = [plain.fnv1a(ngram) % 50 for ngram in plain.ngrams("강아지들", 3, 6)]
    found_VD = vectors.vectors(["강아지들", "", "</s>"])
    np.testing.assert_allclose(found_VD[0], rows_BD[rows].mean(axis=0), atol=1e-6)
    assert not found_VD[1:].any()


@pytest.mark.extras
def test_rows_equal_fasttext(tmp_path: Path) -> None:
    """Compare with the package fasttext-numpy2, if it is installed."""
    fasttext = pytest.importorskip("fasttext")
    (tmp_path / "corpus.txt").write_text("강아지 고양이 👩‍👩‍👧 the a 𐍈 ab café hahaha\n" * 5, "utf-8")
    for shortest, longest in ((3, 6), (1, 2)):
        settings = {"minn": shortest, "maxn": longest, "bucket": 1009, "dim": 4, "minCount": 1}
        model = fasttext.train_unsupervised(str(tmp_path / "corpus.txt"), epoch=1, verbose=0, **settings)
        found = as_lists(word_bags(model.words, Ngrams(shortest, longest), 1009))
        assert found == [model.get_subwords(word)[1].tolist() for word in model.words]
        ours = SubwordVectors(model.get_input_matrix()[len(model.words) :], Ngrams(shortest, longest))
        for word in ("강아지들", "unseen", "🙂🙂"):
            np.testing.assert_allclose(ours.vectors([word])[0], model.get_word_vector(word), atol=1e-6)
