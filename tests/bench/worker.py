"""One measured piece of work in a process of its own; prints its figures as one JSON line.

worker.py '{"work": "train", "tool": "gensim" or "nlpseq", "text": ..., "objective": ..., "seed": ...}'
"""

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

SETTINGS = {"dim": 100, "window": 5, "negatives": 5, "subsample": 1e-3, "min_count": 5, "epochs": 5}
GENSIM_RATE = {"skipgram": 0.025, "cbow": 0.05}  # word2vec.c's defaults
RESTRICT = 30_000  # words among which analogies are answered

Figures = dict[str, Any]


def train_gensim(job: Figures) -> Figures:
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
        "words_per_second": words * epochs / seconds,
    }
    return figures | (
        evaluate(model.wv.index_to_key, model.wv.vectors, job["data"]) if job["evaluate"] else {}
    )


def encode_nlpseq(job: Figures) -> Figures:
    from nlpseq.config import TextConfig
    from nlpseq.text.corpus import open_corpus
    from nlpseq.text.encode import cached_dataset

    started = time.perf_counter()
    data = cached_dataset(open_corpus(job["text"]), TextConfig(**job["text_config"]), threads=job["threads"])
    seconds = time.perf_counter() - started
    return {"prepare_seconds": seconds, "tokens": data.num_tokens, "words": data.vocab.num_words}


def train_nlpseq(job: Figures) -> Figures:
    from nlpseq.config import TextConfig, Word2VecConfig
    from nlpseq.text.corpus import open_corpus
    from nlpseq.text.encode import cached_dataset
    from nlpseq.w2v.train import train_word2vec

    data = cached_dataset(open_corpus(job["text"]), TextConfig(**job["text_config"]), threads=job["threads"])
    settings = {name: value for name, value in SETTINGS.items() if name != "min_count"} | job.get(
        "settings", {}
    )
    config = Word2VecConfig(objective=job["objective"], seed=job["seed"], threads=job["threads"], **settings)
    vectors = train_word2vec(data, config)
    figures = {
        "compile_seconds": vectors.meta["compile_seconds"],
        "train_seconds": vectors.meta["seconds"],
        "words_per_second": vectors.meta["words_per_second"],
        "loss": vectors.meta["loss"],
    }
    return figures | evaluate(vectors.vocab.words, vectors.matrix, job["data"])


def evaluate_folder(job: Figures) -> Figures:
    from nlpseq.vectors.vectors import Vectors

    vectors = Vectors.load(Path(job["folder"]))
    return evaluate(vectors.vocab.words, vectors.matrix, job["data"])


def evaluate(words: list[str], matrix: np.ndarray, data: str) -> Figures:
    """Spearman on two sets of word pairs, 3CosAdd accuracy on the Google analogies: gensim's evaluator."""
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
    ("encode", "nlpseq"): encode_nlpseq,
    ("train", "nlpseq"): train_nlpseq,
    ("evaluate", "nlpseq"): evaluate_folder,
}

if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    print(json.dumps(WORK[job["work"], job["tool"]](job)))
