"""Settings of every stage: frozen dataclasses with a default, a help text and bounds for each field.

The command line derives its options from the fields. Every result stores the config of its run.
"""

from nlpseq.config.counts import CooccurrenceConfig, GloveConfig, PPMIConfig, SVDConfig
from nlpseq.config.fields import MAX_THREADS
from nlpseq.config.generation import Length, Sampling
from nlpseq.config.lm import AUTOMATIC_RATES, LMConfig
from nlpseq.config.presets import COUNTING, LM_PRESETS, LM_SHARES, LM_TEXT, WORD2VEC_PRESETS, lm_text
from nlpseq.config.text import BPE_SETTINGS, FORMATS, Format, Sentences, TextConfig, Tokenizer
from nlpseq.config.word2vec import MAX_NGRAM, Ngrams, Units, Word2VecConfig

__all__ = [
    "AUTOMATIC_RATES",
    "BPE_SETTINGS",
    "COUNTING",
    "FORMATS",
    "LM_PRESETS",
    "LM_SHARES",
    "LM_TEXT",
    "MAX_NGRAM",
    "MAX_THREADS",
    "WORD2VEC_PRESETS",
    "CooccurrenceConfig",
    "Format",
    "GloveConfig",
    "LMConfig",
    "Length",
    "Ngrams",
    "PPMIConfig",
    "SVDConfig",
    "Sampling",
    "Sentences",
    "TextConfig",
    "Tokenizer",
    "Units",
    "Word2VecConfig",
    "lm_text",
]
