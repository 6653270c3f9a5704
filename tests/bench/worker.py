"""Do one measured piece of work in a new process, and print the figures as one JSON line.

worker.py '{"work": "train", "tool": "gensim" or "nlpseq", "text": ..., "objective": ..., "seed": ...}'
"""

import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rivals

SETTINGS = {"dim": 100, "window": 5, "negatives": 5, "subsample": 1e-3, "min_count": 5, "epochs": 5}
GENSIM_RATE = {"skipgram": 0.025, "cbow": 0.05}  # word2vec.c's defaults
RESTRICT = 30_000  # words among which analogies are answered

Figures = dict[str, Any]


def train_gensim(job: Figures) -> Figures:
    model, figures = gensim_model(job)
    scores = evaluate(model.wv.index_to_key, model.wv.vectors, job["data"]) if job["evaluate"] else {}
    return figures | scores


def gensim_model(job: Figures) -> tuple[Any, Figures]:
    from gensim.models import Word2Vec
    from gensim.models.word2vec import LineSentence

    model = Word2Vec(
        vector_size=SETTINGS["dim"],
        window=SETTINGS["window"],
        negative=SETTINGS["negatives"],
        sample=SETTINGS["subsample"],
        min_count=SETTINGS["min_count"],
        sg=int(job["objective"] == "skipgram"),
        alpha=GENSIM_RATE[job["objective"]],
        workers=job["threads"],
        seed=job["seed"],
    )
    source: Figures = {"corpus_file": job["text"]}
    if job["mode"] == "iterable":
        source = {"corpus_iterable": LineSentence(job["text"], max_sentence_length=10**6)}
    started = time.perf_counter()
    model.build_vocab(**source)
    prepared = time.perf_counter()
    words, epochs = model.corpus_total_words, job["epochs"]
    model.train(**source, total_words=words, total_examples=model.corpus_count, epochs=epochs)
    seconds = time.perf_counter() - prepared
    figures = {
        "prepare_seconds": prepared - started,
        "train_seconds": seconds,
    }
    return model, figures


def encode_nlpseq(job: Figures) -> Figures:
    compile_encoder(job)
    started = time.perf_counter()
    data = encoded(job)
    seconds = time.perf_counter() - started
    return {"prepare_seconds": seconds, "tokens": data.num_tokens, "words": data.vocab.num_words}


def preprocess_nlpseq(job: Figures) -> Figures:
    """Encode a text into a folder, by threads or on a cluster."""
    from nlpseq.config import TextConfig
    from nlpseq.dataset import encode
    from nlpseq.distributed.preprocess import preprocess
    from nlpseq.reading.corpus import open_corpus

    compile_encoder(job)
    corpus, config, saved = open_corpus(job["text"]), TextConfig(**job["text_config"]), Path(job["saved"])
    with tasks_of(job) as tasks:
        started = time.perf_counter()
        if tasks is None:
            encode.preprocess(corpus, config, saved, threads=job["threads"], force=True)
        else:
            preprocess(corpus, config, saved, tasks, force=True)
        return {"prepare_seconds": time.perf_counter() - started}


@contextmanager
def tasks_of(job: Figures) -> Iterator[Any]:
    """Start a cluster on this machine, if the job has workers, which have loaded nlpseq."""
    if not (workers := job.get("workers")):
        yield None
        return
    from nlpseq.distributed.ray_engine import open_cluster

    with open_cluster("local", str(workers)) as tasks:
        with tempfile.TemporaryDirectory() as folder:
            tasks.get([tasks.submit(_load_modules, Path(folder), workers) for _ in range(workers)])
        yield tasks


def _load_modules(folder: Path, workers: int) -> None:
    """Load the compiled kernels, as the other side of a comparison does before its clock starts.

    Wait in a folder for the other workers, so that each gets one of these tasks.
    """
    import nlpseq.dataset.parallel  # noqa: F401
    from nlpseq.dataset.hash_table_numba import compile_scan
    from nlpseq.word2vec.blocks import compile_kernels
    from nlpseq.word2vec.kernels.select import padded

    compile_scan()
    compile_kernels(padded(SETTINGS["dim"]), SETTINGS["negatives"])
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < workers:
        time.sleep(0.05)


def compile_encoder(job: Figures) -> None:
    from nlpseq.config import TextConfig
    from nlpseq.dataset.parallel import block_tokenizer
    from nlpseq.reading.corpus import ReadReport, open_corpus

    block_tokenizer(TextConfig(**job["text_config"]))(b" ".join(b"%d" % number for number in range(9999)))
    if "sample" in job:  # compiles the scanner of the format
        list(open_corpus(job["sample"]).blocks(TextConfig(), ReadReport()))


def count_nlpseq(job: Figures) -> Figures:
    from nlpseq.config import CooccurrenceConfig
    from nlpseq.counts.cooccurrence import count_cooccurrences

    data = encoded(job).split("train")
    threads = job["threads"]
    count_cooccurrences(data, CooccurrenceConfig(window=1, subsample=1e-6), threads=threads)  # compiles
    started = time.perf_counter()
    config = CooccurrenceConfig(window=5, subsample=1e-4, seed=job["seed"])
    counts = count_cooccurrences(data, config, threads=threads)
    return {"count_seconds": time.perf_counter() - started, "pairs": int(counts.matrix.nnz)}


def train_nlpseq(job: Figures) -> Figures:
    vectors, figures = nlpseq_word2vec(job)
    scores = evaluate(vectors.vocab.words, vectors.matrix, job["data"]) if job["evaluate"] else {}
    return figures | scores


def nlpseq_word2vec(job: Figures) -> tuple[Any, Figures]:
    from nlpseq.word2vec.train import train_word2vec

    data, config = encoded(job), word2vec_config(job)
    with tasks_of(job) as tasks:
        vectors = train_word2vec(data, config, tasks=tasks)
    figures = {
        "compile_seconds": vectors.meta["compile_seconds"],
        "train_seconds": vectors.meta["seconds"],
    }
    return vectors, figures | amount_of_work(vectors.meta["predictions"], data, config)


def word2vec_config(job: Figures) -> Any:
    from nlpseq.config import Word2VecConfig

    settings = {name: value for name, value in SETTINGS.items() if name != "min_count"}
    settings |= job.get("settings", {})
    return Word2VecConfig(objective=job["objective"], seed=job["seed"], threads=job["threads"], **settings)


def compile_nlpseq(job: Figures) -> Figures:
    """Compile every kernel that encoding and training need."""
    from nlpseq.config import TextConfig
    from nlpseq.core.precompile import precompile
    from nlpseq.dataset import encode
    from nlpseq.word2vec.kernels.select import select, to_compile

    config = word2vec_config(job)
    kernels = encode.to_compile(TextConfig(**job["text_config"]))
    precompile([*kernels, *to_compile(config, select(config))])
    return {}


def measure_peak(job: Figures) -> Figures:
    import peak  # here, because other kinds of work must not load the compiler

    return peak.measure_peak(job)


def amount_of_work(predictions: int, data: Any, config: Any) -> Figures:
    """Return the numbers of predictions, contexts, and groups with a common target and negatives."""
    from nlpseq.word2vec.kernels.select import padded

    is_cbow = config.objective == "cbow"
    is_shared = not is_cbow and config.share_negatives == "window"
    return {
        "dim": config.dim,
        "row_floats": padded(config.dim),
        "negatives": config.negatives,
        "predictions": predictions,
        "contexts": predictions * (config.window + 1) if is_cbow else predictions,  # window average
        "groups": config.epochs * kept_words(data, config.subsample) if is_shared else predictions,
    }


def kept_words(data: Any, subsample: float) -> float:
    """Return the expected number of words of the train split after subsampling."""
    from nlpseq.dataset.subsample import keep_thresholds

    counts = data.vocab.without_specials().counts
    return float(counts @ (keep_thresholds(counts, subsample) / 2.0**32))


def encoded(job: Figures) -> Any:
    from nlpseq.config import TextConfig
    from nlpseq.dataset.encode_cache import cached_dataset
    from nlpseq.reading.corpus import open_corpus

    corpus = open_corpus(job[job.get("source", "text")])
    return cached_dataset(corpus, TextConfig(**job["text_config"]), threads=job["threads"])


def make_vectors(job: Figures) -> Figures:
    """Train vectors of any kind and evaluate them by nlpseq."""
    from nlpseq.dataset.vocab import Vocab
    from nlpseq.vectors.postprocess import postprocess
    from nlpseq.vectors.vectors import Vectors

    if job["tool"] == "gensim":
        model, figures = gensim_model(job)
        words = model.wv.index_to_key
        counts = np.array([model.wv.get_vecattr(word, "count") for word in words])
        vectors = Vectors(Vocab(words, counts), model.wv.vectors)
    else:
        vectors, figures = nlpseq_counts(job) if "method" in job else nlpseq_word2vec(job)
    processed = postprocess(vectors, matrix=job.get("matrix", "w"))
    return figures | scores_of(processed, job["data"])


def nlpseq_counts(job: Figures) -> tuple[Any, Figures]:
    from nlpseq.config import CooccurrenceConfig, GloveConfig, PPMIConfig, SVDConfig
    from nlpseq.counts.cooccurrence import count_cooccurrences
    from nlpseq.counts.glove import train_glove
    from nlpseq.counts.ppmi import ppmi
    from nlpseq.counts.svd import train_svd

    data, is_glove = encoded(job).split("train"), job["method"] == "glove"
    counting = {"window": 10, "weighting": "harmonic"} if is_glove else {"window": 5, "subsample": 1e-4}
    counting |= job.get("counting", {})
    common = {"seed": job["seed"], "threads": job["threads"]} | job.get("training", {})
    started = time.perf_counter()
    counts = count_cooccurrences(data, CooccurrenceConfig(seed=job["seed"], **counting))
    counted = time.perf_counter()
    if is_glove:
        vectors = train_glove(counts, GloveConfig(**common))
    else:
        vectors = ppmi(counts, PPMIConfig(**job.get("ppmi", {})))
    weighed = time.perf_counter()
    if job["method"] == "ppmi-svd":
        vectors = train_svd(vectors, SVDConfig(**common))
    ended = time.perf_counter()
    return vectors, {
        "count_seconds": counted - started,
        "ppmi_seconds": weighed - counted,
        "svd_seconds": ended - weighed,
        "train_seconds": ended - started,
        "pairs": int(counts.matrix.nnz),
    }


def scores_of(vectors: Any, data: str) -> Figures:
    """Return Spearman on two sets of word pairs, and the accuracy on the Google analogies."""
    from nlpseq.evaluation.analogies import evaluate_analogies, read_analogies
    from nlpseq.evaluation.word_pairs import evaluate_pairs, read_pairs

    sets = {"wordsim": "wordsim353.tsv", "simlex": "simlex999.txt"}
    figures = {
        name: evaluate_pairs(vectors, read_pairs(Path(data, file)).pairs).spearman
        for name, file in sets.items()
    }
    started = time.perf_counter()
    sections = read_analogies(Path(data, "questions-words.txt")).sections
    scores = evaluate_analogies(vectors, sections, restrict_vocab=RESTRICT)
    figures["analogy_seconds"] = time.perf_counter() - started
    for score in scores[-3:]:
        figures |= {
            f"{score.name} {method}": getattr(score, method) / score.used for method in ("add", "mul")
        }
    return figures


def evaluate_saved(job: Figures) -> Figures:
    from nlpseq.vectors.vectors import Vectors

    vectors = Vectors.load(Path(job["saved"]))
    return evaluate(vectors.vocab.words, vectors.matrix, job["data"])


def train_subwords(job: Figures) -> Figures:
    """Train with character n-grams, and save the vectors."""
    from nlpseq.word2vec.train import train_word2vec

    if lengths := job["lengths"]:
        units = job.get("units", "characters")
        job["settings"] |= {"subwords": lengths, "buckets": job["buckets"], "subword_units": units}
    data = encoded(job)
    vectors = train_word2vec(data, word2vec_config(job))
    vectors.save(job["saved"], force=True)
    words = data.split("train").num_tokens * job["epochs"]
    return {"train_seconds": vectors.meta["seconds"], "words": words}


def train_on_pieces(job: Figures) -> Figures:
    """Train on one text after another, each time from the vectors before."""
    from nlpseq.word2vec.train import train_word2vec

    config, vectors, seconds = word2vec_config(job), None, 0.0
    for piece in job["pieces"]:
        vectors = train_word2vec(piece, config, start=vectors, **job["text_config"])
        seconds += vectors.meta["seconds"]
    return scores_with_unseen(vectors, job["data"]) | {"train_seconds": seconds, "words": len(vectors)}


def score_korean(job: Figures) -> Figures:
    """Evaluate a saved model on the Korean sets, by the words of its vocabulary alone."""
    from nlpseq.evaluation.analogies import evaluate_analogies, read_analogies
    from nlpseq.evaluation.word_pairs import evaluate_pairs, read_pairs
    from nlpseq.vectors.vectors import Vectors

    vectors, data = Vectors.load(job["saved"]).without_subwords(), Path(job["data"])
    pairs = evaluate_pairs(vectors, read_pairs(data / "wordsim353-ko-dev.tsv").pairs)
    sections = read_analogies(data / "analogies-ko-dev.txt").sections
    total = evaluate_analogies(vectors, sections, restrict_vocab=RESTRICT)[-1]
    used = {"used pairs": pairs.used, "used questions": total.used}
    return {"pairs": pairs.spearman, "analogies": total.add / total.used} | used


def score_saved(job: Figures) -> Figures:
    """Evaluate a saved model, with the vectors of unseen words."""
    from nlpseq.vectors.vectors import Vectors

    return scores_with_unseen(Vectors.load(job["saved"]), job["data"])


def scores_with_unseen(vectors: Any, data: str) -> Figures:
    """Return scores, and the numbers of pairs with a word that has no vector."""
    from nlpseq.evaluation.analogies import evaluate_analogies, read_analogies
    from nlpseq.evaluation.word_pairs import evaluate_pairs, read_pairs

    sets = {"rare words": "rarewords-dev.txt", "wordsim": "wordsim353.tsv", "simlex": "simlex999.txt"}
    found = {name: evaluate_pairs(vectors, read_pairs(Path(data, file)).pairs) for name, file in sets.items()}
    sections = read_analogies(Path(data, "questions-words.txt")).sections
    scores = evaluate_analogies(vectors, sections, restrict_vocab=RESTRICT)
    analogies = scores[-1].add / scores[-1].used
    figures = {name: each.spearman for name, each in found.items()}
    oov = {"oov": found["rare words"].oov, "wordsim oov": found["wordsim"].oov}
    return figures | oov | {"analogies": analogies}


def evaluate(words: list[str], matrix: np.ndarray, data: str) -> Figures:
    """Return Spearman on two sets of word pairs and 3CosAdd accuracy, by gensim's evaluator."""
    from gensim.models import KeyedVectors

    logging.disable(logging.CRITICAL)
    vectors = KeyedVectors(matrix.shape[1])
    vectors.add_vectors(words, matrix)
    wordsim, simlex = (
        vectors.evaluate_word_pairs(f"{data}/{name}")[1].statistic
        for name in ("wordsim353.tsv", "simlex999.txt")
    )
    analogies, _ = vectors.evaluate_word_analogies(f"{data}/questions-words.txt", restrict_vocab=RESTRICT)
    return {"wordsim": float(wordsim), "simlex": float(simlex), "analogies": float(analogies)}


WORK = {
    ("train", "gensim"): train_gensim,
    ("compile", "nlpseq"): compile_nlpseq,
    ("encode", "nlpseq"): encode_nlpseq,
    ("train", "nlpseq"): train_nlpseq,
    ("preprocess", "nlpseq"): preprocess_nlpseq,
    ("evaluate", "nlpseq"): evaluate_saved,
    ("evaluate", "other"): rivals.evaluate_saved_by_gensim,
    ("count", "nlpseq"): count_nlpseq,
    ("peak", "nlpseq"): measure_peak,
    ("train", "other"): train_gensim,
    ("vocabulary", "other"): rivals.vocabulary_by_gensim,
    ("encode", "other"): rivals.encode_by_regex,
    ("whole", "other"): rivals.train_whole_by_gensim,
    ("count", "other"): rivals.count_by_sorting,
    ("subwords", "nlpseq"): train_subwords,
    ("subwords", "gensim"): rivals.train_subwords_by_gensim,
    ("subwords", "fasttext"): rivals.train_subwords_by_fasttext,
    ("score", "nlpseq"): score_saved,
    ("score-korean", "nlpseq"): score_korean,
    ("pieces", "nlpseq"): train_on_pieces,
    ("vectors", "gensim"): make_vectors,
    ("vectors", "nlpseq"): make_vectors,
}

if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    if "cores" in job:
        os.sched_setaffinity(0, range(job["cores"]))
    print(json.dumps(WORK[job["work"], job["tool"]](job)))
