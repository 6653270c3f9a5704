"""train_word2vec: word vectors from an encoded corpus."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nlpseq.config import TextConfig, Word2VecConfig
from nlpseq.config.fields import split_settings
from nlpseq.core.resources import available_cores, count_text
from nlpseq.core.tasks import Tasks, ThreadTasks
from nlpseq.dataset.encode_cache import as_dataset
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ConfigError, DataError, advise
from nlpseq.reading.corpus import Corpus, Source
from nlpseq.training import runner
from nlpseq.training.checkpoint import CheckpointConfig, lock_new_run, lock_resumed_run
from nlpseq.training.progress import ProgressCallback
from nlpseq.training.provenance import check_same_text
from nlpseq.vectors.subwords import count_ngrams
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec.block_trainer import BlockTrainer
from nlpseq.word2vec.checkpoint import load_checkpoint
from nlpseq.word2vec.parallel import ParallelSizes
from nlpseq.word2vec.start import Start, check_joint, earlier_tokens, new_share, word2vec_settings
from nlpseq.word2vec.trainer import Trainer

__all__ = ["DEFAULT_RATE", "MAX_DEFAULT_BUCKETS", "choose_buckets", "choose_parts", "resolve"]
__all__ += ["resume_word2vec", "train_word2vec"]

CONTINUED_RATE = 1.5  # times the usual rate of skip-gram, because means over texts bear it: see README.md
DEFAULT_RATE = {"skipgram": 0.025, "legacy": 0.075, "corrected": 0.15}  # measured: see README.md
SMOOTHING = 0.75  # as in word2vec.c
SUBWORD_SMOOTHING = {"skipgram": 0.3, "cbow": 0.5}  # measured; .5 as in fastText
SUBWORD_RATE = {"skipgram": 0.04, "legacy": 0.05, "corrected": 0.15}  # measured; .05 as in fastText
SHORT_TRAINING = 35e6  # words, in all epochs
SHORT_SMOOTHING, SHORT_RATE = 0.75, 0.06  # of skip-gram with n-grams in a short training; measured
MAX_DEFAULT_BUCKETS = 2_000_000  # the default of fastText
MAX_PARTS, WORDS_OF_PART = 8, 1000  # by default
MAX_SEGMENT, MIN_SEGMENTS = 1_000_000, 16  # by default: words, and segments of a text


def train_word2vec(
    data: TokenDataset | Corpus | Source,
    config: Word2VecConfig | None = None,
    *,
    start: Start | Vectors | Path | str | None = None,
    progress: ProgressCallback | None = None,
    checkpoint: CheckpointConfig | None = None,
    sizes: ParallelSizes | None = None,
    tasks: Tasks | None = None,
    **settings: Any,
) -> Vectors:
    """Train CBOW or skip-gram vectors of every word on the train split.

    data: an encoded corpus, or a source as in open_corpus. settings: fields of config, and of TextConfig for
    a source. start: initial vectors, or the path of a model or vector file, to continue training; words and
    counts of the start are kept, and its settings are the defaults (see word2vec/start.py).
    A valid split is evaluated after each epoch; with config.early_stop training ends after its loss stops
    falling, and the result is the best epoch; with a start, its mean with the earlier texts. checkpoint:
    where to store the run; by default in memory only. tasks: workers for the blocks of config.parts; by
    default threads. A run stopped by checkpoint.should_stop has meta["complete"] False. Raises DataError if
    the text has nothing to learn from, or no valid split for early_stop, and RunError if training diverges.
    """
    with lock_new_run(checkpoint):
        chosen, text = split_settings(Word2VecConfig, config, settings, TextConfig)
        begin = None if start is None else Start.load(start)
        if chosen.freeze_known and begin is None:
            raise ConfigError("freeze_known: has no effect without a start. Add a start, or leave it out.")
        if begin is None:
            data, earlier, share = as_dataset(data, text, threads=chosen.threads), 0, 1.0
        else:
            own = {name: value for name, value in settings.items() if name not in text}
            chosen = word2vec_settings(begin, config, own)
            data = as_dataset(
                data, text, begin.text_defaults(text), threads=chosen.threads, start=begin.vectors.vocab
            )
            check_joint(data, begin)
            earlier, share = earlier_tokens(begin, data), new_share(begin, data)
        vocab, tokens = data.vocab.without_specials(), data.split("train").num_tokens
        chosen = choose_buckets(chosen, vocab)
        config = resolve(
            chosen, len(vocab), earlier + tokens, data.config.min_count, has_start=begin is not None
        )
        provenance = checkpoint.provenance if checkpoint else None
        options: Any = {"start": begin, "share": share, "provenance": provenance, "sizes": sizes}
        with _trainer(data, config, tasks, **options) as trainer:
            return trainer.vectors(complete=runner.run(trainer, checkpoint, progress))


def resume_word2vec(
    checkpoint: CheckpointConfig,
    data: TokenDataset,
    *,
    changes: Mapping[str, Any] = MappingProxyType({}),
    progress: ProgressCallback | None = None,
    sizes: ParallelSizes | None = None,
    tasks: Tasks | None = None,
) -> Vectors:
    """Continue a run exactly from its last checkpoint.

    changes: new values of threads, backend or kernel; a run with config.deterministic allows none. Without
    changes, and deterministic or on one thread, the result is the same as without a stop. Raises
    ConfigError if the run is complete, ArtifactError if the text is another.
    """
    path = checkpoint.path
    with lock_resumed_run(checkpoint):
        stored = load_checkpoint(path)
        words = data.vocab.without_specials()
        is_same = (data.digest, words.digest) == (stored.meta.get("data_digest"), stored.vocab.digest)
        check_same_text(path, data, is_same=is_same)
        if changes and stored.config.deterministic:
            raise ConfigError(f"{path}: is deterministic. Leave out {', '.join(changes)} to continue it.")
        provenance = checkpoint.provenance or stored.meta.get("source")
        config = replace(stored.config, **changes)
        options = {"stored": stored, "provenance": provenance, "sizes": sizes}
        with _trainer(data, config, tasks, **options) as trainer:
            return trainer.vectors(complete=runner.run(trainer, checkpoint, progress, is_resumed=True))


@contextmanager
def _trainer(
    data: TokenDataset, config: Word2VecConfig, tasks: Tasks | None, **options: Any
) -> Iterator[Trainer]:
    """Yield the trainer of a run; tasks: for a run in blocks, default threads."""
    if config.parts is None:
        yield Trainer(data, config, **options)
    elif tasks is not None:
        yield BlockTrainer(data, config, tasks, **options)
    else:
        assert config.threads
        with closing(ThreadTasks(config.threads)) as threads:
            yield BlockTrainer(data, config, threads, **options)


def resolve(
    config: Word2VecConfig,
    num_words: int,
    num_tokens: int,
    min_count: int = 1,
    *,
    has_start: bool = False,
) -> Word2VecConfig:
    """Fill in defaults from the data and the machine.

    num_tokens: of this text and all texts before, because all are read as often. min_count: of the text, for
    advice. Raises DataError for a single word.
    """
    if num_words < 2:
        raise DataError(
            f"corpus: the vocabulary has {count_text(num_words, 'word')} and word2vec needs at least 2. "
            + advise({"a lower --min-count": (min_count, 1)}, "more text")
        )
    epochs = config.epochs or min(20, max(5, round(80e6 / num_tokens)))
    rate, usual_smoothing = _usual_settings(config, epochs * num_tokens)
    is_averaged = has_start and not config.freeze_known
    factor = CONTINUED_RATE if is_averaged and config.objective == "skipgram" and not config.subwords else 1.0
    segment = config.segment
    if segment is not None and config.parts is None:
        raise ConfigError("--segment: has no effect without --parts. Add --parts, or leave out --segment.")
    if config.parts is not None and segment is None:
        segment = min(MAX_SEGMENT, max(1, num_tokens // MIN_SEGMENTS))
    return replace(
        config,
        learning_rate=config.learning_rate or rate * factor,
        epochs=epochs,
        threads=config.threads or available_cores(),
        smoothing=usual_smoothing if config.smoothing is None else config.smoothing,
        segment=segment,
    )


def choose_parts(config: Word2VecConfig, num_words: int) -> Word2VecConfig:
    """Fill in the number of parts, of a run on a cluster."""
    if config.parts is not None:
        return config
    parts = 1 << max(1, min(MAX_PARTS, num_words // WORDS_OF_PART)).bit_length() - 1  # a power of two
    return replace(config, parts=parts, share_negatives="pair")


def _usual_settings(config: Word2VecConfig, words: float) -> tuple[float, float]:
    """Return the usual learning rate and smoothing; words: of the training, in all epochs."""
    update = config.objective if config.objective == "skipgram" else config.cbow_update
    if config.subwords is None:
        return DEFAULT_RATE[update], SMOOTHING
    if update == "skipgram" and words < SHORT_TRAINING:
        return SHORT_RATE, SHORT_SMOOTHING
    return SUBWORD_RATE[update], SUBWORD_SMOOTHING[config.objective]


def choose_buckets(config: Word2VecConfig, vocab: Vocab) -> Word2VecConfig:
    """Fill in the buckets of n-grams, if there are subwords; raise ConfigError for tokens of BPE."""
    if config.ngrams is None:
        return config
    if vocab.bpe:
        raise ConfigError(
            "--subwords: the tokens of byte-level BPE are parts of words already. Leave out --subwords, or "
            "use another --tokenizer."
        )
    found = config.buckets or count_ngrams(vocab.words, config.ngrams, MAX_DEFAULT_BUCKETS)
    return replace(config, buckets=max(1, found))
