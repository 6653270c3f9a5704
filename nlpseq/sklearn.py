"""Documents as vectors for scikit-learn: the mean of the vectors of their words, plain or weighted.

    from nlpseq.sklearn import DocumentVectors

    model = make_pipeline(DocumentVectors("corpus.w2v", weighting="sif"), LogisticRegression())
    model.fit(texts, labels)

Letters: N documents, V words, D dimensions.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.config.fields import from_dict
from nlpseq.dataset.phrases import join_known
from nlpseq.errors import MissingExtra
from nlpseq.tokenizers.base import normalize_and_tokenize
from nlpseq.vectors.vectors import Vectors

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise MissingExtra(
        'this needs scikit-learn, which is not installed. Type: pip install "nlpseq[sklearn]"'
    ) from error

Floats = npt.NDArray[np.float64]


class DocumentVectors(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turns texts into the weighted mean of the vectors of their words.

    vectors: trained vectors, or where they are stored. weighting: "mean" counts every word alike; "sif" words
    of share p in the training text as smoothing / (smoothing + p), and takes out of every document what all
    of those fitted on have in common, their first singular vector (Arora, Liang & Ma 2017, A simple but
    tough-to-beat baseline for sentence embeddings). smoothing: of "sif". text: how documents become words; by
    default as the vectors' own training text did.

    Words the vectors do not have are passed over; a document without any other is all zeros.
    """

    def __init__(
        self,
        vectors: Vectors | str | Path | None = None,
        *,
        weighting: Literal["mean", "sif"] = "mean",
        smoothing: float = 1e-3,
        text: TextConfig | None = None,
    ) -> None:
        self.vectors = vectors
        self.weighting = weighting
        self.smoothing = smoothing
        self.text = text

    def fit(self, X: Iterable[str], y: Any = None) -> Self:
        """Load the vectors and, for "sif", find what the documents have in common."""
        if self.vectors is None:
            raise ValueError("vectors is None. Give trained vectors, or the folder or file they are in.")
        if self.weighting not in ("mean", "sif"):
            raise ValueError(f"weighting is {self.weighting!r}. It must be one of mean, sif.")
        if not self.smoothing > 0:
            raise ValueError(f"smoothing is {self.smoothing}. It must be above 0.")
        vectors = self.vectors if isinstance(self.vectors, Vectors) else Vectors.load(self.vectors)
        if vectors.is_sparse:
            raise ValueError("explicit vectors are as long as their vocabulary. Give dense ones.")
        documents = _documents(X)
        self.vectors_ = vectors
        self.text_ = self.text or from_dict(TextConfig, vectors.meta.get("text_config") or {})
        self.weights_ = self._weights(vectors)
        self.common_ = np.zeros(vectors.matrix.shape[1])
        if self.weighting == "sif":
            means_ND = self._means(documents)
            if means_ND.any():
                self.common_ = np.linalg.eigh(means_ND.T @ means_ND)[1][:, -1]
        return self

    def transform(self, X: Iterable[str]) -> Floats:
        """(N, D): a row for each document."""
        check_is_fitted(self)
        means_ND = self._means(_documents(X))
        return means_ND - np.outer(means_ND @ self.common_, self.common_)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """A name for each dimension."""
        check_is_fitted(self)
        return np.array([f"dim{d}" for d in range(len(self.common_))], dtype=object)

    def _weights(self, vectors: Vectors) -> Floats:
        """How much a word counts, (V,)."""
        counts_V = vectors.vocab.counts
        if self.weighting == "mean":
            return np.ones(len(counts_V))
        if (counts_V < 0).any():
            raise ValueError(
                "these vectors come without the counts of their words, which sif needs. "
                "Take weighting='mean'."
            )
        weights_V: Floats = self.smoothing / (self.smoothing + counts_V / max(1, counts_V.sum()))
        return weights_V

    def _means(self, documents: list[str]) -> Floats:
        means_ND = np.zeros((len(documents), self.vectors_.matrix.shape[1]))
        ids = self.vectors_.vocab.ids
        for n, document in enumerate(documents):
            tokens = join_known(normalize_and_tokenize(document, self.text_), ids, self.text_.phrases)
            known = [ids[token] for token in tokens if token in ids]
            if known:
                weights_K = self.weights_[known]
                means_ND[n] = weights_K @ self.vectors_.matrix[known] / len(known)
        return means_ND

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _documents(X: Iterable[str]) -> list[str]:
    """X as a list; ValueError for what are no texts, a single text among them."""
    if isinstance(X, str):
        raise ValueError("a list of texts was expected and a single text was given. Put it in a list.")
    documents = list(X)
    for document in documents:
        if not isinstance(document, str):
            raise ValueError(f"a text was expected and {type(document).__name__} was given.")
    if not documents:
        raise ValueError("no text was given.")
    return documents
