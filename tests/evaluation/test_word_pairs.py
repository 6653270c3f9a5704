"""Word-pair files are read in every layout, and correlations equal SciPy's."""

import math
import random

import pytest
from support.languages import text_in
from support.random_vectors import random_model

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import DataError
from nlpseq.evaluation.files import COMMENT, line_numbers, unseen_words
from nlpseq.evaluation.word_pairs import (
    DECIMAL_COMMA,
    HEADING,
    TOO_MANY_WORDS,
    Pair,
    evaluate_pairs,
    read_pairs,
)
from nlpseq.vectors.vectors import Vectors

PAIR_FILES = {
    "tabs": "love\tsex\t6.77\ntiger\tcat\t7.35\n",
    "commas, a header": "Word 1,Word 2,Human (mean)\nlove,sex,6.77\ntiger,cat,7.35\n",
    "commas and spaces": "love, sex, 6.77\ntiger, cat, 7.35\n",
    "semicolons": "love;sex;6.77\ntiger;cat;7.35\n",
    "spaces": "love sex 6.77\ntiger  cat 7.35\n",
    "spaces and tabs": "love sex\t6.77\ntiger \tcat 7.35\n",
    "comments and empty lines": "# set\n\nlove\tsex\t6.77\n\n# more\ntiger\tcat\t7.35\n",
    "more columns": "word1\tword2\tPOS\tscore\tother\nlove\tsex\tN\t6.77\t1\ntiger\tcat\tN\t7.35\t2\n",
    "more numbers": "love sex 6.77 1 2\ntiger cat 7.35 9 8\n",
    "quoted commas": '"word 1","word 2",score\n"love","sex","6.77"\n"tiger","cat",7.35\n',
    "quoted tabs": '"love"\tsex\t"6.77"\ntiger\t"cat"\t7.35\n',
    "quoted spaces": '"love" "sex" 6.77\n"tiger" "cat" 7.35\n',
    "decimal commas, tabs": "love\tsex\t6,77\ntiger\tcat\t7,35\n",
    "decimal commas, semicolons": "a;b;score\nlove;sex;6,77\ntiger;cat;7,35\n",
    "decimal comma in the first line": "love\tsex\t6,77\ntiger\tcat\t7.35\n",
    "numbered lines": "id a b score\n1 love sex 6.77\n2 tiger cat 7.35\n",
    "numbered lines, no heading": "1,love,sex,6.77\n2,tiger,cat,7.35\n",
    "a byte order mark and CRLF": "\ufefflove\tsex\t6.77\r\ntiger\tcat\t7.35\r\n",
}


@pytest.mark.parametrize("text", PAIR_FILES.values(), ids=PAIR_FILES)
def test_read_pairs_of_every_layout(tmp_path, text):
    (tmp_path / "pairs").write_bytes(text.encode())
    found = read_pairs(tmp_path / "pairs")
    assert found.pairs == [Pair("love", "sex", 6.77), Pair("tiger", "cat", 7.35)]
    assert set(found.unused) <= {HEADING, COMMENT}


UNUSED_LINES = {
    "no score": ("a\tb\t1\nc\td\n", {"no score": [2]}),
    "nan": ("a\tb\t1\nc\td\tnan\n", {"no score": [2]}),
    "too large": ("a\tb\t1\nc\td\t1e999\n", {"no score": [2]}),
    "decimal commas between commas": ("a,b,1.5\nc,d,7,35\n", {DECIMAL_COMMA: [2]}),
    "digits of Python": ("a b 1\nc d 1_0\n", {"no score": [2]}),
    "empty word": ("a\tb\t1\n\td\t2\n", {"fewer than two words": [2]}),
    "a phrase": ("a b 1\nice cream milk 5\n", {TOO_MANY_WORDS: [2]}),
    "a phrase in the first line": ("ice cream milk 5\na b 1\n", {TOO_MANY_WORDS: [1]}),
    "two lines of heading": ("head\nmore\na\tb\t1\n", {HEADING: [1], "fewer than two words": [2]}),
    "no line number": ("1\ta\tb\t1\n2\tc\td\t2\n3\te\tf\t3\ng\th\t4\n", {"no line number": [4]}),
    "everything": (
        "# a\nw1 w2 s\n\na b 1\nice cream milk 5\nc d x\n#\nalone\n",
        {COMMENT: [1, 7], HEADING: [2], TOO_MANY_WORDS: [5], "no score": [6], "fewer than two words": [8]},
    ),
}


@pytest.mark.parametrize(("text", "unused"), UNUSED_LINES.values(), ids=UNUSED_LINES)
def test_unused_lines_are_counted_by_reason(tmp_path, text, unused):
    (tmp_path / "pairs").write_text(text)
    found = read_pairs(tmp_path / "pairs")
    assert line_numbers(found.unused) == unused
    num_lines = len([line for line in text.splitlines() if line])
    assert len(found.pairs) + sum(map(len, unused.values())) == num_lines


def test_numbers_are_words_without_line_numbers(tmp_path):
    (tmp_path / "pairs").write_text("9\televen\t2\n3\tthree\t10\n")
    assert read_pairs(tmp_path / "pairs").pairs == [Pair("9", "eleven", 2), Pair("3", "three", 10)]


def test_words_keep_spaces_quotes_and_odd_ends(tmp_path):
    (tmp_path / "pairs").write_text('ice cream\tmilk\t5\n"a\tb"\tc\u2028d\t6\nrock n\u00a0roll\tx\t7\n')
    found = read_pairs(tmp_path / "pairs").pairs
    words = [("ice cream", "milk"), ("a\tb", "c\u2028d"), ("rock n\u00a0roll", "x")]
    assert [pair[:2] for pair in found] == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no word pairs with a score. Name another file, or write"),
        ("# nothing\n", "holds no word pairs"),
        ("a,b,7,35\nc,d,1,0\n", r"with a score, but two whole numbers, perhaps .* comma \(line 1\)"),
        ("ice cream milk 5\n", r"with a score, but too many words \(line 1\)\. .* separated by tabs"),
        (b"\xff\xfe\x00", "line 1, byte 2 is invalid in utf-16-le"),
        (
            b"caf\xe9\tth\xe9\t7.5\nking\tqueen\t8\n",
            r"line 1, byte 3 is invalid in utf-8\. .*iconv -f \S+ -t utf-8 .*pairs > NEW",
        ),
        (
            text_in("Russian", "koi8_r", 400),
            r"line 1, byte 2 is invalid in utf-8\. .*iconv -f koi8_r -t utf-8 .*pairs > NEW",
        ),
    ],
)
def test_files_without_pairs_are_refused(tmp_path, text, message):
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
    assert found[:4] == pytest.approx((*spearman, *pearson)) and found[4:] == (40, 0, None)


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


def test_words_without_a_vector_are_unknown():
    model = random_model()
    model.matrix[7] = 0
    known = [Pair("w1", "w2", 1.0), Pair("w3", "w4", 2.0), Pair("w5", "w6", 4.0)]
    found = evaluate_pairs(model, [*known, Pair("w1", "w7", 9.0), Pair("W7", "w7", 9.0)])
    assert found[:4] == evaluate_pairs(model, known)[:4] and (found.used, found.oov) == (3, 2)
    found = unseen_words(model, ["w1", "w7", "zebra", "W7", "w7"])
    assert found == {"oov_words": ["w7", "zebra", "W7"], "from_subwords": []}


UNDEFINED = {
    "2 pairs used, and a correlation needs 3": [Pair("w1", "w2", 1.0), Pair("w1", "w3", 2.0)],
    "0 pairs used, and a correlation needs 3": [Pair("w1", "zebra", 1.0)] * 4,
    "all scores are equal": [Pair("w1", f"w{v}", 1.0) for v in range(5)],
    "all cosines are equal": [Pair("w1", "w2", float(score)) for score in range(5)],
}


@pytest.mark.parametrize(("reason", "pairs"), UNDEFINED.items(), ids=UNDEFINED)
def test_undefined_correlation_has_a_reason(reason, pairs):
    found = evaluate_pairs(random_model(), pairs)
    assert all(map(math.isnan, found[:4])) and found.reason == reason


def test_pairs_with_a_word_not_in_the_text_are_oov():
    model = random_model(9)
    words = ["W1", *model.vocab.words[1:]]  # W1 and w2 are in no text
    counts = [0, 5, 0, *[5] * 6]
    vectors = Vectors(Vocab(words, counts), model.matrix)
    pairs = [Pair(f"w{n}", f"w{n + 1}", score=float(n)) for n in range(3, 7)]
    more = [Pair("W1", "w3", 2.0), Pair("w3", "w2", 1.0)]
    found = evaluate_pairs(vectors, pairs + more)
    assert (found.used, found.oov) == (5, 1), "W1 is found in lower case"


def test_one_word_that_is_a_number_is_no_line_number(tmp_path):
    (tmp_path / "pairs.tsv").write_text("king\tqueen\t5\nman\twoman\t4\n911\tpolice\tfire\t3\n")
    pairs = read_pairs(tmp_path / "pairs.tsv").pairs
    assert [tuple(pair) for pair in pairs] == [
        ("king", "queen", 5),
        ("man", "woman", 4),
        ("911", "police", 3),
    ]
