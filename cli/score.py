"""nlpseq score: how probable each sentence is to a language model."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import TextConfig
from nlpseq.core.resources import TORCH
from nlpseq.errors import DataError

from ._app import Command
from ._inputs import dataset_folder, lm_argument, load_model, machine_options, open_sources
from ._options import json_option
from ._output import print_json, print_line, say, say_warning

if TYPE_CHECKING:
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.lm.score import SentenceScore
    from nlpseq.reading.corpus import Block, Corpus

COLUMNS = ("log_prob", "perplexity", "tokens", "unk", "text")


@click.command(
    cls=Command,
    addresses=TORCH,
    examples=[
        "nlpseq score corpus.lm corpus.txt",
        'echo "The king speaks." | nlpseq score corpus.lm --tokens --json',
        "nlpseq score corpus.lm corpus.txt | sort -n | cut -f 1,5",
    ],
)
@lm_argument
@click.argument("file", required=False, metavar="[FILE|-]")
@click.option("--tokens", "with_tokens", is_flag=True, help="also the log-probability of each token")
@click.option("--encoding", metavar="NAME", help="of the text [default: that of LM's own corpus]")
@click.option(
    "--encoding-errors",
    type=click.Choice(["replace", "strict"]),
    help="what to do with invalid bytes [default: as for LM's own corpus]",
)
@machine_options
@json_option
def score(
    model: Path,
    file: str | None,
    with_tokens: bool,
    encoding: str | None,
    encoding_errors: Any,
    threads: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Natural log-probability, perplexity and number of unknown words of each line of FILE, or of stdin.

    Each line is a sentence by itself: the network begins anew, predicts its first token from <eos> and its
    end last; tokens count that <eos>, so that an empty line has one. There is one line of output for each of
    FILE, in its order, with columns parted by tabs: log-probability, perplexity, tokens, unknown ones, the
    text; with --tokens then a column for each token. An unknown word is shown as <unk:word>.
    """
    corpus = _named_text(file)
    lm = load_model(model, threads, device)
    own = lm.text_config
    config = TextConfig(  # lines as they are: the model does the rest
        encoding=encoding or own.encoding,
        encoding_errors=encoding_errors or own.encoding_errors,
        normalize="none",
    )
    if not as_json:
        say(f"columns: {', '.join(COLUMNS)}")
    for each in _scores(lm, corpus, config):
        if as_json:
            print_json(_record(each, with_tokens=with_tokens))
        else:
            print_line(*_fields(each, with_tokens=with_tokens))


def _named_text(file: str | None) -> Corpus:
    if file is None and sys.stdin.isatty():
        raise click.UsageError("No text was named. Name a file, pipe sentences in, or give - to type them.")
    if file is not None and (folder := dataset_folder((file,))):
        raise DataError(f"{folder} is a result of nlpseq and no text. Name the text itself.")
    return open_sources((file or "-",))


def _scores(lm: LanguageModel, corpus: Corpus, config: TextConfig) -> Iterator[SentenceScore]:
    """Scores of all lines; then a word on what was wrong with the text."""
    from nlpseq.lm.score import score_sentences
    from nlpseq.reading.corpus import ReadReport

    report = ReadReport()
    yield from score_sentences(lm, lines(corpus.blocks(config, report)))
    for notice in report.notices():
        say_warning(notice)


def lines(blocks: Iterable[Block]) -> Iterator[str]:
    """Every line of a corpus, empty ones too."""
    parts: list[str] = []  # of a line that goes on from block to block
    for block in blocks:
        parts.append(block.text)
        if not block.continues:
            yield from "".join(parts).removesuffix("\n").split("\n")
            parts = []


def _record(score: SentenceScore, *, with_tokens: bool) -> dict[str, Any]:
    record: dict[str, Any] = {
        "text": score.text,
        "log_prob": score.log_prob,
        "perplexity": score.perplexity,
        "tokens": len(score.tokens),
        "unk": score.unk,
    }
    if with_tokens:
        pairs = zip(score.tokens, score.log_probs.tolist(), strict=True)
        record["token_log_probs"] = [{"token": token, "log_prob": log_prob} for token, log_prob in pairs]
    return record


def _fields(score: SentenceScore, *, with_tokens: bool) -> Iterator[str]:
    """The columns of a line."""
    yield from (f"{score.log_prob:.4f}", f"{score.perplexity:.4f}", str(len(score.tokens)), str(score.unk))
    yield score.text
    if with_tokens:
        for token, log_prob in zip(score.tokens, score.log_probs.tolist(), strict=True):
            yield f"{token} {log_prob:.4f}"
