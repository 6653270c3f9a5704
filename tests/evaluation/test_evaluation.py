"""Word pairs, analogies and overlap, held against SciPy, plain loops and gensim."""

import math
import random

import numpy as np
import pytest

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError, DataError
from nlpseq.evaluation import analogies as analogies_module
from nlpseq.evaluation.analogies import Section, evaluate_analogies, read_analogies
from nlpseq.evaluation.neighbor_overlap import neighbor_overlap
from nlpseq.evaluation.word_pairs import Pair, evaluate_pairs, read_pairs
from nlpseq.vectors.vectors import Vectors


def vectors(num_words=60, dim=8, seed=0):
    rng = np.random.default_rng(seed)
    words = Vocab([f"w{v}" for v in range(num_words)], np.arange(num_words, 0, -1))
    return Vectors(words, rng.normal(size=(num_words, dim)).astype(np.float32))


PAIR_FILES = {
    "tabs": "love\tsex\t6.77\ntiger\tcat\t7.35\n",
    "commas, a header": "Word 1,Word 2,Human (mean)\nlove,sex,6.77\ntiger,cat,7.35\n",
    "spaces": "love sex 6.77\ntiger  cat 7.35\n",
    "remarks and empty lines": "# set\n\nlove\tsex\t6.77\n\n# more\ntiger\tcat\t7.35\n",
    "more columns": "word1\tword2\tPOS\tscore\tother\nlove\tsex\tN\t6.77\t1\ntiger\tcat\tN\t7.35\t2\n",
    "quoted fields": '"word 1","word 2",score\n"love","sex","6.77"\n"tiger","cat",7.35\n',
    "numbered lines": "id a b score\n1 love sex 6.77\n2 tiger cat 7.35\n",
    "numbered lines, no heading": "1,love,sex,6.77\n2,tiger,cat,7.35\n",
    "a byte order mark and CRLF": "\ufefflove\tsex\t6.77\r\ntiger\tcat\t7.35\r\n",
}


@pytest.mark.parametrize("text", PAIR_FILES.values(), ids=PAIR_FILES)
def test_pairs_are_read_however_they_are_parted(tmp_path, text):
    (tmp_path / "pairs").write_bytes(text.encode())
    assert read_pairs(tmp_path / "pairs") == [Pair("love", "sex", 6.77), Pair("tiger", "cat", 7.35)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no pairs"),
        ("# nothing\n", "holds no pairs"),
        ("a\tb\t1\nc\td\n", "line 2, is no pair of words with a score"),
        ("head\nmore\na\tb\t1\n", "line 2, is no pair"),
        ("a\tb\t1\n\td\t2\n", "line 2, is no pair"),
        ("a\tb\t1\nc\td\tnan\n", "line 2, is no pair"),
        (b"\xff\xfe\x00", "cannot be read as text"),
    ],
)
def test_what_are_no_pairs_is_said(tmp_path, text, message):
    (tmp_path / "pairs").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(DataError, match=message):
        read_pairs(tmp_path / "pairs")
    with pytest.raises(DataError, match="absent does not exist"):
        read_pairs(tmp_path / "absent")


def test_agreement_is_that_of_scipy():
    from scipy import stats

    model, chance = vectors(), random.Random(1)
    pairs = [Pair(f"w{chance.randrange(60)}", f"w{chance.randrange(60)}", chance.random()) for _ in range(40)]
    cosines = [model.similarity(pair.a, pair.b) for pair in pairs]
    scores = [pair.score for pair in pairs]
    found = evaluate_pairs(model, pairs)
    spearman, pearson = stats.spearmanr(cosines, scores), stats.pearsonr(cosines, scores)
    assert found[:4] == pytest.approx((*spearman, *pearson)) and found[4:] == (40, 0)


def test_unknown_words_are_counted_and_left_out_or_zero():
    model = vectors()
    known = [Pair("w1", "w2", 1.0), Pair("W3", "w4", 2.0), Pair("w5", "W6", 4.0)]  # found in lower case
    unknown = [Pair("w1", "zebra", 9.0), Pair("zebra", "w1", -9.0)]
    without = evaluate_pairs(model, known)
    skipped = evaluate_pairs(model, known + unknown)
    assert skipped[:4] == without[:4] and (skipped.used, skipped.oov) == (3, 2)
    zero = evaluate_pairs(model, known + unknown, "zero")
    assert (zero.used, zero.oov) == (5, 2) and zero.spearman != skipped.spearman
    none = evaluate_pairs(model, unknown)
    assert math.isnan(none.spearman) and (none.used, none.oov) == (0, 2)


def test_pairs_of_equal_scores_have_no_correlation():
    assert math.isnan(evaluate_pairs(vectors(), [Pair("w1", f"w{v}", 1.0) for v in range(5)]).pearson)


def section(name, count, seed, num_words=60):
    chance = random.Random(seed)
    words = [f"w{v}" for v in range(num_words)]
    return Section(name, [tuple(chance.sample(words, 4)) for _ in range(count)])


def plain_right(model, question, method, candidates):
    """By the definitions, word by word in double precision."""
    unit = model.matrix / np.linalg.norm(model.matrix, axis=1, keepdims=True).astype(np.float64)
    a, b, c, d = (model.vocab.ids[word] for word in question)
    best = -np.inf, -1
    for x in range(candidates):
        if x in (a, b, c):
            continue
        cos = [unit[x] @ unit[word] for word in (a, b, c)]
        if method == "add":
            score = cos[1] - cos[0] + cos[2]
        else:
            moved = [(each + 1) / 2 for each in cos]
            score = moved[1] * moved[2] / (moved[0] + 0.001)
        best = max(best, (score, -x))
    return -best[1] == d


@pytest.mark.parametrize("table_bytes", [4, 3000, 1 << 27])
def test_analogies_are_answered_as_defined(monkeypatch, table_bytes):
    """Whatever stretch of the vocabulary is looked at together; 12 candidates, so that some are right."""
    monkeypatch.setattr(analogies_module, "_TABLE_BYTES", table_bytes)
    model, sections = vectors(), [section("family", 150, 1, 12), section("gram1", 99, 2, 12)]
    found = evaluate_analogies(model, sections, restrict_vocab=12, threads=3)
    for score, each in zip(found, sections, strict=False):
        for method, right in (("add", score.add), ("mul", score.mul)):
            wanted = sum(plain_right(model, question, method, 12) for question in each.questions)
            assert right == wanted > 0
        assert (score.name, score.used, score.oov) == (each.name, len(each.questions), 0)
    family, gram, semantic, syntactic, whole = found
    assert semantic[1:] == family[1:] and syntactic[1:] == gram[1:]
    assert whole.add == family.add + gram.add and whole.used == 249


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own calls
def test_gensim_finds_as_many_right():
    from gensim.models import KeyedVectors

    model, each = vectors(40), section("gram", 200, 3, 40)
    theirs = KeyedVectors(8)
    theirs.add_vectors(model.vocab.words, model.matrix)
    for method, query in ((1, theirs.most_similar), (2, theirs.most_similar_cosmul)):
        right = sum(query(positive=[b, c], negative=[a], topn=1)[0][0] == d for a, b, c, d in each.questions)
        assert evaluate_analogies(model, [each])[0][method] == right > 0


def test_questions_with_unknown_words_are_left_out_or_wrong():
    model = vectors()
    questions = [("w0", "w1", "w2", "w3"), ("w0", "w1", "w2", "zebra"), ("W0", "w1", "w2", "w50")]
    skipped, *_ = evaluate_analogies(model, [Section("a", questions)], restrict_vocab=50)
    assert (skipped.used, skipped.oov) == (1, 2)
    zero, *_ = evaluate_analogies(model, [Section("a", questions)], restrict_vocab=50, missing="zero")
    assert (zero.used, zero.oov) == (3, 2)
    assert evaluate_analogies(model, [Section("a", questions)])[0].used == 2  # W0 is w0
    nothing = evaluate_analogies(model, [Section("a", questions[1:2])])
    assert nothing[-1].used == 0 and nothing[-1].shares()["3cosadd"] is None
    with pytest.raises(ConfigError, match="restrict_vocab is 3"):
        evaluate_analogies(model, [], restrict_vocab=3)


def test_explicit_vectors_are_judged_without_moving_cosines():
    from scipy.sparse import csr_array

    rng = np.random.default_rng(5)
    dense = rng.random((30, 30)) * (rng.random((30, 30)) < 0.3)
    model = Vectors(
        Vocab([f"w{v}" for v in range(30)], np.ones(30, np.int64)), csr_array(dense.astype(np.float32))
    )
    each = section("gram", 60, 6, 30)
    wanted = [
        sum(model.analogy(a, b, c, 1, method)[0][0] == d for a, b, c, d in each.questions)
        for method in ("3cosadd", "3cosmul")
    ]
    unit = model.rows(range(30))
    a, b, c, _ = (model.vocab.ids[word] for word in each.questions[0])
    scores = (unit @ unit[b]) * (unit @ unit[c]) / (unit @ unit[a] + 0.001)
    scores[[a, b, c]] = -np.inf
    assert model.analogy(*each.questions[0][:3], 1, "3cosmul")[0][0] == f"w{scores.argmax()}"
    assert list(evaluate_analogies(model, [each])[0][1:3]) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no analogies"),
        (": a\n", "holds no analogies"),
        ("a b c d\n", "line 1, is neither"),
        (": a\na b c d\na b c\n", "line 3, is neither"),
    ],
)
def test_what_are_no_analogies_is_said(tmp_path, text, message):
    (tmp_path / "questions").write_text(text)
    with pytest.raises(DataError, match=message):
        read_analogies(tmp_path / "questions")


def test_analogies_are_read_by_section(tmp_path):
    (tmp_path / "questions").write_text(": family\nking queen man woman\n\n: gram1\na b c d\ne f g h\n")
    found = read_analogies(tmp_path / "questions")
    assert [(each.name, len(each.questions), each.is_syntactic) for each in found] == [
        ("family", 1, False),
        ("gram1", 2, True),
    ]


def test_overlap_is_that_of_plain_neighbours(monkeypatch):
    from nlpseq.evaluation import neighbor_overlap as overlap

    monkeypatch.setattr(overlap, "_BLOCK", 7)
    a, b = vectors(40), vectors(60, seed=1)
    mine = [{word for word, _ in a.neighbors(f"w{v}", 3)} for v in range(20)]
    inside = Vectors(Vocab(b.vocab.words[:40], b.vocab.counts[:40]), b.matrix[:40])
    theirs = [{word for word, _ in inside.neighbors(f"w{v}", 3)} for v in range(20)]
    wanted = np.mean([len(x & y) / 3 for x, y in zip(mine, theirs, strict=True)])
    assert neighbor_overlap(a, b, 3, 20) == pytest.approx(wanted) and 0 < wanted < 1
    assert neighbor_overlap(a, a, 3) == 1
    with pytest.raises(DataError, match="the models share 40 words, too few"):
        neighbor_overlap(a, b, 40)
