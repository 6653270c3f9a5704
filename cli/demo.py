"""nlpseq demo: the whole tour on the corpus `pydocs`, in less than two minutes on two cores."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from nlpseq.config import LM_SHARES, LM_TEXT, LMConfig, TextConfig, Word2VecConfig
from nlpseq.core.resources import count_text
from nlpseq.errors import MissingExtra

from ._app import Command
from ._options import force_option, output_option
from ._output import print_line, print_path, say, shell_path
from ._training import TrainingSession, lock_result
from .train_lm import STARTING

__all__ = ["ANALOGIES", "RESULTS", "WORDS", "demo", "show_model", "show_vectors"]

WORDS = ("array", "string", "maximum")
ANALOGIES = (  # (a, b, c, d): a is to b as c is to d, and the vectors find d
    ("row", "rows", "column", "columns"),
    ("array", "arrays", "matrix", "matrices"),
    ("function", "functions", "method", "methods"),
    ("upper", "lower", "left", "right"),
)
EPOCHS = 10
SOURCES = ("pydocs",)
MODEL = LMConfig(time_budget=45.0)  # seconds
PROMPT, NUM_TOKENS = "Return the", 40
RESULTS = ("pydocs.tokens", "pydocs.w2v", "pydocs-lm.tokens", "pydocs.lm")


@click.command(cls=Command, examples=["nlpseq demo", "nlpseq demo -o tour"])
@output_option
@force_option
def demo(output: Path | None, force: bool) -> None:
    """Show everything on `pydocs`, a corpus of docstrings.

    The corpus is built from the installed Python packages. The demo trains word vectors, prints neighbors
    and analogies, trains a small language model (if PyTorch is installed) and generates a sentence. Results
    go to the folder `demo`, or to the folder of -o.
    """
    output = output or Path("demo")
    for name in RESULTS:
        lock_result(output / name, force=force)
    show_vectors(output, force=force)
    has_model = show_model(output, force=force)
    folder = shell_path(output)
    say("What to type next:")
    say(f"  nlpseq neighbors {folder}/pydocs.w2v file thread")
    say(f"  nlpseq analogy {folder}/pydocs.w2v start end first")
    if has_model:
        say(f'  nlpseq generate {folder}/pydocs.lm --prompt "The"')
    say("  nlpseq train-w2v YOUR_TEXT.txt")
    print_path(output)


def show_vectors(output: Path, *, force: bool = False, epochs: int = EPOCHS) -> None:
    """Train word vectors, and print neighbors and analogies."""
    import nlpseq as ns

    with step("1. Collect the text, and number its words"):
        corpus = ns.open_corpus(*SOURCES)
        data = ns.preprocess(corpus, TextConfig(), output / "pydocs.tokens", force=force)
    print_line(f"{count_text(data.num_tokens, 'word')}, {data.vocab.num_words:,} of them different")
    with step("2. Train word vectors (skip-gram)"):
        path, train = output / "pydocs.w2v", partial(ns.train_word2vec, data, Word2VecConfig(epochs=epochs))
        session = TrainingSession("train-w2v", ".w2v", "words", sources=SOURCES, output=path, force=force)
        vectors = session.train(train, data)
    for word in WORDS:
        nearest = ", ".join(other for other, _ in vectors.neighbors(word, top=4))
        print_line(f"nearest to {word}: {nearest}")
    for a, b, c, d in ANALOGIES:
        answer = vectors.analogy(a, b, c, top=1)[0][0]
        print_line(f"{a} : {b} = {c} : {answer}" + ("" if answer == d else f" (expected: {d})"))


def show_model(output: Path, *, force: bool = False, config: LMConfig = MODEL) -> bool:
    """Train a language model and print a sentence of it; return False if PyTorch is missing."""
    import nlpseq as ns

    try:
        import_module("nlpseq.lm")
    except MissingExtra as error:
        say(f"3. No language model: {error}")
        return False
    with step(f"3. Train a language model (LSTM) for {config.time_budget:.0f} s"):
        settings: dict[str, Any] = LM_TEXT | LM_SHARES
        corpus, text = ns.open_corpus(*SOURCES), TextConfig(**settings)
        data = ns.preprocess(corpus, text, output / "pydocs-lm.tokens", force=force)
        path, train = output / "pydocs.lm", partial(ns.train_lm, data, config)
        session = TrainingSession(
            "train-lm", ".lm", "tokens", STARTING, sources=SOURCES, output=path, force=force
        )
        model = session.train(train, data)
    sentence = model.generate(PROMPT, num_tokens=NUM_TOKENS, temperature=0.6).partition("\n")[0]
    print_line(f"generated: {sentence}")
    return True


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say what begins, and how long it took."""
    say(title)
    started = time.monotonic()
    yield
    say(f"   {time.monotonic() - started:.0f} s")
