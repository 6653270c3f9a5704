"""Write vectors as spaCy stores them, by spaCy itself, an optional package.

nlp = spacy.blank("en")
nlp.vocab.vectors.from_disk("corpus.spacy")
"""

from nlpseq.errors import missing_extra
from nlpseq.storage.artifact import Folder
from nlpseq.vectors.formats.rows import VectorRows

__all__ = ["write_spacy"]


def write_spacy(rows: VectorRows, folder: Folder) -> None:
    """Write vectors, their keys and the words. Raises MissingExtra without spaCy."""
    try:
        from spacy.strings import StringStore
        from spacy.vectors import Vectors
    except ImportError as error:
        raise missing_extra("format spacy", "spaCy", None, "spacy") from error
    vectors = Vectors(
        strings=StringStore(rows.words), data=rows.matrix_VD[rows.rows], keys=list(rows.words), name="nlpseq"
    )
    vectors.to_disk(folder.path)
