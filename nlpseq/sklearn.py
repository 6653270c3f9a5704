"""Turn documents into vectors for scikit-learn: the mean of word vectors, plain or weighted.

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
from nlpseq.config.fields import from_stored
from nlpseq.dataset.phrases import join_known
from nlpseq.errors import missing_extra
from nlpseq.vectors.vectors import Vectors

try:
    from sklearn.base import BaseEstimator, TransformerMixin
    from sklearn.utils.validation import check_is_fitted
except ImportError as error:
    raise missing_extra("nlpseq.sklearn", "scikit-learn", "sklearn") from error

__all__ = ["DocumentVectors"]

Floats = npt.NDArray[np.float64]


class DocumentVectors(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Transform texts into the weighted mean of their word vectors.

    vectors: trained vectors, or the path of a folder or file. weighting: "mean" weights all words equally.
    "sif" weights a word of relative frequency p by smoothing / (smoothing + p), and removes from every
    document the first singular vector of the fitted documents (Arora, Liang & Ma 2017, A simple but
    tough-to-beat baseline for sentence embeddings). text: how to split documents into words; by default as
    for the training text of the vectors.

    Words that are unknown or have no trained vector are skipped, but with subwords an unseen word has the
    vector of its n-grams; a document without other words becomes zeros. oov: False skips all unseen words.
    """

    def __init__(
        self,
        vectors: Vectors | str | Path | None = None,
        *,
        weighting: Literal["mean", "sif"] = "mean",
        smoothing: float = 1e-3,
        text: TextConfig | None = None,
        oov: bool = True,
    ) -> None:
        self.vectors = vectors
        self.weighting = weighting
        self.smoothing = smoothing
        self.text = text
        self.oov = oov

    def fit(self, X: Iterable[str], y: Any = None) -> Self:
        """Load the vectors; for "sif", compute the common direction of the documents X."""
        if self.vectors is None:
            raise ValueError("vectors: is None. Pass trained vectors, or the path of a folder or file.")
        if self.weighting not in ("mean", "sif"):
            raise ValueError(f"weighting: {self.weighting!r} is unknown. Choose mean or sif.")
        if not self.smoothing > 0:
            raise ValueError(f"smoothing: {self.smoothing} is too small. Choose a number above 0.")
        vectors = self.vectors if isinstance(self.vectors, Vectors) else Vectors.load(self.vectors)
        if not self.oov:
            vectors = vectors.without_subwords()
        if vectors.is_sparse:
            raise ValueError("vectors: are sparse, one dimension a word. Pass dense vectors.")
        documents = _documents(X)
        self.vectors_ = vectors
        own = vectors.meta.get("text_config")
        self.text_ = self.text or (from_stored(TextConfig, own) if own else TextConfig())
        self.weights_ = self._weights(vectors)
        self.common_ = np.zeros(vectors.matrix.shape[1])
        if self.weighting == "sif":
            means_ND = self._means(documents)
            if means_ND.any():
                self.common_ = np.linalg.eigh(means_ND.T @ means_ND)[1][:, -1]
        return self

    def transform(self, X: Iterable[str]) -> Floats:
        """Return a vector for each document, (N, D)."""
        check_is_fitted(self)
        means_ND = self._means(_documents(X))
        return means_ND - np.outer(means_ND @ self.common_, self.common_)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """Return a name for each dimension, (D,)."""
        check_is_fitted(self)
        return np.array([f"dim{d}" for d in range(len(self.common_))], dtype=object)

    def _weights(self, vectors: Vectors) -> Floats:
        """Return the weight of each word, (V,)."""
        counts_V = vectors.vocab.counts
        if self.weighting == "mean":
            return np.ones(len(counts_V))
        if (counts_V < 0).all():
            raise ValueError("vectors: have no word counts, which sif needs. Choose weighting='mean'.")
        counts_V = np.maximum(counts_V, 0)
        weights_V: Floats = self.smoothing / (self.smoothing + counts_V / max(1, counts_V.sum()))
        return weights_V

    def _means(self, documents: list[str]) -> Floats:
        """Return the weighted mean of the known words of each document, (N, D)."""
        means_ND = np.zeros((len(documents), self.vectors_.matrix.shape[1]))
        vocab = self.vectors_.vocab
        for n, document in enumerate(documents):
            tokens = join_known(vocab.tokenize(document, self.text_), vocab.ids, self.text_.phrases)
            found = self.vectors_.find_tokens(tokens)
            known = [found[token] for token in tokens if token in found]
            if known:
                # an unseen word has the relative frequency 0
                weights_K = [1.0 if each.row is None else self.weights_[each.row] for each in known]
                means_ND[n] = np.array(weights_K) @ self.vectors_.stored_rows(known) / len(known)
        return means_ND

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _documents(X: Iterable[str]) -> list[str]:
    """Return X as a list; raises ValueError unless X holds texts."""
    if isinstance(X, str):
        raise ValueError("X: is a single text. Put it in a list.")
    documents = list(X)
    for document in documents:
        if not isinstance(document, str):
            raise ValueError(f"X: holds {type(document).__name__}. Pass texts.")
    if not documents:
        raise ValueError("X: is empty. Pass at least one text.")
    return documents
