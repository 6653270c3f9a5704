"""Vectors: a vocabulary with a vector for each word, saved, loaded and written for other tools.

Letters: V words, D dimensions.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlpseq.config import TextConfig
from nlpseq.config.fields import from_stored
from nlpseq.core.resources import count_text
from nlpseq.dataset.phrases import JOINT, join_known
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    NlpseqError,
    RunError,
    UnknownWord,
    ways_to_pairs,
)
from nlpseq.storage import artifact
from nlpseq.storage.locks import remove_stale_temporaries
from nlpseq.storage.sparse import as_csr, save_csr
from nlpseq.tokenizers.base import normalize_and_tokenize
from nlpseq.tokenizers.bpe import SPACE_MARK
from nlpseq.vectors import gensim_names
from nlpseq.vectors.checked import FolderRecord
from nlpseq.vectors.coarse import CoarseUnit
from nlpseq.vectors.compact_matrix import CompactMatrix, Dtype, take_rows
from nlpseq.vectors.expressions import Term, parse_expression, spaced_signs
from nlpseq.vectors.folder import (
    COMPACT_VERSION,
    KIND,
    VERSION,
    LastWeights,
    load_folder,
    write_last,
    write_matrices,
    write_subwords,
)
from nlpseq.vectors.formats.names import BadTokens, Format
from nlpseq.vectors.formats.reader import ReadOptions
from nlpseq.vectors.formats.registry import Written, check_output, read_vectors, write_vectors
from nlpseq.vectors.formats.rows import WholeModel
from nlpseq.vectors.lazy_rows import LazyRows, row_blocks
from nlpseq.vectors.queries import (
    COSINE,
    AnalogyMethod,
    Answers,
    Question,
    Scoring,
    Space,
    cosines,
    cosmul,
    dots,
    rank,
)
from nlpseq.vectors.subwords import SubwordVectors
from nlpseq.vectors.suggestions import show_word, suggest_tokens, suggest_words

__all__ = ["KIND", "VERSION", "FoundWord", "Vectors"]

_STAMPED = (
    "format",
    "format_version",
    "nlpseq_version",
    "num_stored",
    "notices",
    "dtype",
    "subwords",
)  # new in each save
SLOW_WORDS = 200_000  # computed from n-grams in about half a minute
_OF_A_RUN = ("complete", "position", "checkpoint")  # only in a checkpoint
_NOT_FINITE = "Train or convert the vectors again."
_NOT_WRITTEN = "Nothing was written. Train again with a lower --learning-rate."
_MIN_SQUARE = 1e-24  # of a sum of vectors, relative to the longest: the rest of vectors that cancel out

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FoundWord:
    """A word with a vector: a row of the matrix, or None if the vector is made from n-grams."""

    word: str
    row: int | None


Word = str | int | FoundWord  # as typed, the id of a word of the vocabulary, or found before


class Vectors:
    """A vector for every word of a vocabulary.

    vocab: the words, without specials. matrix: float32, (V, D), a row a word, or a CompactMatrix, which reads
    as float32; for explicit vectors, with a dimension for every context word, a sparse SciPy CSR, (V, V).
    contexts: output vectors of the same words, (V, D), if the method has them. meta: settings of the
    training, stored with the vectors. subwords: rows of n-grams, for vectors of unseen words. last: of a
    continued training, the weights to continue with.

    A mapping from words to vectors: vectors["king"] and "king" in vectors find a word as find() does, and
    iteration gives the words. With subwords, an unseen word has a vector too, the mean of its n-grams, and so
    has a word of the vocabulary without a trained vector; these words never answer. without_subwords() leaves
    unseen words out.
    """

    def __init__(
        self,
        vocab: Vocab,
        matrix: Any,
        contexts: Any = None,
        meta: artifact.Meta | None = None,
        subwords: SubwordVectors | None = None,
        last: LastWeights | None = None,
    ) -> None:
        assert vocab.num_specials == 0 and matrix.ndim == 2 and matrix.shape[0] == len(vocab)
        assert contexts is None or contexts.shape == matrix.shape
        self.vocab = vocab
        self.is_sparse = hasattr(matrix, "indptr")
        self.matrix: Any = matrix if self.is_sparse else _as_dense(matrix)
        self.contexts: Any = None if contexts is None else _as_dense(contexts)
        self.meta, self.subwords, self.last = meta or {}, subwords, last
        self.path: Path | None = None  # the folder that they were loaded from

    def __repr__(self) -> str:
        num_words, dim = self.matrix.shape
        known = (self.meta.get(name) for name in ("model", "corpus", "read_from"))
        parts = [f"{num_words:,} words x {dim:,}", *(repr(each) for each in known if each)]
        return f"Vectors({', '.join(parts)})"

    def __len__(self) -> int:
        return len(self.vocab)

    def __iter__(self) -> Iterator[str]:
        return iter(self.vocab.words)

    def __contains__(self, word: str) -> bool:
        return self.find(word) is not None or self.find_vector(word) is not None

    def __getitem__(self, word: str) -> Floats:
        """Return a copy of the vector of a word, (D,); raise UnknownWord, also a KeyError.

        A word without a trained vector has its row as stored, if its n-grams have no vector either.
        """
        row = self.stored_rows([self.find_vector(word) or FoundWord(word, self.word_id(word))])
        vector: Floats = (row.toarray() if self.is_sparse else row)[0]
        return vector

    @property
    def dtype(self) -> Dtype:
        """Return the type that the numbers are stored in."""
        return self.matrix.stored_dtype if isinstance(self.matrix, CompactMatrix) else "float32"

    @property
    def is_computed(self) -> bool:
        """Return True if vectors are computed from n-grams or read from a mapped file when they are taken."""
        return isinstance(self.matrix, CompactMatrix) and isinstance(self.matrix.codes, LazyRows)

    @property
    def is_slow_to_search(self) -> bool:
        """Return True if the first search through all words computes very many vectors."""
        return self.is_computed and len(self) >= SLOW_WORDS

    @cached_property
    def unit(self) -> Any:
        """Return the matrix with every row scaled to length 1; zero rows stay zero."""
        if self.is_sparse:
            return _unit_rows(self.matrix)
        if isinstance(self.matrix, CompactMatrix):
            return self.matrix.unit()
        length_V = np.sqrt(np.einsum("vd,vd->v", self.matrix, self.matrix, dtype=np.float64))
        length_V[length_V == 0] = 1
        unit_VD = np.empty(self.matrix.shape, np.float32)
        np.divide(self.matrix, length_V[:, None], out=unit_VD, casting="same_kind")
        return unit_VD

    @cached_property
    def zero_ids(self) -> npt.NDArray[np.intp]:
        """Return the ids of words without a trained vector: a vector of zeros, or in meta["untrained"].

        Training leaves zeros for a word without pairs, and postprocessing lists this word.
        """
        listed = [self.vocab.ids[word] for word in self._listed_untrained if word in self.vocab]
        zero_ids: npt.NDArray[np.intp] = np.union1d(self._zero_rows(), np.array(listed, np.intp))
        return zero_ids

    def _zero_rows(self) -> npt.NDArray[np.intp]:
        if self.is_sparse:
            return np.flatnonzero(np.diff(self.matrix.indptr) == 0)
        if isinstance(self.matrix, CompactMatrix):
            return self.matrix.zero_rows
        ids = np.flatnonzero(self.matrix[:, 0] == 0)
        zero_rows: npt.NDArray[np.intp] = ids[~np.any(self.matrix[ids], axis=1)]
        return zero_rows

    @cached_property
    def untrained_ids(self) -> npt.NDArray[np.intp]:
        """Return the ids that never answer: of words with a zero vector, and of words not in the text."""
        untrained_ids: npt.NDArray[np.intp] = np.union1d(self.zero_ids, self.vocab.absent_ids)
        return untrained_ids

    def _are_untrained(self, rows: Sequence[int]) -> Bools:
        """Return True for each row among untrained_ids; only these rows are read."""
        rows_N, listed = np.array(rows, np.int64), self._listed_untrained
        is_listed_N = np.array([bool(listed) and self.vocab.words[row] in listed for row in rows], np.bool_)
        is_zero_N: Bools
        if self.is_sparse:
            is_zero_N = self.matrix.indptr[rows_N] == self.matrix.indptr[rows_N + 1]
        else:
            is_zero_N = ~self.matrix[rows_N].any(axis=1)
        is_untrained_N: Bools = is_zero_N | is_listed_N | (self.vocab.counts[rows_N] == 0)
        return is_untrained_N

    @cached_property
    def _listed_untrained(self) -> frozenset[str]:
        return frozenset(self.meta.get("untrained", ()))

    def word_id(self, word: str) -> int:
        """Return the row of a word of the vocabulary as find() finds it; raises UnknownWord."""
        found = self.find(word)
        if found is None:
            raise UnknownWord(self._explain_unknown(word))
        return self.vocab.ids[found]

    def find_vectors(self, words: Iterable[str]) -> list[FoundWord | None]:
        """Return each word with its trained vector, or one made from its n-grams; None without a vector.

        A word is found as by find(). Vectors of nlpseq take the n-grams of an unseen word as the tokenizer
        of the training text writes it.
        """
        words = list(words)
        rows = [self._row_of(word) for word in words]
        forms = [self._form_of(word, row) for word, row in zip(words, rows, strict=True)]
        return self._with_vectors(forms, rows)

    def find_vector(self, word: str) -> FoundWord | None:
        """Return a word as find_vectors() does."""
        return self.find_vectors([word])[0]

    def find_tokens(self, tokens: Iterable[str]) -> dict[str, FoundWord]:
        """Return the tokens of a text that have a vector; they are written as in the vocabulary."""
        tokens = list(dict.fromkeys(tokens))
        found = self._with_vectors(tokens, [self.vocab.ids.get(token) for token in tokens])
        return {token: each for token, each in zip(tokens, found, strict=True) if each is not None}

    def lookup(self, word: Word) -> FoundWord:
        """Return a word as find_vectors() does; raises UnknownWord, or DataError if there is no vector."""
        if isinstance(word, FoundWord):
            return word
        row = self._row_of(word)
        (found,) = self._with_vectors([self._form_of(word, row)], [row])
        if found is not None:
            return found
        if row is None:
            raise UnknownWord(self._explain_unknown(str(word)))
        raise DataError(self._explain_untrained(row))

    def _with_vectors(
        self, forms: Sequence[str | None], rows: Sequence[int | None]
    ) -> list[FoundWord | None]:
        """Return words with the vectors of their rows if these are trained, else of the n-grams of forms."""
        found: list[FoundWord | None] = [None] * len(rows)
        known = {n: row for n, row in enumerate(rows) if row is not None}
        is_untrained = self._are_untrained([*known.values()]).tolist()
        for (n, row), without in zip(known.items(), is_untrained, strict=True):
            if not without:
                found[n] = FoundWord(self.vocab.words[row], row)
        if self.subwords is None:
            return found
        rest = {n: form for n, form in enumerate(forms) if form is not None and found[n] is None}
        have_vectors = self.subwords.have_vectors([*rest.values()]).tolist()
        for (n, form), has_vector in zip(rest.items(), have_vectors, strict=True):
            if has_vector:
                found[n] = FoundWord(form, None)
        return found

    def _form_of(self, word: Word, row: int | None) -> str | None:
        """Return the form of a word that has n-grams, None if it is several words."""
        if row is not None:
            return self.vocab.words[row]
        forms = self._tokens(str(word)) if self.subwords is not None else []
        return forms[0] if len(forms) == 1 else None

    def _row_of(self, word: Word) -> int | None:
        """Return the row of a word, None for an unseen word; raises ConfigError for an id out of range."""
        if isinstance(word, FoundWord):
            return word.row
        if isinstance(word, str):
            found = self.find(word)
            return None if found is None else self.vocab.ids[found]
        if not 0 <= word < len(self.vocab):
            raise ConfigError(f"words: {word} is not an id. Choose from 0 to {len(self.vocab) - 1:,}.")
        return int(word)

    def _rows_of(self, words: Iterable[Word]) -> list[int]:
        """Return the rows of words; unseen words, which never answer, have none. Raises UnknownWord."""
        rows = list[int]()
        for word in words:
            row = self._row_of(word)
            if row is not None:
                rows.append(row)
            else:
                self.lookup(word)
        return rows

    def without_subwords(self) -> "Vectors":
        """Return the same vectors, without vectors of unseen words."""
        if self.subwords is None:
            return self
        known = Vectors(self.vocab, self.matrix, self.contexts, self.meta)  # without the last weights
        known.path = self.path
        return known

    def find(self, word: str) -> str | None:
        """Return the vocabulary's form of a word: as written, else tokenized like the training text.

        With BPE, the token of a word after a space if there is one, such as Ġking for king, else as written.
        """
        if (found := self.vocab.find(word)) or self.vocab.bpe:
            return found
        phrase = JOINT.join(self._tokens(word))
        return phrase if phrase in self.vocab else None

    def _tokens(self, text: str) -> list[str]:
        """Tokenize like the training text; vectors of other tools have no tokenizer."""
        return normalize_and_tokenize(text, self._text_config) if self._text_config else [text]

    @cached_property
    def _text_config(self) -> TextConfig | None:
        """Return the settings of the training text, None for vectors of other tools.

        Raises ArtifactError if the tokenizer is not installed here.
        """
        stored = self.meta.get("text_config")
        try:
            return from_stored(TextConfig, stored) if stored else None
        except ConfigError as error:
            place = self.path or "vectors"
            raise ArtifactError(f"{place}: the tokenizer of their text is not there: {error}") from error

    def _explain_unknown(self, word: str) -> str:
        if self.vocab.bpe:
            return f"{word!r}: {self._explain_tokens(word)}"
        parts = self._tokens(word)
        known = [part for part in parts if part in self]
        if len(parts) > 1 and known:
            tokenizer = self.meta["text_config"]["tokenizer"]
            why = (
                "hyphens, spaces and punctuation separate words"
                if tokenizer == "word"
                else f"`{tokenizer}` splits it"
            )
            return (
                f"{word!r}: is {len(parts)} words in the text of these vectors, because {why}. "
                f"Use one of these words: {', '.join(known)}."
            )
        also = ""
        if self.subwords is not None and self.find_vector(word) is None:
            also = f", and has no trained n-gram of {self.subwords.lengths_text}"
        suggested = suggest_words(word, self.vocab.words, known=self.vocab)
        close = [show_word(other, word) for other in suggested]
        hint = f"Did you mean {' or '.join(close)}?" if close else "Check the spelling, or name another word."
        return (
            f"{word!r}: is not among the {count_text(len(self.vocab), 'word')} of these vectors{also}. {hint}"
        )

    def _explain_untrained(self, row: int) -> str:
        word = self.vocab.words[row]
        label = repr(self.vocab.label(word))
        if self.vocab.counts[row] != 0:
            return f"{label}: {self._explain_zeros(word)}"
        if self.vocab.bpe:
            return (
                f"{label}: was never a token of its own in the text of these vectors, so its vector was "
                f"never trained. {self._advise_token(self.vocab.label(word))}"
            )
        return (
            f"{label}: does not occur in the text of these vectors, so its vector was never trained. Use "
            "another word, or train on text with this word."
        )

    def _explain_tokens(self, word: str) -> str:
        """Explain that a word is several tokens of BPE; parts of characters are not shown."""
        assert self.vocab.bpe
        tokens = self.vocab.bpe.tokenize(" " + word.removeprefix(SPACE_MARK))
        texts = [self.vocab.bpe.token_bytes(token).decode(errors="replace") for token in tokens]
        labels = (
            "" if any("\ufffd" in text for text in texts) else f", {' '.join(map(self.vocab.label, tokens))}"
        )
        return f"is {len(tokens)} subword tokens{labels}. {self._advise_token(word)}"

    def _advise_token(self, word: str) -> str:
        tokens = suggest_tokens(word, self.vocab)
        return f"Name a token of the text, such as {' or '.join(tokens)}." if tokens else "Name another word."

    def _explain_zeros(self, word: str) -> str:
        if file := self.meta.get("read_from"):
            kind = "that is not finite" if word in self.meta.get("not_finite", ()) else "of zeros"
            return f"has a vector {kind} in {file}, so that no cosine exists. Name another word."
        is_counted = "cooccurrence_config" in self.meta
        settings = self.meta.get("cooccurrence_config" if is_counted else "config", {})
        command = f"`nlpseq {'train-counts' if is_counted else 'train-w2v'} --subsample 0`"
        ways = ways_to_pairs(settings.get("subsample", 0.0), command)
        return f"its vector is zero, because training found no pair of this word. {ways}"

    def rows(self, word_ids: Sequence[int]) -> Floats:
        """Return the rows of `unit` of some words, dense, (len(word_ids), D)."""
        rows = self.unit[list(word_ids)]
        dense: Floats = rows.toarray() if self.is_sparse else rows
        return dense

    def split_phrase(self, text: str) -> list[str]:
        """Return a text alone if it is an entry, else its words between spaces."""
        words = text.split()
        return [text] if self.find(text) is not None or len(words) < 2 else words

    def words_of(self, term: Term) -> list[str]:
        """Return the words of a term in an expression."""
        return self.split_phrase(term.text) if term.is_quoted else [term.text]

    def find_words(self, text: str) -> tuple[list[FoundWord], list[str]]:
        """Return the words of a text that have a vector, and the other words.

        Vectors of nlpseq split a text like the training text, others at white space.
        """
        config = self._text_config
        if config is None:
            tokens = [self.find(token) or token for token in text.split()]
        else:
            tokens = join_known(self.vocab.tokenize(text, config), self.vocab.ids, config.phrases)
        found = self.find_tokens(tokens)
        known = [found[token] for token in tokens if token in found]
        return known, [token for token in tokens if token not in found]

    def similarity(self, a: Word | Sequence[Word], b: Word | Sequence[Word]) -> float:
        """Return the cosine of two words, or of the means of two lists of words, from -1 to 1.

        Raises DataError for a word without a trained vector, and for a mean of zero.
        """
        means = list[Any]()
        for words in (a, b):
            found = self._lookup_all([words] if isinstance(words, Word) else words)
            means.append(_weighted_sum([1] * len(found), self._double_rows(found)))
        return float(cosines(*means)[0])

    def neighbors(self, word: str, top: int = 10) -> Answers:
        """Return the `top` words with the highest cosine, best first, without the word itself.

        Words without a trained vector are left out, see untrained_ids. Raises DataError for such a word,
        unless its n-grams give it a vector.
        """
        return self.neighbors_of([word], top)[0]

    def neighbors_of(
        self, words: Iterable[Word | Sequence[Word]], top: int = 10, among: Iterable[Word] | None = None
    ) -> list[Answers]:
        """Return the neighbors of many words at once, faster than one by one.

        A list of words asks for the neighbors of the mean of their directions. among: words that may answer.
        A word may be an id, or found by lookup() or find_words().
        """
        groups = [self._lookup_all([each] if isinstance(each, Word | np.integer) else each) for each in words]
        rows_ND = self._double_rows([each for group in groups for each in group])
        questions, start = list[Question](), 0
        for group in groups:
            part_ND = rows_ND[start : start + len(group)]
            if len(group) != 1:
                part_ND = _weighted_sum([1] * len(group), _directions(part_ND))
            questions.append(Question(part_ND, self._rows_of(group)))
            start += len(group)
        return self._answer(questions, top, space=self._space_of(among))

    def analogy(self, a: str, b: str, c: str, top: int = 10, method: AnalogyMethod = "3cosadd") -> Answers:
        """Return the `top` answers to "a is to b as c is to ?", best first, without a, b and c.

        3cosadd scores a word x by cos(x, b - a + c) (Mikolov, Yih & Zweig 2013, N13-1090), 3cosmul by
        cos(x, b) cos(x, c) / cos(x, a) with cosines shifted to 0..1, which explicit vectors do not need
        because their cosines are never negative (Levy & Goldberg 2014, doi:10.3115/v1/W14-1618). Words
        without a trained vector are left out; raises DataError if the text does not have a, b or c.
        """
        found = self._lookup_all((a, b, c))
        rows_3D, excluded = _directions(self._double_rows(found)), self._rows_of(found)
        if method == "3cosadd":
            vector_1D = _weighted_sum([-1, 1, 1], rows_3D)
            return self._answer([Question(vector_1D, excluded)], top)[0]
        if method == "3cosmul":
            scoring = cosmul(can_be_negative=not self.is_sparse)
            return self._answer([Question(rows_3D, excluded)], top, scoring)[0]
        raise ConfigError(f"method: {method!r} is unknown. Choose one of 3cosadd, 3cosmul.")

    def query(
        self,
        expression: str,
        top: int = 10,
        *,
        among: Iterable[str] | None = None,
        min_frequency: int = 0,
        max_rank: int | None = None,
    ) -> Answers:
        """Return the `top` answers to an expression such as "king - man + 2*woman", without its words.

        Words are directions: vectors of length 1. A phrase between quotation marks is an entry, or else the
        mean of its words. among, min_frequency, max_rank: words that may answer, by name, by occurrences in
        the training text (if these are unknown, a word may answer), and by place in the vocabulary. Raises
        ConfigError for a malformed expression.
        """
        weights, found = list[float](), list[FoundWord]()
        for term in parse_expression(expression):
            words = self.words_of(term)
            try:
                found += self._lookup_all(words)
            except UnknownWord as error:
                if spaced := spaced_signs(term):
                    raise UnknownWord(f"{error} Signs stand between spaces: `{spaced}`.") from error
                raise
            weights += [term.weight / len(words)] * len(words)
        vector_1D = _weighted_sum(weights, _directions(self._double_rows(found)))
        space = self._space_of(among, min_frequency, max_rank)
        return self._answer([Question(vector_1D, self._rows_of(found))], top, space=space)[0]

    def nearest(
        self, vector: Any, top: int = 10, *, excluded: Iterable[Word] = (), max_rank: int | None = None
    ) -> Answers:
        """Return the `top` words with the highest cosine with a vector, (D,), best first.

        excluded: words that do not answer. max_rank: how many of the first words may answer.
        """
        vector_D, dim = np.asarray(vector, np.float64), self.matrix.shape[1]
        if vector_D.shape != (dim,) or not np.isfinite(vector_D).all() or not vector_D.any():
            raise ConfigError(
                f"vector: is not {dim} finite numbers, or all are 0. Pass an array like vectors[word]."
            )
        vector_1D = (vector_D / np.abs(vector_D).max())[None]
        rows_1D = type(self.matrix)(vector_1D) if self.is_sparse else vector_1D
        question = Question(rows_1D, self._rows_of(excluded))
        return self._answer([question], top, space=self._space_of(max_rank=max_rank))[0]

    def odd_one_out(self, words: Iterable[str]) -> dict[str, float]:
        """Return the cosine of each word with the mean of their directions, lowest first.

        The first word fits least. Raises ConfigError for fewer than three words, or a repeated word.
        """
        found = self._lookup_all(words)
        names = [each.word for each in found]
        if repeated := next((name for name in names if names.count(name) > 1), None):
            raise ConfigError(f"words: {self.vocab.label(repeated)} is named twice. Name each word once.")
        if len(names) < 3:
            raise ConfigError("words: fewer than three cannot have an odd one. Name three or more.")
        rows_ND = self._double_rows(found)
        mean_1D = _weighted_sum([1] * len(names), _directions(rows_ND))
        scores = [(name, float(cosines(rows_ND[[n]], mean_1D)[0])) for n, name in enumerate(names)]
        return dict(sorted(scores, key=lambda score: score[1]))

    most_similar = gensim_names.most_similar
    similar_by_word = gensim_names.similar_by_word
    similar_by_vector = gensim_names.similar_by_vector
    doesnt_match = gensim_names.doesnt_match
    n_similarity = gensim_names.n_similarity
    wmdistance = gensim_names.wmdistance
    get_vector = gensim_names.get_vector
    get_vecattr = gensim_names.get_vecattr
    has_index_for = gensim_names.has_index_for
    key_to_index = property(gensim_names.key_to_index)
    index_to_key = property(gensim_names.index_to_key)
    vector_size = property(gensim_names.vector_size)
    to_gensim = gensim_names.to_gensim
    from_gensim = classmethod(gensim_names.from_gensim)

    def _lookup_all(self, words: Iterable[Word]) -> list[FoundWord]:
        """Return one or more words as lookup() does."""
        found = [self.lookup(word) for word in words]
        if not found:
            raise ConfigError("words: are missing. Name one or more.")
        return found

    def stored_rows(self, words: Sequence[FoundWord]) -> Any:
        """Return the vectors of words, (N, D), as stored or made from n-grams; sparse if the matrix is."""
        rows_N = np.array([-1 if each.row is None else each.row for each in words], np.int64)
        made = [each.word for each in words if each.row is None]
        if not made:
            return self.matrix[rows_N]
        assert self.subwords is not None
        rows_ND = np.empty((len(words), self.matrix.shape[1]), np.float32)
        rows_ND[rows_N >= 0] = self.matrix[rows_N[rows_N >= 0]]
        rows_ND[rows_N < 0] = self.subwords.vectors(made)
        return rows_ND

    def _double_rows(self, words: Sequence[FoundWord]) -> Any:
        """Return the vectors of words in float64, (N, D), sparse if the matrix is."""
        return self.stored_rows(words).astype(np.float64)

    def directions(self, words: Sequence[FoundWord]) -> Floats:
        """Return the vectors of words scaled to length 1, dense, (N, D)."""
        rows_ND = _directions(self._double_rows(words))
        dense: Floats = (rows_ND.toarray() if self.is_sparse else rows_ND).astype(np.float32)
        return dense

    def _answer(
        self, questions: Sequence[Question], top: int, scoring: Scoring = COSINE, space: Space | None = None
    ) -> list[Answers]:
        words = self.vocab.words
        found = rank(space or self._space, questions, top, scoring)
        return [[(words[word_id], score) for word_id, score in ranked] for ranked in found]

    @cached_property
    def _space(self) -> Space:
        """Return all words that have a trained vector."""
        coarse = None if self.is_sparse else CoarseUnit(self.unit)
        return Space(self.unit, self._matrix_rows, self.untrained_ids, len(self.vocab), coarse)

    def _matrix_rows(self, word_ids: Any) -> Any:
        """Return rows of the matrix in float64, (N, D)."""
        return self.matrix[word_ids].astype(np.float64)

    def _space_of(
        self, among: Iterable[Word] | None = None, min_frequency: int = 0, max_rank: int | None = None
    ) -> Space:
        """Return the words that may answer a query."""
        if among is None and min_frequency <= 0 and max_rank is None:
            return self._space
        space, hidden_V = self._space, np.zeros(len(self.vocab), bool)
        if among is not None:
            hidden_V[:] = True
            hidden_V[self._rows_of(among)] = False
        if min_frequency > 0:
            if (self.vocab.counts < 0).all():
                raise ConfigError(
                    "min_frequency: these vectors have no word counts. Leave it out, or name other vectors."
                )
            hidden_V |= (self.vocab.counts >= 0) & (self.vocab.counts < min_frequency)
        if max_rank is not None:
            if max_rank < 1:
                raise ConfigError(f"max_rank: {max_rank} is too small. Choose 1 or more.")
            space = space._replace(num_words=min(max_rank, len(self.vocab)))
        if hidden_V.any():
            hidden_V[self.untrained_ids] = True
            space = space._replace(hidden_ids=np.flatnonzero(hidden_V))
        return space

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Save everything as a folder; raises RunError if a vector is not finite."""
        version = VERSION if self.dtype == "float32" else COMPACT_VERSION
        with artifact.create(Path(path), KIND, version, force=force) as folder:
            self.fill(folder)

    def fill(self, folder: artifact.Folder, run: artifact.Meta | None = None) -> None:
        """Write everything into a new folder; run: the state of training, for a checkpoint."""
        if run is None:
            self._check_finite(Path(folder.path.name), RunError, _NOT_WRITTEN)
        num_words, dim = self.matrix.shape
        dropped = (*_STAMPED, *_OF_A_RUN)
        kept = {key: value for key, value in self.meta.items() if key not in dropped} | (run or {})
        sizes = {"num_words": num_words, "dim": dim, "has_contexts": self.contexts is not None}
        sizes |= {"num_stored": self.matrix.nnz} if self.is_sparse else {}
        sizes |= {"dtype": self.dtype} if self.dtype != "float32" else {}
        if self.subwords:
            sizes["subwords"] = write_subwords(folder, self.subwords)
        folder.write_meta(kept | sizes | {"vocab_digest": self.vocab.digest})
        self.vocab.save(folder.path / "vocab.tsv")
        if self.is_sparse:
            save_csr(folder, self.matrix, np.float32)
        else:
            write_matrices(folder, self.matrix, self.contexts)
        if self.last is not None:
            write_last(folder, self.last)

    @classmethod
    def load(
        cls,
        path: str | Path,
        format: Format | None = None,
        *,
        verify: bool | None = None,
        lenient: bool = False,
        load_top: int | None = None,
    ) -> "Vectors":
        """Load a folder that `save` wrote, with mapped arrays, or a vector file.

        format: of a file, recognized by the content unless given. verify: True compares every file of a
        folder with its sha256 and reads all numbers, False does not, and None does the first time and after a
        change. lenient: of a file that is truncated or whose first line is wrong, load the vectors there are,
        with notices in meta. load_top: number of vectors to load, the first of the file or folder; the rest
        of a file is not read. Raises ArtifactError if the folder or file is corrupt, DataError if it cannot
        be read or is something else.
        """
        path = Path(path)
        is_folder = False
        with suppress(OSError):  # because reading it as a file raises a clear error
            if not path.exists():
                remove_stale_temporaries(path.resolve().parent)  # completes an interrupted write
            is_folder = path.is_dir() and format in (None, "nlpseq")
        if is_folder:
            vectors = artifact.load_consistent(path, lambda: cls._load_folder(path, verify))
            vectors = vectors if load_top is None else vectors._first_rows(load_top)
            vectors.path = path
            return vectors
        found = read_vectors(path, format, options=ReadOptions(lenient, load_top, bool(verify)))
        meta = {"read_from": path.name, "read_format": found.format, "notices": found.notices, **found.meta}
        meta |= {"not_finite": found.not_finite} if found.not_finite else {}
        return cls(found.vocab, found.matrix_VD, found.contexts, meta, found.subwords)

    def _first_rows(self, number: int) -> "Vectors":
        """Return the vectors of the first words."""
        if number < 1:
            raise ConfigError(f"load_top: {number} is too small. Choose 1 or more.")
        if self.is_sparse:
            raise ConfigError("load_top: PPMI vectors have a dimension for every word. Load all of them.")
        if self.vocab.bpe:
            raise ConfigError("load_top: the tokens of a BPE tokenizer are used together. Load all of them.")
        return self.take(slice(number))

    def take(self, rows: slice | npt.NDArray[np.intp]) -> "Vectors":
        """Return the vectors of some words; a slice of a mapped matrix stays mapped."""
        words = self.vocab.words
        chosen = words[rows] if isinstance(rows, slice) else [words[row] for row in rows.tolist()]
        contexts = None if self.contexts is None else take_rows(self.contexts, rows)
        vocab = Vocab(chosen, self.vocab.counts[rows])
        return Vectors(vocab, take_rows(self.matrix, rows), contexts, self.meta, self.subwords)

    @classmethod
    def _load_folder(cls, path: Path, verify: bool | None) -> "Vectors":
        record = FolderRecord(path)
        stored = load_folder(path, record, verify)
        parts = stored.vocab, stored.matrix, stored.contexts, stored.meta, stored.subwords, stored.last
        vectors = cls(*parts)
        if not (stored.is_checked or verify is False):
            vectors._check_finite(path, ArtifactError, _NOT_FINITE)
            record.save(stored.table)
        return vectors

    def write(
        self,
        file: str | Path,
        format: Format | None = None,
        bad_tokens: BadTokens = "error",
        *,
        force: bool = False,
    ) -> Written:
        """Write a file for other tools by registry.write_vectors, or our folder if its name ends in .w2v."""
        file = Path(file)
        self._check_finite(file, RunError, _NOT_WRITTEN)
        if check_output(file, format, force=force) == "nlpseq":
            self.save(file, force=force)
            return Written((file,), len(self.vocab), [])
        if self.is_sparse:
            raise DataError(
                f"{file}: cannot hold PPMI vectors, because they are sparse. "
                "Write a .w2v folder, or train dense vectors with `nlpseq train-counts --method ppmi-svd`."
            )
        model = WholeModel(self.contexts, self.subwords, self.meta)
        config = self._text_config
        return write_vectors(
            file, self.vocab, self.matrix, format, bad_tokens, config=config, model=model, force=force
        )

    def _check_finite(self, path: Path, raised: type[NlpseqError], fix: str) -> None:
        """Raise an error about a path if a number is NaN or infinite."""
        if self.is_sparse:  # load_csr has checked its arrays
            if not np.isfinite(self.matrix.data).all():
                raise raised(f"{path}: the matrix holds numbers that are not finite. {fix}")
            return
        for matrix in [self.matrix] if self.contexts is None else [self.matrix, self.contexts]:
            if (row := _infinite_row(matrix)) is not None:
                word = self.vocab.words[row]
                raise raised(f"{path}: the vector of {word!r} holds numbers that are not finite. {fix}")
        if self.subwords and (row := _infinite_row(self.subwords.rows_BD)) is not None:
            raise raised(f"{path}: bucket {row} of n-grams holds numbers that are not finite. {fix}")
        for weight in (self.last or ())[:2]:
            if (row := _infinite_row(weight)) is not None:
                raise raised(f"{path}: row {row} of the last weights is not finite. {fix}")


def _as_dense(matrix: Any) -> Any:
    return matrix if isinstance(matrix, CompactMatrix) else np.asarray(matrix, np.float32)


def _infinite_row(matrix: Floats) -> int | None:
    """Return the first row with a number that is not finite."""
    for block in row_blocks(len(matrix)):
        with np.errstate(over="ignore"):  # of int8 with forged scales
            finite = np.isfinite(matrix[block]).all(axis=1)
        if not finite.all():
            return int(block.start + np.argmin(finite))
    return None


def _unit_rows(matrix: Any) -> Any:
    """Scale every row of a CSR matrix to length 1."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))  # of each stored number
    length_V = np.sqrt(np.bincount(rows, np.square(matrix.data, dtype=np.float64), matrix.shape[0]))
    length_V[length_V == 0] = 1
    data = (matrix.data / length_V[rows]).astype(np.float32)
    return as_csr(matrix.shape, data, matrix.indices, matrix.indptr)


def _directions(rows_ND: Any) -> Any:
    """Scale rows of float64 to length 1, dense or CSR; no row may be zero."""
    scale_N = 1 / np.sqrt(dots(rows_ND, rows_ND))[:, None]
    return rows_ND.multiply(scale_N).tocsr() if hasattr(rows_ND, "indptr") else rows_ND * scale_N


def _weighted_sum(weights: Sequence[float], rows_ND: Any) -> Any:
    """Return the direction of the weighted sum of rows, (1, D); raises DataError if the rows cancel out."""
    weights_1N = np.array([weights], np.float64)
    weights_1N /= np.abs(weights_1N).max() or 1  # because squares of weights might overflow
    is_sparse = hasattr(rows_ND, "indptr")
    sum_1D = (type(rows_ND)(weights_1N) if is_sparse else weights_1N) @ rows_ND
    largest = np.max(weights_1N[0] ** 2 * dots(rows_ND, rows_ND), initial=0)
    if dots(sum_1D, sum_1D)[0] <= _MIN_SQUARE * largest:
        raise DataError(
            "words: their vectors cancel out, so no direction is left. Change the words or weights."
        )
    return sum_1D
