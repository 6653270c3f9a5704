"""Documents as vectors: by hand, in a pipeline, and by scikit-learn's own checks."""

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
from sklearn.utils.estimator_checks import parametrize_with_checks

from nlpseq.config import TextConfig
from nlpseq.dataset.vocab import Vocab
from nlpseq.sklearn import DocumentVectors
from nlpseq.vectors.vectors import Vectors

OF_ANY_ESTIMATOR = (
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


def test_a_document_is_the_mean_of_its_words():
    model = vectors()
    found = DocumentVectors(model).fit_transform(["The cat, the dog!", "zebra", ""])
    the, cat, dog = model.matrix[:3].astype(np.float64)
    assert_allclose(found, [(2 * the + cat + dog) / 4, np.zeros(4), np.zeros(4)], rtol=1e-6)


def test_sif_weighs_rare_words_more_and_removes_what_is_common():
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
    assert_allclose(one, fitted.transform(texts)[:1])  # a document does not depend on those beside it


def test_phrases_are_found_and_nothing_known_has_nothing_in_common():
    model = vectors()
    phrased = Vectors(Vocab(["new_york", *WORDS[1:]], model.vocab.counts), model.matrix)
    found = DocumentVectors(phrased, text=TextConfig(phrases=1)).fit_transform(["in New York"])
    assert_allclose(found[0], model.matrix[0])
    assert not DocumentVectors(model, weighting="sif").fit(["zebra", "yak"]).common_.any()


def test_it_is_read_as_its_training_text_was_or_as_asked():
    model = vectors()
    model.meta["text_config"] = {"tokenizer": "char"}
    assert not DocumentVectors(model).fit_transform(["the cat"]).any()
    assert DocumentVectors(model, text=TextConfig()).fit_transform(["the cat"]).any()


def test_in_a_pipeline_from_a_folder(tmp_path):
    vectors().save(tmp_path / "a.w2v")
    texts, labels = ["cat dog", "the dog", "saw drill", "the drill"] * 5, [0, 0, 1, 1] * 5
    pipeline = make_pipeline(DocumentVectors(tmp_path / "a.w2v"), LogisticRegression(C=100)).fit(
        texts, labels
    )
    assert pipeline.score(texts, labels) == 1
    again = pickle.loads(pickle.dumps(pipeline))  # as scikit-learn stores models
    assert_allclose(again.predict_proba(texts), pipeline.predict_proba(texts))
    assert clone(pipeline).fit(texts, labels).score(texts, labels) == 1
    named = DocumentVectors(tmp_path / "a.w2v").fit(texts)
    assert list(named.get_feature_names_out()) == ["dim0", "dim1", "dim2", "dim3"]


with warnings.catch_warnings():  # of those that want numbers: an estimator of texts is not asked them
    warnings.simplefilter("ignore", SkipTestWarning)
    CHECKS = parametrize_with_checks(
        [DocumentVectors(vectors()), DocumentVectors(vectors(), weighting="sif")]
    )


@CHECKS  # cloning, of which text is no obstacle
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("name", OF_ANY_ESTIMATOR)
def test_the_checks_that_need_no_data(name):
    """scikit-learn runs them for estimators of numbers alone, though they hold for any."""
    getattr(estimator_checks, name)("DocumentVectors", DocumentVectors(vectors()))


WRONG = {
    "nothing": (DocumentVectors(), ["a"], "vectors is None"),
    "weighting": (DocumentVectors(vectors(), weighting="x"), ["a"], "weighting is 'x'"),
    "smoothing": (DocumentVectors(vectors(), smoothing=0), ["a"], "smoothing is 0"),
    "one text": (DocumentVectors(vectors()), "a", "Put it in a list"),
    "numbers": (DocumentVectors(vectors()), [[1, 2]], "a text was expected and list"),
    "no texts": (DocumentVectors(vectors()), [], "no text was given"),
    "no counts": (DocumentVectors(vectors([-1] * 5), weighting="sif"), ["a"], "without the counts"),
}


@pytest.mark.parametrize(("estimator", "X", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_said(estimator, X, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit(X)
