"""Analogies: a is to b as c is to d, and how often the vectors answer d.

A file has sections, each begun by a line `: name`, and four words a line. As in the set of Mikolov et al.
2013 (arXiv:1301.3781) sections named gram... are syntactic, all others semantic.

3CosAdd answers the x with the largest cos(x, b) - cos(x, a) + cos(x, c) (Mikolov, Yih & Zweig 2013), 3CosMul
that with the largest cos(x, b) cos(x, c) / (cos(x, a) + .001), of cosines moved to 0..1 unless none can be
negative (Levy & Goldberg 2014, doi:10.3115/v1/W14-1618). a, b and c never answer.

Few words make up many questions, so the cosines of those words with a stretch of the vocabulary are computed
once, and every question only adds or multiplies three rows of that table.

Letters: Q questions, U different words in them, X candidates of a stretch of the vocabulary.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.core.resources import available_cores
from nlpseq.errors import ConfigError, DataError
from nlpseq.evaluation.word_pairs import Missing, found_as, read_lines
from nlpseq.vectors.vectors import EPSILON, Vectors

_TABLE_BYTES = 1 << 27  # of cosines at once
_BATCH = 16  # questions of a thread at once

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Section(NamedTuple):
    """Questions of one kind: a, b, c and the answer."""

    name: str
    questions: list[tuple[str, str, str, str]]

    @property
    def is_syntactic(self) -> bool:
        return self.name.startswith("gram")


class Accuracy(NamedTuple):
    """Right answers of a section, or of several."""

    name: str
    add: int  # right by 3CosAdd
    mul: int  # right by 3CosMul
    used: int  # questions that were counted
    oov: int  # questions with a word the vectors do not have

    def shares(self) -> dict[str, Any]:
        """Both methods as shares of the questions that were counted, None where there are none."""
        right = {"3cosadd": self.add, "3cosmul": self.mul}
        shares = {method: number / self.used if self.used else None for method, number in right.items()}
        return {"name": self.name, **shares, "used": self.used, "oov": self.oov}


def read_analogies(file: Path) -> list[Section]:
    """The sections of a file. Raises DataError, naming the line, where it holds anything else."""
    sections = list[Section]()
    for number, line in enumerate(read_lines(file), 1):
        words = line.split()
        if line.startswith(":"):
            sections.append(Section(line[1:].strip(), []))
        elif len(words) == 4 and sections:
            sections[-1].questions.append((words[0], words[1], words[2], words[3]))
        elif words:
            raise DataError(
                f"{file}, line {number}, is neither `: section` nor, behind one, four words. "
                "Correct the file."
            )
    if not any(section.questions for section in sections):
        raise DataError(f"{file} holds no analogies. Name another file.")
    return sections


def evaluate_analogies(
    vectors: Vectors,
    sections: Sequence[Section],
    *,
    restrict_vocab: int | None = None,
    missing: Missing = "skip",
    threads: int | None = None,
) -> list[Accuracy]:
    """The right answers of each section, then of all semantic ones, all syntactic ones, and all.

    restrict_vocab: only so many of the first words are known and can answer. Words are looked up as they
    stand and then in lower case; a question with an unknown word is left out or, with missing="zero", wrong.
    """
    if restrict_vocab is not None and restrict_vocab < 4:
        raise ConfigError(f"restrict_vocab is {restrict_vocab}. It must be at least 4.")
    candidates = min(restrict_vocab or len(vectors.vocab), len(vectors.vocab))
    known = [_known_ids(vectors, section, candidates) for section in sections]
    asked_Q4 = np.array([ids for section in known for ids in section], np.int64).reshape(-1, 4)
    right = _answers(vectors, asked_Q4[:, :3], candidates, threads) == asked_Q4[:, 3]
    scores, start = list[Accuracy](), 0
    for section, ids in zip(sections, known, strict=True):
        add, mul = right[:, start : start + len(ids)].sum(axis=1).tolist()
        start += len(ids)
        oov = len(section.questions) - len(ids)
        scores.append(Accuracy(section.name, add, mul, len(ids) + oov * (missing == "zero"), oov))
    parts = {True: list[Accuracy](), False: list[Accuracy]()}
    for section, score in zip(sections, scores, strict=True):
        parts[section.is_syntactic].append(score)
    return [
        *scores,
        _total("semantic", parts[False]),
        _total("syntactic", parts[True]),
        _total("all", scores),
    ]


def _total(name: str, scores: Sequence[Accuracy]) -> Accuracy:
    return Accuracy(
        name,
        add=sum(score.add for score in scores),
        mul=sum(score.mul for score in scores),
        used=sum(score.used for score in scores),
        oov=sum(score.oov for score in scores),
    )


def _known_ids(vectors: Vectors, section: Section, candidates: int) -> list[list[int]]:
    """The word ids of the questions of which all four words are known."""
    found = list[list[int]]()
    for question in section.questions:
        forms = [found_as(vectors, word) for word in question]
        ids = [vectors.vocab.ids[form] for form in forms if form is not None]
        if len(ids) == 4 and max(ids) < candidates:
            found.append(ids)
    return found


def _answers(vectors: Vectors, abc_Q3: Ids, candidates: int, threads: int | None) -> Ids:
    """(2, Q): the word that answers each question by 3CosAdd, and by 3CosMul; ties go to the first word."""
    best = np.full((2, len(abc_Q3)), -np.inf, np.float32)
    answer = np.full((2, len(abc_Q3)), -1, np.int64)
    word_U, place_Q3 = np.unique(abc_Q3, return_inverse=True)
    place_Q3 = place_Q3.reshape(-1, 3)  # NumPy 2.0 alone gives it flat
    batches = [slice(start, start + _BATCH) for start in range(0, len(abc_Q3), _BATCH)]
    with ThreadPoolExecutor(threads or available_cores()) as pool:
        for first, table_UX in _tables(vectors, word_U, candidates):

            def work(batch: slice, first: int = first, table_UX: Floats = table_UX) -> None:
                for method, scores_QX in enumerate(_scores(table_UX, place_Q3[batch])):
                    _leave_out(scores_QX, abc_Q3[batch] - first)
                    found = scores_QX.argmax(axis=1)
                    score = np.take_along_axis(scores_QX, found[:, None], axis=1)[:, 0]
                    better = score > best[method, batch]
                    answer[method, batch] = np.where(better, first + found, answer[method, batch])
                    best[method, batch] = np.where(better, score, best[method, batch])

            list(pool.map(work, batches))
    return answer


def _tables(vectors: Vectors, word_U: Ids, candidates: int) -> Iterator[tuple[int, Floats]]:
    """The cosines of some words with a stretch of the vocabulary at a time, and where it begins."""
    unit_UD = vectors.rows(word_U.tolist())
    step = max(1, _TABLE_BYTES // 4 // max(1, len(word_U)))
    for first in range(0, candidates, step):
        cosine_XU = vectors.unit[first : min(first + step, candidates)] @ unit_UD.T
        table_UX = np.ascontiguousarray(cosine_XU.T)
        if not vectors.is_sparse:  # there no cosine is negative
            table_UX += 1
            table_UX /= 2
        yield first, table_UX


def _scores(table_UX: Floats, place_Q3: Ids) -> Iterator[Floats]:
    """3CosAdd and 3CosMul of every candidate; adding the same to all cosines changes no order."""
    a_QX, b_QX, c_QX = (table_UX[place_Q3[:, k]] for k in range(3))
    yield b_QX - a_QX + c_QX
    yield b_QX * c_QX / (a_QX + np.float32(EPSILON))


def _leave_out(scores_QX: Floats, place_Q3: Ids) -> None:
    """The words of a question are no answers to it."""
    question, k = np.nonzero((place_Q3 >= 0) & (place_Q3 < scores_QX.shape[1]))
    scores_QX[question, place_Q3[question, k]] = -np.inf
