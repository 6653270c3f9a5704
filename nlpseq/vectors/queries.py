"""Rank words by their cosines with the vectors of a question.

Float32 products of blocks of rows with all questions find candidates: words whose score may be among the
highest. For one vector alone, coarse.py finds them faster. The scores of these few are computed again in
float64, from the rows as stored. So an answer does not depend on the number of questions at once, equal
vectors have equal scores, and the cosine of a vector with itself is exactly 1.

Letters: V words, D dimensions, Q questions, K vectors of a question, M = Q K vectors of all questions,
R rows of a block, G groups of rows, S rows of a group, T answers, N candidates.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.errors import ConfigError
from nlpseq.vectors.coarse import FLOAT32_ERROR, CoarseUnit
from nlpseq.vectors.compact_matrix import take_rows

__all__ = ["COSINE", "COSMUL_EPSILON", "AnalogyMethod", "Answers", "Limits", "Question", "Ranked", "Scoring"]
__all__ += ["Space", "cosines", "cosmul", "dots", "rank"]

COSMUL_EPSILON = 1e-3  # of 3CosMul, against division by zero
_GROUPS_PER_ANSWER = 16  # of scores, for the bound that candidates reach
_LOWEST = -2.0  # below every cosine, and above the score of a word that does not answer
_TIE_DECIMALS = 10  # of equal scores: parallel vectors differ in the last bits

Answers = list[tuple[str, float]]  # words with their scores, best first
Ranked = list[tuple[int, float]]  # ids with their scores, best first
AnalogyMethod = Literal["3cosadd", "3cosmul"]
Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


class Space(NamedTuple):
    """Words to rank."""

    unit: Any  # (V, D) float32, rows of length 1, dense or CSR
    rows_of: Callable[[Sequence[int] | Ids], Any]  # ids to rows as stored, (N, D) float64, dense or CSR
    hidden_ids: npt.NDArray[np.intp]  # rising, of words that never answer
    num_words: int  # the first so many may answer
    coarse: CoarseUnit | None = None  # the rows of unit, for one vector alone


class Question(NamedTuple):
    """Vectors to compare with, and ids of words that do not answer."""

    vectors_KD: Any  # float64, dense or CSR, not zero
    excluded_ids: Sequence[int]


class Scoring(NamedTuple):
    """Scores of words from their K cosines with a question."""

    combine: Callable[[Any], Any]  # (..., K) to (...)
    relative_error: float  # of a score, if the cosines are float32


class Limits(NamedTuple):
    """Sizes of blocks, for memory."""

    rows: int = 1 << 17  # multiplied at once
    scores: int = 1 << 22  # of a block
    questions: int = 1024  # answered at once
    candidates: int = 1 << 20  # kept without exact scores
    exact_rows: int = 1 << 12  # scored in float64 at once


_LIMITS = Limits()
COSINE = Scoring(lambda cosines: cosines[..., 0], 0.0)


def cosmul(*, can_be_negative: bool) -> Scoring:
    """Return the scoring of 3CosMul for the cosines with a, b and c.

    can_be_negative: shift the cosines to 0..1.
    """

    def combine(cosines: Any) -> Any:
        if can_be_negative:
            cosines = (cosines + 1) / 2
        return cosines[..., 1] * cosines[..., 2] / (cosines[..., 0] + COSMUL_EPSILON)

    return Scoring(combine, FLOAT32_ERROR / COSMUL_EPSILON)


def rank(
    space: Space,
    questions: Sequence[Question],
    top: int,
    scoring: Scoring = COSINE,
    limits: Limits = _LIMITS,
) -> list[Ranked]:
    """Return the `top` words of the highest scores for each question, ties by id."""
    if top < 1:
        raise ConfigError(f"top: {top} is too small. Choose 1 or more.")
    if space.coarse is not None and len(questions) == 1 and scoring is COSINE:
        return [_rank_one(space, space.coarse, questions[0], top, limits)]
    dim = space.unit.shape[1]
    step = max(1, min(limits.questions, limits.scores // top, 4 * limits.scores // dim))
    found = list[Ranked]()
    for start in range(0, len(questions), step):
        shortlist = _Shortlist(space, questions[start : start + step], top, scoring, limits)
        shortlist.add_all()
        found += shortlist.best()
    return found


def _rank_one(space: Space, coarse: CoarseUnit, question: Question, top: int, limits: Limits) -> Ranked:
    """Return the `top` words of the highest cosines with one vector."""
    vector_1D = question.vectors_KD
    query_D = (vector_1D[0] / np.sqrt(dots(vector_1D, vector_1D))).astype(np.float32)
    coarse_V, error = coarse.cosines(query_D, space.num_words)
    coarse_V[space.hidden_ids[: space.hidden_ids.searchsorted(space.num_words)]] = -np.inf
    coarse_V[[word for word in question.excluded_ids if word < space.num_words]] = -np.inf
    bound = max(_reached(coarse_V, top) - 2 * error, _LOWEST)
    ids_N = np.flatnonzero(coarse_V >= bound)
    step = limits.exact_rows
    parts = [ids_N[start : start + step] for start in range(0, max(1, len(ids_N)), step)]
    scores_N = np.concatenate([cosines(space.rows_of(part), vector_1D) for part in parts])
    best_T = np.argsort(-np.round(scores_N, _TIE_DECIMALS), kind="stable")[:top]  # ids_N rises
    return list(zip(ids_N[best_T].tolist(), scores_N[best_T].tolist(), strict=True))


def _reached(scores_V: Floats, top: int) -> float:
    """Return a score that at least `top` words reach, near the highest of these: by maxima of groups."""
    num_groups = min(len(scores_V), _GROUPS_PER_ANSWER * top)
    if num_groups < top:
        return -np.inf
    maxima_G = scores_V[: len(scores_V) // num_groups * num_groups].reshape(-1, num_groups).max(axis=0)
    return float(np.partition(maxima_G, -top)[-top])


class _Candidates(NamedTuple):
    """Pairs of a question and a word, with the float32 score."""

    questions_N: Ids
    ids_N: Ids
    scores_N: Floats

    def select(self, chosen: Any) -> "_Candidates":
        return _Candidates(*(column[chosen] for column in self))


class _Shortlist:
    """Candidates for the best words of each question, collected from blocks of float32 scores."""

    def __init__(
        self, space: Space, questions: Sequence[Question], top: int, scoring: Scoring, limits: Limits
    ) -> None:
        self._space, self._questions, self._top = space, questions, top
        self._scoring, self._limits = scoring, limits
        self._vectors_MD = _stack([question.vectors_KD for question in questions])
        self._squares_M = dots(self._vectors_MD, self._vectors_MD)
        self._highest_TQ = np.empty((0, len(questions)), np.float32)
        self._bound_Q = np.full(len(questions), np.finfo(np.float32).min)  # above the score of hidden words
        self._parts = list[_Candidates]()
        self._num = 0

    def add_all(self) -> None:
        """Score all words in float32, a block of rows at a time, and keep the candidates."""
        space, num_questions = self._space, len(self._questions)
        queries_DM = self._queries()
        excluded_N = np.array([word for each in self._questions for word in each.excluded_ids], np.int64)
        asking_N = np.repeat(np.arange(num_questions), [len(each.excluded_ids) for each in self._questions])
        step = max(1, min(self._limits.rows, self._limits.scores // queries_DM.shape[1]))
        for start in range(0, space.num_words, step):
            stop = min(start + step, space.num_words)
            cosines_RM = _rows(space.unit, start, stop) @ queries_DM
            scores_RQ = self._scoring.combine(cosines_RM.reshape(stop - start, num_questions, -1))
            first, last = np.searchsorted(space.hidden_ids, (start, stop))
            scores_RQ[space.hidden_ids[first:last] - start] = -np.inf
            is_here = (excluded_N >= start) & (excluded_N < stop)
            scores_RQ[excluded_N[is_here] - start, asking_N[is_here]] = -np.inf
            self._add(start, scores_RQ)

    def _queries(self) -> Floats:
        """Return the vectors with length 1 as columns, dense, in float32."""
        vectors_MD = self._vectors_MD.toarray() if _is_sparse(self._vectors_MD) else self._vectors_MD
        queries_DM: Floats = (vectors_MD / np.sqrt(self._squares_M)[:, None]).astype(np.float32).T
        return queries_DM

    def _add(self, start: int, scores_RQ: Floats) -> None:
        """Keep the words of a block whose score reaches the bound of the question."""
        num_rows, num_questions = scores_RQ.shape
        size = max(1, num_rows // (_GROUPS_PER_ANSWER * self._top))
        grouped = num_rows // size * size
        scores_GSQ = scores_RQ[:grouped].reshape(-1, size, num_questions)
        maxima_GQ = scores_GSQ.max(axis=1)
        self._raise_bound(maxima_GQ)
        group, question = np.divmod(np.flatnonzero(maxima_GQ >= self._bound_Q), num_questions)
        inside_NS = scores_GSQ[group, :, question]
        n, s = np.divmod(np.flatnonzero(inside_NS >= self._bound_Q[question][:, None]), size)
        self._keep(question[n], start + group[n] * size + s, inside_NS[n, s])
        rest_RQ = scores_RQ[grouped:]
        r, question = np.divmod(np.flatnonzero(rest_RQ >= self._bound_Q), num_questions)
        self._keep(question, start + grouped + r, rest_RQ[r, question])

    def _raise_bound(self, maxima_GQ: Floats) -> None:
        """Raise the bounds to scores that at least `top` words reach: the maxima of so many groups."""
        highest_NQ = np.concatenate([self._highest_TQ, maxima_GQ])
        if len(highest_NQ) > self._top:
            highest_NQ = np.partition(highest_NQ, -self._top, axis=0)[-self._top :]
        self._highest_TQ = highest_NQ
        if len(highest_NQ) == self._top:
            lowest_Q = highest_NQ.min(axis=0)
            if error := self._scoring.relative_error:
                lowest_Q = lowest_Q - np.where(np.isfinite(lowest_Q), np.abs(lowest_Q), 0) * error
            self._bound_Q = np.maximum(self._bound_Q, lowest_Q - np.float32(FLOAT32_ERROR))

    def _keep(self, questions_N: Ids, ids_N: Ids, scores_N: Floats) -> None:
        if not len(ids_N):
            return
        self._parts.append(_Candidates(questions_N, ids_N, scores_N))
        self._num += len(ids_N)
        if self._num > self._limits.candidates:
            self._parts = [self._first()[0]]
            self._num = len(self._parts[0].ids_N)

    def best(self) -> list[Ranked]:
        """Return the best words of each question, with exact scores."""
        candidates, scores_N = self._first()
        found = [Ranked() for _ in self._questions]
        answers = zip(candidates.ids_N.tolist(), scores_N.tolist(), strict=True)
        for question, answer in zip(candidates.questions_N.tolist(), answers, strict=True):
            found[question].append(answer)
        return found

    def _first(self) -> tuple[_Candidates, Doubles]:
        """Return the `top` best candidates of each question, by question and rank, with exact scores."""
        candidates, scores_N = self._scored()
        falling_N = -np.round(scores_N, _TIE_DECIMALS)
        order_N = np.lexsort((candidates.ids_N, falling_N, candidates.questions_N))
        question_N = candidates.questions_N[order_N]
        rank_N = np.arange(len(order_N)) - np.searchsorted(question_N, question_N)
        first = order_N[rank_N < self._top]
        return candidates.select(first), scores_N[first]

    def _scored(self) -> tuple[_Candidates, Doubles]:
        """Return the candidates that still reach the bound, with exact scores."""
        columns = zip(*self._parts, strict=True) if self._parts else [[np.empty(0, np.int64)]] * 3
        candidates = _Candidates(*(np.concatenate(column) for column in columns))
        is_high = candidates.scores_N >= self._bound_Q[candidates.questions_N]
        candidates = candidates.select(is_high)
        step = self._limits.exact_rows
        starts = range(0, max(1, len(candidates.ids_N)), step)
        blocks = [candidates.select(slice(start, start + step)) for start in starts]
        return candidates, np.concatenate([self._exact(block) for block in blocks])

    def _exact(self, candidates: _Candidates) -> Doubles:
        rows_ND = self._space.rows_of(candidates.ids_N)
        squares_N = dots(rows_ND, rows_ND)
        per_question = self._vectors_MD.shape[0] // len(self._questions)
        cosines_NK = np.empty((len(candidates.ids_N), per_question))
        for k in range(per_question):
            vector_N = candidates.questions_N * per_question + k
            lengths_N = np.sqrt(squares_N * self._squares_M[vector_N])  # exact for equal squares
            cosines_NK[:, k] = dots(rows_ND, self._vectors_MD[vector_N]) / lengths_N
        scores: Doubles = self._scoring.combine(np.clip(cosines_NK, -1, 1))
        return scores


def dots(a_ND: Any, b_ND: Any) -> Doubles:
    """Return the dot product of each pair of rows in float64; equal rows give equal bits anywhere."""
    products = a_ND.multiply(b_ND) if _is_sparse(a_ND) else a_ND * b_ND
    return np.asarray(products.sum(axis=1), np.float64).ravel()


def cosines(a_ND: Any, b_ND: Any) -> Any:
    """Return the cosine of each pair of rows, from -1 to 1; equal rows have exactly 1."""
    return np.clip(dots(a_ND, b_ND) / np.sqrt(dots(a_ND, a_ND) * dots(b_ND, b_ND)), -1, 1)


def _is_sparse(matrix: Any) -> bool:
    return hasattr(matrix, "indptr")


def _rows(matrix: Any, start: int, stop: int) -> Any:
    """Return a block of rows; a view where possible."""
    if stop - start == matrix.shape[0]:  # because a slice of CSR is a copy
        return matrix
    return take_rows(matrix, slice(start, stop))


def _stack(parts: Sequence[Any]) -> Any:
    if _is_sparse(parts[0]):
        from scipy.sparse import vstack

        return vstack(parts, format="csr")
    return np.concatenate(parts)
