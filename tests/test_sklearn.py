"""Document vectors equal a computation by hand and pass scikit-learn's checks."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator

from nlpseq.config import Ngrams, TextConfig
from nlpseq.dataset.vocab import Vocab
from nlpseq.sklearn import DocumentVectors
from nlpseq.vectors.subwords import SubwordVectors
from nlpseq.vectors.vectors import Vectors

CHECKS_WITHOUT_DATA = (  # run by scikit-learn for numeric estimators alone
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)
WORDS = ("the", "cat", "dog", "saw", "drill")


def vectors(counts=(50, 20, 10, 10, 10)):
    matrix = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    return Vectors(Vocab(WORDS, np.array(counts)), matrix)


def test_document_is_the_mean_of_its_words():
    model = vectors()
    found = DocumentVectors(model).fit_transform(["The cat, the dog!", "zebra", ""])
    the, cat, dog = model.matrix[:3].astype(np.float64)
    assert_allclose(found, [(2 * the + cat + dog) / 4, np.zeros(4), np.zeros(4)], rtol=1e-6)


def test_word_without_trained_vector_is_skipped():
    model = vectors(counts=(50, 20, 0, 10, 10))
    model.matrix[3] = 0  # of saw
    found = DocumentVectors(model).fit_transform(["cat dog saw", "dog saw"])
    assert_allclose(found, [model.matrix[1], np.zeros(4)], rtol=1e-6)


def test_sif_matches_computation_by_hand():
    model, texts = vectors(), ["the cat", "the saw drill", "dog dog", "the dog saw"]
    fitted = DocumentVectors(model, weighting="sif", smoothing=0.01).fit(texts)
    weights = 0.01 / (0.01 + np.array([0.5, 0.2, 0.1, 0.1, 0.1]))
    assert_allclose(fitted.weights_, weights)
    rows = [[0, 1], [0, 3, 4], [2, 2], [0, 2, 3]]
    means = np.array([weights[row] @ model.matrix[row] / len(row) for row in rows])
    first = np.linalg.svd(means)[2][0]
    assert_allclose(fitted.transform(texts), means - np.outer(means @ first, first), rtol=1e-5, atol=1e-8)
    assert_allclose(fitted.transform(texts) @ first, 0, atol=1e-8)
    one = fitted.transform(texts[:1])
    assert_allclose(one, fitted.transform(texts)[:1])  # independent of other documents


def test_phrases_are_joined_and_unknown_words_are_zero():
    model = vectors()
    phrased = Vectors(Vocab(["new_york", *WORDS[1:]], model.vocab.counts), model.matrix)
    found = DocumentVectors(phrased, text=TextConfig(phrases=1)).fit_transform(["in New York"])
    assert_allclose(found[0], model.matrix[0])
    assert not DocumentVectors(model, weighting="sif").fit(["zebra", "yak"]).common_.any()


def test_unseen_words_have_their_ngrams():
    model = vectors()
    rows = np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
    model.subwords = SubwordVectors(rows, Ngrams(3, 4))
    cats = model.subwords.vectors(["cats"])[0]
    found = DocumentVectors(model).fit_transform(["cats cat", "cats", "a"])
    assert_allclose(found, [(cats + model.matrix[1]) / 2, cats, model.subwords.vectors(["a"])[0]], rtol=1e-6)
    weighted = DocumentVectors(model, weighting="sif", smoothing=0.1).fit(["zebra"])
    weighted.common_ *= 0
    cat = 0.1 / (0.1 + 20 / 100)
    assert_allclose(weighted.transform(["cats cat"])[0], (cats + cat * model.matrix[1]) / 2, rtol=1e-6)
    without = DocumentVectors(model, oov=False).fit_transform(["cats cat", "cats"])
    assert_allclose(without, [model.matrix[1], np.zeros(4)])


def test_text_settings_come_from_the_vectors():
    model = vectors()
    model.meta["text_config"] = {"tokenizer": "char"}
    assert not DocumentVectors(model).fit_transform(["the cat"]).any()
    assert DocumentVectors(model, text=TextConfig()).fit_transform(["the cat"]).any()


def test_pipeline_loads_a_folder_and_pickles(tmp_path):
    vectors().save(tmp_path / "a.w2v")
    texts, labels = ["cat dog", "the dog", "saw drill", "the drill"] * 5, [0, 0, 1, 1] * 5
    pipeline = make_pipeline(DocumentVectors(tmp_path / "a.w2v"), LogisticRegression(C=100)).fit(
        texts, labels
    )
    assert pipeline.score(texts, labels) == 1
    again = pickle.loads(pickle.dumps(pipeline))  # the storage format of scikit-learn
    assert_allclose(again.predict_proba(texts), pipeline.predict_proba(texts))
    assert clone(pipeline).fit(texts, labels).score(texts, labels) == 1
    named = DocumentVectors(tmp_path / "a.w2v").fit(texts)
    assert list(named.get_feature_names_out()) == ["dim0", "dim1", "dim2", "dim3"]


def checks_of_scikit_learn():
    """Return the checks with plain ids, because pytest-xdist compares ids between processes."""
    checks = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)  # about checks on numbers, skipped for text
        for weighting in ("mean", "sif"):
            for estimator, check in estimator_checks_generator(
                DocumentVectors(vectors(), weighting=weighting)
            ):
                name = getattr(check, "func", check).__name__
                checks.append(pytest.param(estimator, check, id=f"{weighting}-{name}"))
    return checks


@pytest.mark.parametrize(("estimator", "check"), checks_of_scikit_learn())
def test_scikit_learn_checks_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", CHECKS_WITHOUT_DATA)
def test_scikit_learn_checks_without_data_pass(name):
    getattr(estimator_checks, name)("DocumentVectors", DocumentVectors(vectors()))


WRONG = {
    "nothing": (DocumentVectors(), ["a"], "vectors: is None"),
    "weighting": (DocumentVectors(vectors(), weighting="x"), ["a"], "weighting: 'x' is unknown"),
    "smoothing": (DocumentVectors(vectors(), smoothing=0), ["a"], "smoothing: 0 is too small"),
    "one text": (DocumentVectors(vectors()), "a", "Put it in a list"),
    "numbers": (DocumentVectors(vectors()), [[1, 2]], "X: holds list"),
    "no texts": (DocumentVectors(vectors()), [], "X: is empty"),
    "no counts": (DocumentVectors(vectors([-1] * 5), weighting="sif"), ["a"], "have no word counts"),
}


@pytest.mark.parametrize(("estimator", "X", "message"), WRONG.values(), ids=WRONG)
def test_unusable_input_is_refused(estimator, X, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit(X)
