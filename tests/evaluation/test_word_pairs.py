"""Word-pair files are read in every layout, and correlations equal SciPy's."""

import math
import random

import pytest
from support.languages import text_in
from support.random_vectors import random_model

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import DataError
from nlpseq.evaluation.word_pairs import Pair, evaluate_pairs, read_pairs
from nlpseq.vectors.vectors import Vectors

PAIR_FILES = {
    "tabs": "love\tsex\t6.77\ntiger\tcat\t7.35\n",
    "commas, a header": "Word 1,Word 2,Human (mean)\nlove,sex,6.77\ntiger,cat,7.35\n",
    "spaces": "love sex 6.77\ntiger  cat 7.35\n",
    "comments and empty lines": "# set\n\nlove\tsex\t6.77\n\n# more\ntiger\tcat\t7.35\n",
    "more columns": "word1\tword2\tPOS\tscore\tother\nlove\tsex\tN\t6.77\t1\ntiger\tcat\tN\t7.35\t2\n",
    "quoted fields": '"word 1","word 2",score\n"love","sex","6.77"\n"tiger","cat",7.35\n',
    "numbered lines": "id a b score\n1 love sex 6.77\n2 tiger cat 7.35\n",
    "numbered lines, no heading": "1,love,sex,6.77\n2,tiger,cat,7.35\n",
    "a byte order mark and CRLF": "\ufefflove\tsex\t6.77\r\ntiger\tcat\t7.35\r\n",
}


@pytest.mark.parametrize("text", PAIR_FILES.values(), ids=PAIR_FILES)
def test_read_pairs_of_every_layout(tmp_path, text):
    (tmp_path / "pairs").write_bytes(text.encode())
    assert read_pairs(tmp_path / "pairs") == [Pair("love", "sex", 6.77), Pair("tiger", "cat", 7.35)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no word pairs"),
        ("# nothing\n", "holds no word pairs"),
        ("a\tb\t1\nc\td\n", "line 2 is not a word pair with a score"),
        ("head\nmore\na\tb\t1\n", "line 2 is not a word pair"),
        ("a\tb\t1\n\td\t2\n", "line 2 is not a word pair"),
        ("a\tb\t1\nc\td\tnan\n", "line 2 is not a word pair"),
        (b"\xff\xfe\x00", "line 1, byte 2 is invalid in utf-16-le"),
        (
            text_in("Russian", "koi8_r", 400),
            r"line 1, byte 2 is invalid in utf-8\. .*iconv -f koi8_r -t utf-8 .*pairs > NEW",
        ),
    ],
)
def test_read_pairs_names_the_malformed_line(tmp_path, text, message):
    (tmp_path / "pairs").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        read_pairs(tmp_path / "pairs")
    with pytest.raises(DataError, match="absent: does not exist"):
        read_pairs(tmp_path / "absent")


def test_correlations_match_scipy():
    from scipy import stats

    model, chance = random_model(), random.Random(1)
    pairs = [Pair(f"w{chance.randrange(60)}", f"w{chance.randrange(60)}", chance.random()) for _ in range(40)]
    cosines = [model.similarity(pair.a, pair.b) for pair in pairs]
    scores = [pair.score for pair in pairs]
    found = evaluate_pairs(model, pairs)
    spearman, pearson = stats.spearmanr(cosines, scores), stats.pearsonr(cosines, scores)
    assert found[:4] == pytest.approx((*spearman, *pearson)) and found[4:] == (40, 0)


def test_unknown_words_are_skipped_or_zero():
    model = random_model()
    known = [Pair("w1", "w2", 1.0), Pair("W3", "w4", 2.0), Pair("w5", "W6", 4.0)]  # found in lower case
    unknown = [Pair("w1", "zebra", 9.0), Pair("zebra", "w1", -9.0)]
    without = evaluate_pairs(model, known)
    skipped = evaluate_pairs(model, known + unknown)
    assert skipped[:4] == without[:4] and (skipped.used, skipped.oov) == (3, 2)
    zero = evaluate_pairs(model, known + unknown, "zero")
    assert (zero.used, zero.oov) == (5, 2) and zero.spearman != skipped.spearman
    none = evaluate_pairs(model, unknown)
    assert math.isnan(none.spearman) and (none.used, none.oov) == (0, 2)


def test_equal_scores_have_no_correlation():
    assert math.isnan(evaluate_pairs(random_model(), [Pair("w1", f"w{v}", 1.0) for v in range(5)]).pearson)


def test_pairs_with_a_word_not_in_the_text_are_oov():
    model = random_model(9)
    words = ["W1", *model.vocab.words[1:]]  # W1 and w2 are in no text
    counts = [0, 5, 0, *[5] * 6]
    vectors = Vectors(Vocab(words, counts), model.matrix)
    pairs = [Pair(f"w{n}", f"w{n + 1}", score=float(n)) for n in range(3, 7)]
    more = [Pair("W1", "w3", 2.0), Pair("w3", "w2", 1.0)]
    found = evaluate_pairs(vectors, pairs + more)
    assert (found.used, found.oov) == (5, 1), "W1 is found in lower case"
