"""Work of other tools to compare with, besides the training of gensim."""

import os
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

Figures = dict[str, Any]
BLOCK_SENTENCES = 20_000  # counted at once


def vocabulary_by_gensim(job: Figures) -> Figures:
    """Run gensim's pass over the text before training: words and counts in memory, no weights."""
    from gensim.models import Word2Vec

    model = Word2Vec(min_count=5, workers=job["threads"])
    started = time.perf_counter()
    model.scan_vocab(corpus_file=job["text"], workers=job["threads"])
    return {"prepare_seconds": time.perf_counter() - started}


def encode_by_regex(job: Figures) -> Figures:
    """Encode the plain way, in one thread: findall, Counter, and a look-up for each token."""
    started = time.perf_counter()
    tokens = re.findall(r"\w+(?:'\w+)*", Path(job["raw"]).read_text("utf-8").lower())
    counts = Counter(tokens)
    kept = sorted((word for word, count in counts.items() if count >= 5), key=lambda word: -counts[word])
    ids = {word: number for number, word in enumerate(kept)}
    numbers = np.array([ids.get(token, len(ids)) for token in tokens], np.uint32)
    with Path(job["raw"]).with_suffix(".npy").open("wb") as file:
        np.save(file, numbers)
        os.fsync(file.fileno())
    return {"prepare_seconds": time.perf_counter() - started, "tokens": len(tokens)}


def train_whole_by_gensim(job: Figures) -> Figures:
    """Train from white-space tokens to saved vectors; the caller measures the process."""
    from worker import gensim_model

    model, _ = gensim_model(job)
    model.wv.save(job["saved"])
    return {}


def evaluate_saved_by_gensim(job: Figures) -> Figures:
    from gensim.models import KeyedVectors
    from worker import evaluate

    vectors = KeyedVectors.load(job["saved"])
    return evaluate(vectors.index_to_key, vectors.vectors, job["data"])


def count_by_sorting(job: Figures) -> Figures:
    """Count pairs as single numbers by np.unique over blocks of sentences, and add by SciPy."""
    from scipy.sparse import csr_array
    from worker import encoded

    from nlpseq.dataset.subsample import keep_thresholds

    data = encoded(job).split("train")
    num_words, rng = data.vocab.num_words, np.random.default_rng(job["seed"])
    started = time.perf_counter()
    thresholds = keep_thresholds(data.vocab.counts[:num_words], 1e-4)
    total = csr_array((num_words, num_words), dtype=np.int64)
    for first in range(0, data.num_sentences, BLOCK_SENTENCES):
        bounds = data.sentences[first : first + BLOCK_SENTENCES + 1]
        tokens = np.asarray(data.tokens[bounds[0] : bounds[-1]], np.int64)
        sentence = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
        known = tokens < num_words
        stays = rng.integers(0, 2**32, len(tokens)) <= thresholds[np.where(known, tokens, 0)]
        tokens, sentence = tokens[known & stays], sentence[known & stays]
        keys = [
            (tokens[:-gap] * num_words + tokens[gap:])[sentence[:-gap] == sentence[gap:]]
            for gap in range(1, 6)
        ]
        pairs, counts = np.unique(np.concatenate(keys), return_counts=True)
        total += csr_array((counts, divmod(pairs, num_words)), shape=total.shape)
    total = total + total.T
    return {"count_seconds": time.perf_counter() - started, "pairs": int(total.nnz)}


def train_subwords_by_gensim(job: Figures) -> Figures:
    """Train with character n-grams from the corpus file, gensim's faster way, and save fastText's format."""
    from gensim.models import FastText
    from gensim.models.fasttext import save_facebook_model
    from worker import GENSIM_RATE, SETTINGS

    model = FastText(
        vector_size=SETTINGS["dim"],
        window=SETTINGS["window"],
        negative=SETTINGS["negatives"],
        sample=SETTINGS["subsample"],
        min_count=SETTINGS["min_count"],
        sg=int(job["objective"] == "skipgram"),
        alpha=GENSIM_RATE[job["objective"]],
        workers=job["threads"],
        seed=job["seed"],
        min_n=3,
        max_n=6,
        bucket=job["buckets"],
    )
    model.build_vocab(corpus_file=job["text"])
    words, epochs = model.corpus_total_words, job["epochs"]
    started = time.perf_counter()
    model.train(corpus_file=job["text"], total_words=words, total_examples=model.corpus_count, epochs=epochs)
    figures = {"train_seconds": time.perf_counter() - started, "words": words * epochs}
    save_facebook_model(model, job["saved"])
    return figures


def train_subwords_by_fasttext(job: Figures) -> Figures:
    """Train with character n-grams; the seconds include the pass over the vocabulary."""
    import fasttext
    from worker import SETTINGS

    shortest, longest = map(int, job["lengths"].split(":"))
    started = time.perf_counter()
    model = fasttext.train_unsupervised(
        job["text"],
        model=job["objective"],
        dim=SETTINGS["dim"],
        ws=SETTINGS["window"],
        neg=SETTINGS["negatives"],
        t=SETTINGS["subsample"],
        minCount=SETTINGS["min_count"],
        epoch=job["epochs"],
        thread=job["threads"],
        minn=shortest,
        maxn=longest,
        bucket=job["buckets"],
        verbose=0,
    )
    figures = {"train_seconds": time.perf_counter() - started}
    model.save_model(job["saved"])
    words = len(Path(job["text"]).read_text("utf-8").split())
    return figures | {"words": words * job["epochs"]}
