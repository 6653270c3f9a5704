"""Word vectors and a language model from your own text.

    import nlpseq as ns

    vectors = ns.train_word2vec("corpus.txt", dim=100, min_count=5)
    vectors.neighbors("king")

Each name is imported on first use, so `import nlpseq` loads nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlpseq.config import (
        CooccurrenceConfig as CooccurrenceConfig,
        GloveConfig as GloveConfig,
        LMConfig as LMConfig,
        PPMIConfig as PPMIConfig,
        SVDConfig as SVDConfig,
        TextConfig as TextConfig,
        Word2VecConfig as Word2VecConfig,
    )
    from nlpseq.counts.cooccurrence import (
        Cooccurrence as Cooccurrence,
        count_cooccurrences as count_cooccurrences,
    )
    from nlpseq.counts.glove import train_glove as train_glove
    from nlpseq.counts.ppmi import ppmi as ppmi
    from nlpseq.counts.svd import train_svd as train_svd
    from nlpseq.dataset.encode import preprocess as preprocess
    from nlpseq.dataset.token_dataset import TokenDataset as TokenDataset
    from nlpseq.dataset.vocab import Vocab as Vocab, unescape as unescape
    from nlpseq.errors import (
        ArtifactError as ArtifactError,
        BackendUnavailable as BackendUnavailable,
        ConfigError as ConfigError,
        DataError as DataError,
        MissingExtra as MissingExtra,
        NlpseqError as NlpseqError,
        ResourceError as ResourceError,
        RunError as RunError,
        UnknownWord as UnknownWord,
    )
    from nlpseq.lm.language_model import LanguageModel as LanguageModel
    from nlpseq.lm.train import resume_lm as resume_lm, train_lm as train_lm
    from nlpseq.reading.corpus import Corpus as Corpus, open_corpus as open_corpus
    from nlpseq.tokenizers.base import tokenize as tokenize
    from nlpseq.tokenizers.bpe import BPE as BPE
    from nlpseq.tokenizers.detokenize import detokenize as detokenize
    from nlpseq.training.checkpoint import CheckpointConfig as CheckpointConfig
    from nlpseq.training.resume import resume as resume
    from nlpseq.vectors.align import align as align
    from nlpseq.vectors.postprocess import postprocess as postprocess
    from nlpseq.vectors.shrink import shrink as shrink
    from nlpseq.vectors.vectors import Vectors as Vectors
    from nlpseq.word2vec.train import train_word2vec as train_word2vec

_HOMES = {  # module: the public names it holds
    "config": (
        "CooccurrenceConfig",
        "GloveConfig",
        "LMConfig",
        "PPMIConfig",
        "SVDConfig",
        "TextConfig",
        "Word2VecConfig",
    ),
    "counts.cooccurrence": ("Cooccurrence", "count_cooccurrences"),
    "counts.glove": ("train_glove",),
    "counts.ppmi": ("ppmi",),
    "counts.svd": ("train_svd",),
    "dataset.encode": ("preprocess",),
    "dataset.token_dataset": ("TokenDataset",),
    "dataset.vocab": ("Vocab", "unescape"),
    "errors": (
        "ArtifactError",
        "BackendUnavailable",
        "ConfigError",
        "DataError",
        "MissingExtra",
        "NlpseqError",
        "ResourceError",
        "RunError",
        "UnknownWord",
    ),
    "lm.language_model": ("LanguageModel",),
    "lm.train": ("resume_lm", "train_lm"),
    "reading.corpus": ("Corpus", "open_corpus"),
    "tokenizers.detokenize": ("detokenize",),
    "tokenizers.base": ("tokenize",),
    "tokenizers.bpe": ("BPE",),
    "training.checkpoint": ("CheckpointConfig",),
    "training.resume": ("resume",),
    "vectors.align": ("align",),
    "vectors.postprocess": ("postprocess",),
    "vectors.shrink": ("shrink",),
    "vectors.vectors": ("Vectors",),
    "word2vec.train": ("train_word2vec",),
}
_HOME_OF = {name: f"nlpseq.{module}" for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str) -> Any:
    """Import a public name from its home module, and keep it (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
