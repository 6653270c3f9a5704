"""Evaluate vectors on analogies: the share of questions "a is to b as c is to ?" answered with d.

A file has four words a line; see files.py for separators, quotes and line numbers. A line `: name` begins a
section, and lines that begin with # are comments. A section is syntactic or semantic if its name says so
(`gram1-...`, `syntactic`, `syn2_...`, `semantic`, `sem1_...`), or if it is one of the semantic sections of
Mikolov et al. 2013 (arXiv:1301.3781).

3CosAdd answers the x with the largest cos(x, b) - cos(x, a) + cos(x, c) (Mikolov, Yih & Zweig 2013,
N13-1090), 3CosMul the x with the largest cos(x, b) cos(x, c) / (cos(x, a) + .001), of cosines shifted to 0..1
unless none can be negative (Levy & Goldberg 2014, doi:10.3115/v1/W14-1618). a, b and c never answer, nor do
words without a trained vector (Vectors.untrained_ids).

Many questions share few words. So the cosines of these words with a slice of the vocabulary are computed
once, and every question only combines three rows of the table.

Letters: Q questions, U different words in the questions, X candidates in a slice of the vocabulary.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.core.resources import available_cores
from nlpseq.errors import ConfigError, DataError
from nlpseq.evaluation.files import Line, Missing, Unused, arrange, read_lines, split_comments, word_finder
from nlpseq.vectors.compact_matrix import take_rows
from nlpseq.vectors.queries import COSMUL_EPSILON
from nlpseq.vectors.vectors import FoundWord, Vectors

__all__ = ["NO_SECTION", "TABLE_BYTES", "Accuracy", "AnalogyFile", "Section", "evaluate_analogies"]
__all__ += ["read_analogies"]

TABLE_BYTES = 1 << 27  # of cosines at once
NO_SECTION = "(no section)"  # name of the questions before the first section
_BATCH_QUESTIONS = 16  # of a thread at once
_PARTS = {  # name: sections of this part
    "semantic": re.compile(
        r"(capital-common-countries|capital-world|currency|city-in-state|family)$|sem(antics?)?(?![a-z])",
        re.IGNORECASE,
    ),
    "syntactic": re.compile(r"(gram(mar|matical)?|syn(tax|tactic)?)(?![a-z])", re.IGNORECASE),
}

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Question = list[FoundWord]  # a, b, c and the answer


class Section(NamedTuple):
    """Questions of one relation: a, b, c and the answer."""

    name: str
    questions: list[tuple[str, str, str, str]]


class AnalogyFile(NamedTuple):
    """Content of a file of analogies."""

    sections: list[Section]
    unused: Unused


class Accuracy(NamedTuple):
    """The correct answers of one or more sections."""

    name: str
    add: int  # correct by 3CosAdd
    mul: int  # correct by 3CosMul
    used: int  # questions in the score
    oov: int  # questions with a word that has no vector, or beyond restrict_vocab, or with an unseen answer

    def shares(self) -> dict[str, Any]:
        """Return the accuracy of both methods, None if no question was used."""
        correct = {"3cosadd": self.add, "3cosmul": self.mul}
        shares = {method: number / self.used if self.used else None for method, number in correct.items()}
        return {"name": self.name, **shares, "used": self.used, "oov": self.oov}


def read_analogies(file: Path) -> AnalogyFile:
    """Read the sections of a file; raises DataError if there are no analogies."""
    lines, unused = split_comments(read_lines(file))
    questions, malformed = arrange([line for line in lines if not _is_name(line)], _reason_without_analogy)
    fields_of = {line.number: fields for line, fields in questions}
    sections = [Section(NO_SECTION, [])]
    for line in lines:
        if _is_name(line):
            sections.append(Section(line.text[1:].strip(), []))
        elif line.number in fields_of:
            a, b, c, d = fields_of[line.number]
            sections[-1].questions.append((a, b, c, d))
    if not questions:
        raise DataError(f"{file}: holds no analogies. Name another file, or write four words on each line.")
    return AnalogyFile(sections[not sections[0].questions :], unused | malformed)


def _is_name(line: Line) -> bool:
    return line.text.startswith(":")


def _reason_without_analogy(fields: Sequence[str], separator: str) -> str | None:
    """Return the reason why fields are no analogy, None if they are."""
    if len(fields) > 4:
        return "more than four words"
    return None if len(fields) == 4 and all(fields) else "fewer than four words"


def evaluate_analogies(
    vectors: Vectors,
    sections: Sequence[Section],
    *,
    restrict_vocab: int | None = None,
    missing: Missing = "skip",
    threads: int | None = None,
    table_bytes: int = TABLE_BYTES,
) -> list[Accuracy]:
    """Count correct answers for each section, then for semantic, syntactic and all sections.

    Semantic and syntactic are left out if no section has such a name. restrict_vocab: how many of the first
    words are known and can answer. Words are looked up as written, then in lower case; a question with a word
    that has no vector is left out or, with missing="zero", counts as wrong. table_bytes: memory for cosines.
    """
    if restrict_vocab is not None and restrict_vocab < 4:
        raise ConfigError(f"restrict_vocab: {restrict_vocab} is too small. Choose 4 or more.")
    candidates = min(restrict_vocab or len(vectors.vocab), len(vectors.vocab))
    find = word_finder(vectors)
    known = [_known_words(find, section, candidates, restrict_vocab) for section in sections]
    questions = [words for section in known for words in section]
    right_Q = np.array([words[3].row for words in questions], np.int64)
    correct = _answers(vectors, questions, candidates, threads, table_bytes) == right_Q
    scores, start = list[Accuracy](), 0
    for section, used in zip(sections, known, strict=True):
        add, mul = correct[:, start : start + len(used)].sum(axis=1).tolist()
        start += len(used)
        oov = len(section.questions) - len(used)
        scores.append(Accuracy(section.name, add, mul, len(used) + oov * (missing == "zero"), oov))
    parts = {name: [score for score in scores if part.match(score.name)] for name, part in _PARTS.items()}
    return [*scores, *(_total(name, each) for name, each in parts.items() if each), _total("all", scores)]


def _total(name: str, scores: Sequence[Accuracy]) -> Accuracy:
    return Accuracy(
        name,
        add=sum(score.add for score in scores),
        mul=sum(score.mul for score in scores),
        used=sum(score.used for score in scores),
        oov=sum(score.oov for score in scores),
    )


def _known_words(
    find: Callable[[str], FoundWord | None], section: Section, candidates: int, restrict_vocab: int | None
) -> list[Question]:
    """Return the words of the questions whose four words have vectors, and whose answer is a candidate."""
    found = list[Question]()
    for question in section.questions:
        words = [known for word in question if (known := find(word)) is not None]
        limited = words[3:] if restrict_vocab is None else words
        if len(words) == 4 and all(each.row is not None and each.row < candidates for each in limited):
            found.append(words)
    return found


def _answers(
    vectors: Vectors, questions: Sequence[Question], candidates: int, threads: int | None, table_bytes: int
) -> Ids:
    """Return the answer to each question by 3CosAdd and by 3CosMul, (2, Q); the first word wins ties."""
    best = np.full((2, len(questions)), -np.inf, np.float32)
    answer = np.full((2, len(questions)), -1, np.int64)
    words = list(dict.fromkeys(each for question in questions for each in question[:3]))
    index = {each: u for u, each in enumerate(words)}
    row_Q3 = np.array([[index[each] for each in question[:3]] for question in questions], np.int64)
    ids_U = np.array([-1 if each.row is None else each.row for each in words], np.int64)
    abc_Q3, row_Q3 = ids_U[row_Q3].reshape(-1, 3), row_Q3.reshape(-1, 3)
    starts = range(0, len(abc_Q3), _BATCH_QUESTIONS)
    batches = [slice(start, start + _BATCH_QUESTIONS) for start in starts]
    with ThreadPoolExecutor(threads or available_cores()) as pool:
        for first, table_UX in _tables(vectors, words, candidates, table_bytes):
            start, stop = np.searchsorted(vectors.untrained_ids, (first, first + table_UX.shape[1]))

            def work(
                batch: slice,
                first: int = first,
                table_UX: Floats = table_UX,
                left_out: npt.NDArray[np.intp] = vectors.untrained_ids[start:stop],
            ) -> None:
                a_QX, b_QX, c_QX = (table_UX[row_Q3[batch, k]] for k in range(3))
                # the shift of all cosines does not change the order of 3CosAdd
                cos_add_QX, cos_mul_QX = b_QX - a_QX + c_QX, b_QX * c_QX / (a_QX + np.float32(COSMUL_EPSILON))
                column_Q3 = abc_Q3[batch] - first
                for method, scores_QX in enumerate((cos_add_QX, cos_mul_QX)):
                    question, k = np.nonzero((column_Q3 >= 0) & (column_Q3 < scores_QX.shape[1]))
                    scores_QX[question, column_Q3[question, k]] = -np.inf  # a, b and c never answer
                    scores_QX[:, left_out - first] = -np.inf
                    found = scores_QX.argmax(axis=1)
                    score = np.take_along_axis(scores_QX, found[:, None], axis=1)[:, 0]
                    better = score > best[method, batch]
                    answer[method, batch] = np.where(better, first + found, answer[method, batch])
                    best[method, batch] = np.where(better, score, best[method, batch])

            list(pool.map(work, batches))
    return answer


def _tables(
    vectors: Vectors, words: Sequence[FoundWord], candidates: int, table_bytes: int
) -> Iterator[tuple[int, Floats]]:
    """Yield the first id of each slice of the vocabulary, and its cosines with the words, (U, X)."""
    unit_UD = vectors.directions(words)
    step = max(1, table_bytes // 4 // max(1, len(words)))
    for first in range(0, candidates, step):
        rows = slice(first, min(first + step, candidates))
        cosine_XU = take_rows(vectors.unit, rows) @ unit_UD.T
        table_UX = np.ascontiguousarray(cosine_XU.T)
        if not vectors.is_sparse:  # whose cosines are never negative
            table_UX += 1
            table_UX /= 2
        yield first, table_UX
