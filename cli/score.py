"""nlpseq score: how likely each line of a text is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import TextConfig

from ._command import Command
from ._console import print_json, print_line, say, say_warning
from ._lm import lm_argument, load_model
from ._options import json_option

if TYPE_CHECKING:
    from nlpseq.lm.language_model import LanguageModel
    from nlpseq.lm.score import SentenceScore
    from nlpseq.text.corpus import Corpus


@click.command(
    cls=Command,
    examples=[
        "nlpseq score corpus.lm corpus.txt",
        "echo 'a sentence to judge' | nlpseq score corpus.lm --tokens --json",
    ],
)
@lm_argument
@click.argument("file", default="-", metavar="[FILE]")
@click.option("--tokens", "per_token", is_flag=True, help="also the log-probability of each token")
@json_option
def score(model: Path, file: str, per_token: bool, as_json: bool) -> None:
    """How likely LM finds each line of FILE: natural log-probability and perplexity.

    Each line is judged on its own, from its beginning to its line end, which is predicted too (<eos>). For
    each there is a line of output with log-probability, perplexity, number of tokens, of unknown words among
    them, and the text, with tabs between them. Without FILE, lines come from stdin.
    """
    if file == "-" and sys.stdin.isatty():
        raise click.UsageError("No text was named. Name a file, or pipe lines in.")
    lm = load_model(model)
    from nlpseq.lm.score import score_sentences
    from nlpseq.text.corpus import ReadReport, open_corpus

    report = ReadReport()
    if not as_json:
        say("log-probability, perplexity, tokens, <unk>, text:")
    for each in score_sentences(lm, _lines(open_corpus(file), lm.text_config, report)):
        if as_json:
            print_json(_record(lm, each, per_token))
        else:
            _print(lm, each, per_token)
    for notice in report.notices():
        say_warning(notice)


def _lines(corpus: Corpus, config: TextConfig, report: Any) -> Iterator[str]:
    """The lines of a text, decoded and normalised as for training; empty ones too."""
    begun = ""
    for block in corpus.blocks(config, report):
        *whole, rest = (begun + block.text).split("\n")
        yield from whole
        begun = rest
    if begun:
        yield begun


def _record(lm: LanguageModel, scored: SentenceScore, per_token: bool) -> dict[str, Any]:
    record = {
        "text": scored.text,
        "log_prob": scored.log_prob,
        "perplexity": scored.perplexity,
        "tokens": len(scored.log_probs),
        "unk": scored.unk,
    }
    if per_token:
        record["token_log_probs"] = [
            {"token": token, "log_prob": log_prob} for token, log_prob in _tokens(lm, scored)
        ]
    return record


def _print(lm: LanguageModel, scored: SentenceScore, per_token: bool) -> None:
    figures = f"{scored.log_prob:.4f}", f"{scored.perplexity:.2f}"
    print_line(*figures, str(len(scored.log_probs)), str(scored.unk), scored.text)
    if per_token:
        for token, log_prob in _tokens(lm, scored):
            print_line("", f"{log_prob:.4f}", token)


def _tokens(lm: LanguageModel, scored: SentenceScore) -> list[tuple[str, float]]:
    """Each token with its log-probability; one outside the vocabulary is marked."""
    known = lm.vocab.ids
    written = [token if token in known else f"<unk>({token})" for token in scored.tokens]
    return list(zip([*written, "<eos>"], scored.log_probs.tolist(), strict=True))
