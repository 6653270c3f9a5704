"""Analogy scores equal the definitions, word by word, and gensim's."""

import random

import numpy as np
import pytest
from scipy.sparse import csr_array
from support.random_vectors import random_model

from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError, DataError
from nlpseq.evaluation.analogies import (
    NO_SECTION,
    TABLE_BYTES,
    Section,
    evaluate_analogies,
    read_analogies,
)
from nlpseq.evaluation.files import line_numbers
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
    assert (semantic.name, syntactic.name, whole.name) == ("semantic", "syntactic", "all")
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
    ("names", "totals"),
    [
        (["E01 [country - capital]", "synonyms", "semiconductors", "families"], ["all"]),
        (["sem1_capital-countries", "syn1_case", "misc"], ["semantic", "syntactic", "all"]),
        (["Syntactic: plural", "semantics"], ["semantic", "syntactic", "all"]),
        (["capital-world", "misc"], ["semantic", "all"]),
        (["gram1-adjective-to-adverb", "(no section)"], ["syntactic", "all"]),
    ],
)
def test_parts_come_from_names_that_say_so(names, totals):
    sections = [section(name, 3, number) for number, name in enumerate(names)]
    found = evaluate_analogies(random_model(), sections)[len(names) :]
    assert [score.name for score in found] == totals and found[-1].used == 3 * len(names)


def test_words_without_a_vector_never_answer():
    """Give 3CosMul a zero vector that would win: the others have negative cosines with b and c."""
    matrix = [[0, 1], [1, 0], [0.9, 0.5], [-1, -1], [0, 0], [-1, -0.5], [-0.5, -1]]
    words = ["woman", "man", "king", "queen", "pad", "foo", "bar"]
    model = Vectors(Vocab(words, np.arange(7, 0, -1)), np.array(matrix, np.float32))
    questions = Section("a", [("man", "king", "woman", "queen"), ("man", "king", "woman", "pad")])
    for table_bytes in (4, TABLE_BYTES):
        found, _ = evaluate_analogies(model, [questions], table_bytes=table_bytes)
        assert (found.mul, found.used, found.oov) == (1, 1, 1)


@pytest.mark.parametrize("text", ["", "# a b c d\n", ": a\n", ": a\na b c\n"])
def test_files_without_analogies_are_refused(tmp_path, text):
    (tmp_path / "questions").write_text(text)
    with pytest.raises(DataError, match="questions: holds no analogies"):
        read_analogies(tmp_path / "questions")


QUESTION_FILES = {
    "sections": ": family\nking queen man woman\n\n: gram1\na b c d\ne f g h\n",
    "tabs": ":family\nking\tqueen\tman\twoman\n: gram1\na\tb\tc\td\ne\tf\tg\th\n",
    "commas": ": family\nking,queen,man,woman\n: gram1\na,b,c,d\n e, f, g, h\n",
    "quotes": ': family\n"king";"queen";man;woman\n: gram1\na;b;c;d\ne;f;"g";h\n',
    "numbers": ": family\n1 king queen man woman\n: gram1\n2 a b c d\n3 e f g h\n",
}


@pytest.mark.parametrize("text", QUESTION_FILES.values(), ids=QUESTION_FILES)
def test_read_analogies_of_every_layout(tmp_path, text):
    (tmp_path / "questions").write_text(text)
    family, gram = (("king", "queen", "man", "woman"),), (("a", "b", "c", "d"), ("e", "f", "g", "h"))
    sections = [Section("family", [*family]), Section("gram1", [*gram])]
    assert read_analogies(tmp_path / "questions") == (sections, {})


def test_analogies_need_no_section(tmp_path):
    (tmp_path / "questions").write_text("# two\na b c d\na b c\n\n: late\na b c d e\ne f g h\n")
    found = read_analogies(tmp_path / "questions")
    assert [each.name for each in found.sections] == [NO_SECTION, "late"]
    assert [len(each.questions) for each in found.sections] == [1, 1]
    unused = {"comment": [1], "fewer than four words": [3], "more than four words": [6]}
    assert line_numbers(found.unused) == unused
