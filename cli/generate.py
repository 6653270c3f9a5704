"""nlpseq generate: text that a language model writes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.core.resources import TORCH
from nlpseq.errors import ConfigError

from ._app import Command
from ._inputs import lm_argument, load_model, machine_options
from ._options import is_typed, json_option
from ._output import print_json, print_text, say, say_warning

if TYPE_CHECKING:
    from nlpseq.lm.language_model import LanguageModel

UNKNOWN_SHOWN = 10
OF_CHANCE = ("samples", "seed", "temperature", "top_k", "top_p", "min_p", "repetition_penalty")


@click.command(
    cls=Command,
    addresses=TORCH,
    examples=[
        "nlpseq generate corpus.lm",
        'nlpseq generate corpus.lm --prompt "The" --num-tokens 20 --temperature 0.8 --seed 7',
        "nlpseq generate corpus.lm --sentences 1 --samples 3 --top-p 0.9 --json",
    ],
)
@lm_argument
@click.option("--prompt", default="", help="text to go on with; default: begin anew")
@click.option("--num-tokens", default=100, show_default=True, help="longest text, in tokens after the prompt")
@click.option("--sentences", type=int, help="end after so many line ends")
@click.option(
    "--temperature", default=1.0, show_default=True, help="below 1 more likely text, 0 the likeliest token"
)
@click.option("--top-k", type=int, help="choose among so many of the likeliest tokens")
@click.option(
    "--top-p", default=1.0, show_default=True, help="choose among those with so much probability together"
)
@click.option(
    "--min-p", default=0.0, show_default=True, help="choose among those so likely, against the likeliest"
)
@click.option("--repetition-penalty", default=1.0, show_default=True, help="above 1 tokens are repeated less")
@click.option("--unk/--no-unk", default=False, show_default=True, help="whether <unk> may be written")
@click.option(
    "--beam", type=int, metavar="N", help="the likeliest text found with so many beginnings, not chance"
)
@click.option("--samples", type=click.IntRange(min=1), default=1, show_default=True, help="how many texts")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="of all random draws")
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

    A single text appears as it is written. Several are parted by a line of ---; with --json each is a
    document on a line. Words of the prompt that LM does not know are read as <unk>.
    """
    if beam is not None:
        _refuse_chance()
    lm = load_model(model, threads, device)
    from nlpseq.lm.generate import Length, beam_search, generate as texts, stream
    from nlpseq.lm.sampling import Sampling

    _tell_unknown(lm, prompt)
    length, sampling = Length(num_tokens, sentences), Sampling(**filters).check()
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


def _refuse_chance() -> None:
    """--beam leaves nothing to chance, so what steers chance cannot be meant."""
    for name in OF_CHANCE:
        if is_typed(name):
            option = "--" + name.replace("_", "-")
            raise ConfigError(f"--beam finds the likeliest text, without {option}. Leave one of them out.")


def _tell_unknown(lm: LanguageModel, prompt: str) -> None:
    from nlpseq.lm.generate import unknown_words

    if unknown := unknown_words(lm, prompt):
        shown = ", ".join(unknown[:UNKNOWN_SHOWN]) + (", ..." if len(unknown) > UNKNOWN_SHOWN else "")
        say_warning(f"the model does not know {shown}, and reads <unk> instead.")


def _print_all(texts: list[str], as_json: bool) -> None:
    for number, text in enumerate(texts):
        if as_json:
            print_json({"text": text})
        else:
            print_text("---\n" * (number > 0) + text.removesuffix("\n") + "\n")
