"""nlpseq generate: write text with a language model."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.config import Length, Sampling
from nlpseq.core.resources import TORCH
from nlpseq.errors import ConfigError

from ._app import Command
from ._inputs import load_model
from ._options import (
    Words,
    integer,
    is_typed,
    json_option,
    lm_argument,
    machine_options,
    option_name,
    setting_options,
)
from ._output import print_json, print_text, say, say_warning

__all__ = ["generate"]

if TYPE_CHECKING:
    from nlpseq.lm.language_model import LanguageModel

MAX_UNKNOWN_SHOWN = 10  # words
SAMPLING_OPTIONS = ("samples", "seed", *(each.name for each in fields(Sampling)))


@click.command(
    cls=Command,
    addresses=TORCH,
    examples=[
        "nlpseq generate corpus.lm",
        'nlpseq generate corpus.lm --prompt "The" --num-tokens 20 --temperature 0.8 --seed 7',
        "nlpseq generate corpus.lm --sentences 1 --samples 3 --top-p 0.9 --json",
        'echo "The king" | nlpseq generate corpus.lm --prompt -',
    ],
)
@lm_argument
@click.option(
    "--prompt",
    type=Words(),
    default="",
    show_default=False,
    help="text to continue, or - to read the text from stdin [default: start a new text]",
)
@setting_options(Length)
@setting_options(Sampling)
@click.option("--unk/--no-unk", default=False, help="allow <unk> in the text, or not")
@click.option("--beam", type=integer(1), metavar="N", help="beam search of this width, instead of sampling")
@click.option("--samples", type=integer(1), default=1, help="number of texts")
@click.option("--seed", type=integer(0), default=1, help="seed of all random numbers")
@machine_options
@json_option
def generate(
    model: Path,
    prompt: str,
    num_tokens: int,
    sentences: int | None,
    unk: bool,
    beam: int | None,
    samples: int,
    seed: int,
    threads: int | None,
    device: str,
    as_json: bool,
    **filters: Any,
) -> None:
    """Write text with the language model LM.

    A single text appears token by token. A line of --- separates several texts; --json prints each text as a
    document on one line. LM reads unknown words of the prompt as <unk>. Control characters of the text are
    escaped on a terminal only.
    """
    if beam is not None:
        _refuse_sampling_options()
    lm = load_model(model, threads, device)
    from nlpseq.lm.generate import beam_search, generate as texts, stream

    prompt = _read_stdin() if prompt == "-" else prompt
    _warn_of_unknown_words(lm, prompt)
    length, sampling = Length(num_tokens, sentences), Sampling(**filters)
    if beam is not None:
        _print_all([beam_search(lm, prompt, beam=beam, length=length, unk=unk)], as_json)
        return
    if sampling.temperature:
        say(f"seed: {seed}")
    if samples > 1 or as_json:
        settings: dict[str, Any] = {"length": length, "sampling": sampling, "unk": unk, "seed": seed}
        _print_all(texts(lm, prompt, samples=samples, **settings), as_json)
    else:
        print_text(prompt)
        last = ""
        for piece in stream(lm, prompt, length=length, sampling=sampling, unk=unk, seed=seed):
            print_text(piece)
            last = piece or last
        print_text("" if last.endswith("\n") else "\n")


def _refuse_sampling_options() -> None:
    """Raise ConfigError for an option that has no effect with --beam."""
    for name in SAMPLING_OPTIONS:
        if is_typed(name):
            option = option_name(name)
            raise ConfigError(f"{option}: has no effect with --beam. Leave out {option} or --beam.")


def _read_stdin() -> str:
    """Return the text of stdin as a prompt, without a last line end, so that its last line goes on."""
    text = sys.stdin.buffer.read().decode("utf-8-sig", "replace")
    return text.replace("\r\n", "\n").removesuffix("\n")


def _warn_of_unknown_words(lm: LanguageModel, prompt: str) -> None:
    from nlpseq.lm.generate import unknown_words

    if unknown := unknown_words(lm, prompt):
        shown = ", ".join(map(repr, unknown[:MAX_UNKNOWN_SHOWN]))  # quoted, because a space may be unknown
        shown += ", ..." if len(unknown) > MAX_UNKNOWN_SHOWN else ""
        say_warning(f"the model does not know {shown}, and reads <unk> instead.")


def _print_all(texts: list[str], as_json: bool) -> None:
    for number, text in enumerate(texts):
        if as_json:
            print_json({"text": text})
        else:
            print_text("---\n" * (number > 0) + text.removesuffix("\n") + "\n")
