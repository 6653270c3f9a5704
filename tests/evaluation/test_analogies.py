"""Analogy scores equal the definitions, word by word, and gensim's."""

import random

import numpy as np
import pytest
from scipy.sparse import csr_array
from support.random_vectors import random_model

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError, DataError
from nlpseq.evaluation.analogies import TABLE_BYTES, Section, evaluate_analogies, read_analogies
from nlpseq.vectors.vectors import Vectors


def section(name, count, seed, num_words=60):
    chance = random.Random(seed)
    words = [f"w{v}" for v in range(num_words)]
    return Section(name, [tuple(chance.sample(words, 4)) for _ in range(count)])


def is_correct(model, question, method, candidates):
    """Answer by the definitions, word by word in double precision."""
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


@pytest.mark.parametrize("table_bytes", [4, 3000, TABLE_BYTES])
def test_analogies_match_definition_for_any_table(table_bytes):
    """Ask among 12 candidates, so that some answers are correct."""
    model, sections = random_model(), [section("family", 150, 1, 12), section("gram1", 99, 2, 12)]
    found = evaluate_analogies(model, sections, restrict_vocab=12, threads=3, table_bytes=table_bytes)
    for score, each in zip(found, sections, strict=False):
        for method, right in (("add", score.add), ("mul", score.mul)):
            wanted = sum(is_correct(model, question, method, 12) for question in each.questions)
            assert right == wanted > 0
        assert (score.name, score.used, score.oov) == (each.name, len(each.questions), 0)
    family, gram, semantic, syntactic, whole = found
    assert semantic[1:] == family[1:] and syntactic[1:] == gram[1:]
    assert whole.add == family.add + gram.add and whole.used == 249


@pytest.mark.parametrize("table_bytes", [4, TABLE_BYTES])
def test_analogies_leave_out_words_not_in_the_text(table_bytes):
    model, asked = random_model(), section("family", 150, 1, 12)
    clones = np.concatenate([model.matrix, model.matrix])  # the first of equal words wins
    words = [f"clone{v}" for v in range(60)] + model.vocab.words
    counts = np.concatenate([np.zeros(60, int), model.vocab.counts])
    found = evaluate_analogies(Vectors(Vocab(words, counts), clones), [asked], table_bytes=table_bytes)
    assert found == evaluate_analogies(model, [asked]) and found[0].add > 0
    (unknown, *_) = evaluate_analogies(
        Vectors(Vocab(words, counts), clones), [Section("x", [("w1", "w2", "w3", "clone4")])]
    )
    assert (unknown.used, unknown.oov) == (0, 1)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # in gensim itself
def test_gensim_finds_as_many_correct():
    from gensim.models import KeyedVectors

    model, each = random_model(40), section("gram", 200, 3, 40)
    theirs = KeyedVectors(8)
    theirs.add_vectors(model.vocab.words, model.matrix)
    for method, query in ((1, theirs.most_similar), (2, theirs.most_similar_cosmul)):
        right = sum(query(positive=[b, c], negative=[a], topn=1)[0][0] == d for a, b, c, d in each.questions)
        assert evaluate_analogies(model, [each])[0][method] == right > 0


def test_unknown_words_are_skipped_or_wrong():
    model = random_model()
    questions = [("w0", "w1", "w2", "w3"), ("w0", "w1", "w2", "zebra"), ("W0", "w1", "w2", "w50")]
    skipped, *_ = evaluate_analogies(model, [Section("a", questions)], restrict_vocab=50)
    assert (skipped.used, skipped.oov) == (1, 2)
    zero, *_ = evaluate_analogies(model, [Section("a", questions)], restrict_vocab=50, missing="zero")
    assert (zero.used, zero.oov) == (3, 2)
    assert evaluate_analogies(model, [Section("a", questions)])[0].used == 2  # W0 is w0
    nothing = evaluate_analogies(model, [Section("a", questions[1:2])])
    assert nothing[-1].used == 0 and nothing[-1].shares()["3cosadd"] is None
    with pytest.raises(ConfigError, match="restrict_vocab: 3 is too small"):
        evaluate_analogies(model, [], restrict_vocab=3)


def test_explicit_vectors_keep_their_cosines():
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
        ("a b c d\n", "line 1 is neither"),
        (": a\na b c d\na b c\n", "line 3 is neither"),
    ],
)
def test_read_analogies_names_the_malformed_line(tmp_path, text, message):
    (tmp_path / "questions").write_text(text)
    with pytest.raises(DataError, match=message):
        read_analogies(tmp_path / "questions")


def test_read_analogies_by_section(tmp_path):
    (tmp_path / "questions").write_text(": family\nking queen man woman\n\n: gram1\na b c d\ne f g h\n")
    found = read_analogies(tmp_path / "questions")
    assert [(each.name, len(each.questions)) for each in found] == [("family", 1), ("gram1", 2)]
