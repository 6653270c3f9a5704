"""Word vectors from your own text.

    import nlpseq as ns

    data = ns.preprocess(ns.open_corpus("corpus.txt"), ns.TextConfig(), "corpus.tokens")
    vectors = ns.train_word2vec(data, ns.Word2VecConfig(dim=100))
    vectors.neighbors("king")

Each name is imported when it is first asked for, so `import nlpseq` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlpseq.config import (
        CooccurrenceConfig,
        GloveConfig,
        LMConfig,
        PPMIConfig,
        SVDConfig,
        TextConfig,
        Word2VecConfig,
    )
    from nlpseq.counts.cooccurrence import Cooccurrence, count_cooccurrences
    from nlpseq.counts.glove import train_glove
    from nlpseq.counts.ppmi import ppmi
    from nlpseq.counts.svd import train_svd
    from nlpseq.errors import (
        ArtifactError,
        BackendUnavailable,
        ConfigError,
        DataError,
        MissingExtra,
        NlpseqError,
        ResourceError,
        RunError,
    )
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.lm.run import resume_lm, train_lm
    from nlpseq.text.corpus import Corpus, open_corpus
    from nlpseq.text.dataset import TokenDataset
    from nlpseq.text.detokenize import detokenize
    from nlpseq.text.encode import preprocess
    from nlpseq.text.tokenize import tokenize
    from nlpseq.text.vocab import Vocab
    from nlpseq.vectors.postprocess import postprocess
    from nlpseq.vectors.vectors import Vectors
    from nlpseq.w2v.train import train_word2vec

__all__ = [
    "ArtifactError",
    "BackendUnavailable",
    "ConfigError",
    "Cooccurrence",
    "CooccurrenceConfig",
    "Corpus",
    "DataError",
    "GloveConfig",
    "LMConfig",
    "LanguageModel",
    "MissingExtra",
    "NlpseqError",
    "PPMIConfig",
    "ResourceError",
    "RunError",
    "SVDConfig",
    "TextConfig",
    "TokenDataset",
    "Vectors",
    "Vocab",
    "Word2VecConfig",
    "count_cooccurrences",
    "detokenize",
    "open_corpus",
    "postprocess",
    "ppmi",
    "preprocess",
    "resume_lm",
    "tokenize",
    "train_glove",
    "train_lm",
    "train_svd",
    "train_word2vec",
]

_HOMES = {
    "ArtifactError": "nlpseq.errors",
    "BackendUnavailable": "nlpseq.errors",
    "ConfigError": "nlpseq.errors",
    "Cooccurrence": "nlpseq.counts.cooccurrence",
    "CooccurrenceConfig": "nlpseq.config",
    "Corpus": "nlpseq.text.corpus",
    "DataError": "nlpseq.errors",
    "GloveConfig": "nlpseq.config",
    "LMConfig": "nlpseq.config",
    "LanguageModel": "nlpseq.lm.language_model",
    "MissingExtra": "nlpseq.errors",
    "NlpseqError": "nlpseq.errors",
    "PPMIConfig": "nlpseq.config",
    "ResourceError": "nlpseq.errors",
    "RunError": "nlpseq.errors",
    "SVDConfig": "nlpseq.config",
    "TextConfig": "nlpseq.config",
    "TokenDataset": "nlpseq.text.dataset",
    "Vectors": "nlpseq.vectors.vectors",
    "Vocab": "nlpseq.text.vocab",
    "Word2VecConfig": "nlpseq.config",
    "count_cooccurrences": "nlpseq.counts.cooccurrence",
    "detokenize": "nlpseq.text.detokenize",
    "open_corpus": "nlpseq.text.corpus",
    "postprocess": "nlpseq.vectors.postprocess",
    "ppmi": "nlpseq.counts.ppmi",
    "preprocess": "nlpseq.text.encode",
    "resume_lm": "nlpseq.lm.run",
    "tokenize": "nlpseq.text.tokenize",
    "train_glove": "nlpseq.counts.glove",
    "train_lm": "nlpseq.lm.run",
    "train_svd": "nlpseq.counts.svd",
    "train_word2vec": "nlpseq.w2v.train",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home, and keep it here for next time (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
