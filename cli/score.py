"""nlpseq score: print the log-probability of each sentence."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import Format, TextConfig
from nlpseq.core.resources import TORCH, count_text
from nlpseq.errors import DataError

from ._app import Command
from ._inputs import dataset_folder, load_model, offer_encoding, open_sources
from ._options import encoding_options, json_option, lm_argument, machine_options, source_options
from ._output import print_json, print_line, say, say_notice, say_warning

__all__ = ["lines", "score"]

if TYPE_CHECKING:
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
@click.option("--tokens", "with_tokens", is_flag=True, help="also print the log-probability of each token")
@encoding_options
@source_options
@machine_options
@json_option
def score(
    model: Path,
    file: str | None,
    with_tokens: bool,
    encoding: str,
    encoding_errors: Any,
    column: str | None,
    format: Format,
    threads: int | None,
    device: str,
    as_json: bool,
) -> None:
    r"""Print the log-probability and perplexity of each line.

    The lines are of FILE, or of stdin without FILE, and each line is one sentence. The network starts from
    its initial state, predicts the first token from <eos> and finally <eos>, also a token. Every line of FILE
    gives one line of output, with columns separated by tabs: natural log-probability, perplexity, tokens,
    unknown words, text; with --tokens then one column per token. An unknown word appears as <unk:word>, a
    control character as an escape such as \x09, a backslash as \\. A sentence with unknown words scores too
    well.
    """
    corpus = _named_text(file)
    lm = load_model(model, threads, device)
    own = lm.text_config
    is_bpe = lm.vocab.bpe is not None
    config = TextConfig(  # without normalization, because score_sentences normalizes
        tokenizer="bpe" if is_bpe else "word",
        encoding=encoding,
        encoding_errors=encoding_errors or own.encoding_errors,
        normalize="none",
        column=column or own.column,
        format=format,
    )
    if not as_json:
        say(f"columns: {', '.join(COLUMNS)}")
    from nlpseq.lm.score import score_sentences
    from nlpseq.reading.columns import require_columns
    from nlpseq.reading.corpus import ReadReport

    report, num_tokens, num_unknown = ReadReport(), 0, 0
    errors = "surrogateescape" if is_bpe else "surrogatepass"  # because BPE keeps invalid bytes
    with offer_encoding(model, own.encoding):
        for each in score_sentences(lm, lines(corpus.blocks(config, report), errors)):
            _print_score(each, with_tokens=with_tokens, as_json=as_json)
            num_tokens, num_unknown = num_tokens + len(each.tokens), num_unknown + each.unk
    if column is not None:
        require_columns(report.formats, corpus.describe())
    if num_unknown:
        say_warning(
            f"unknown words: {num_unknown:,} of {count_text(num_tokens, 'token')}, scored as <unk>, and "
            "<unk> is easier to predict than a word. Compare sentences without unknown words (column unk)."
        )
    for notice in report.notices():
        say_notice(notice)


def _named_text(file: str | None) -> Corpus:
    if file is None and sys.stdin.isatty():
        raise click.UsageError(
            "FILE: is missing. Name a text, pipe sentences into stdin, or use - to type them."
        )
    if file is not None and (folder := dataset_folder((file,))):
        raise DataError(f"{folder}: a result of nlpseq, not a text. Name the text.")
    return open_sources((file or "-",))


def _print_score(score: SentenceScore, *, with_tokens: bool, as_json: bool) -> None:
    tokens = list(zip(score.tokens, score.log_probs.tolist(), strict=True))
    if as_json:
        record: dict[str, Any] = {"text": score.text, "log_prob": score.log_prob}
        record |= {"perplexity": score.perplexity, "tokens": len(tokens), "unk": score.unk}
        if with_tokens:
            record["token_log_probs"] = [{"token": token, "log_prob": value} for token, value in tokens]
        print_json(record)
    else:
        numbers = f"{score.log_prob:.4f}", f"{score.perplexity:.4f}", str(len(tokens)), str(score.unk)
        shown = (f"{token} {value:.4f}" for token, value in tokens if with_tokens)
        written = (field.replace("\\", "\\\\") for field in (score.text, *shown))  # \x09 may be in the text
        print_line(*numbers, *written)


def lines(blocks: Iterable[Block], errors: str = "surrogatepass") -> Iterator[str]:
    """Yield every line of a corpus, also empty lines; errors: of decoding UTF-8."""
    parts: list[str] = []  # of a line across several blocks
    for block in blocks:
        parts.append(block.data.decode("utf-8", errors))
        if not block.continues:
            yield from "".join(parts).removesuffix("\n").split("\n")
            parts = []
