"""nlpseq plot: the learning curves of a run, or the word frequencies of a corpus, as a picture."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.errors import ConfigError, missing_extra

from ._app import Command
from ._options import force_option
from ._output import print_path

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from nlpseq.dataset.report import ZipfLine

SUFFIXES = (".png", ".svg", ".pdf")
MAX_NATS = 300.0  # because Matplotlib overflows with larger perplexities

__all__ = ["draw", "draw_zipf", "plot"]

Metrics = Sequence[dict[str, Any]]


@click.command(
    cls=Command,
    examples=[
        "nlpseq plot corpus.lm",
        "nlpseq plot corpus.w2v",
        "nlpseq plot corpus.tokens",
        "nlpseq plot corpus.lm --gradients -o course.svg",
    ],
)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"where to write, as {', '.join(SUFFIXES)} [default: RUN.png, in the current folder]",
)
@force_option
@click.option("--gradients", is_flag=True, help="also how far back gradients reach; needs PyTorch and corpus")
def plot(run: Path, output: Path | None, force: bool, gradients: bool) -> None:
    """Draw loss and learning rate of RUN, or counts of words.

    RUN is the folder of word vectors or of a language model, perhaps unfinished, or an encoded corpus. A
    language model has perplexities too. Its training loss includes dropout, and uses a sample of the
    vocabulary up to the dotted line, so training and validation loss are not comparable. For an encoded
    corpus, the picture shows how often each word occurs, by rank, and a straight line fitted to the counts,
    with a slope of -1 by Zipf's law. The path of the picture is printed.
    """
    from nlpseq.storage.artifact import is_result, peek_meta
    from nlpseq.vectors.formats.writer import atomic_files, check_files

    if find_spec("matplotlib") is None:
        raise missing_extra("plot", "matplotlib", "plot")
    file = output or Path(f"{run.resolve().name}.png")
    if file.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{file}: unknown picture format. Use a name that ends in {', '.join(SUFFIXES)}.")
    check_files([file], force=force)
    is_corpus = is_result(run) and peek_meta(run).get("format") == "nlpseq-tokens"
    figure = _draw_zipf(run) if is_corpus and not gradients else _draw_run(run, gradients)
    with atomic_files([file], force=force) as streams, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # because a font may lack a character of the title
        figure.savefig(streams[0], format=file.suffix[1:].lower(), dpi=120)  # Agg: needs no screen
    print_path(file)


def _draw_run(run: Path, gradients: bool) -> Figure:
    from nlpseq.training.metrics import read_curves

    curves = read_curves(run)
    flow_T = _gradient_flow(curves.folder, curves.meta) if gradients else None
    return draw(run.resolve().name, curves.metrics, flow_T)


def _draw_zipf(corpus: Path) -> Figure:
    from nlpseq.dataset.report import zipf_line
    from nlpseq.dataset.token_dataset import TokenDataset

    return draw_zipf(corpus.resolve().name, zipf_line(TokenDataset.open(corpus).word_counts))


def _gradient_flow(run: Path, meta: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Return the length of gradients t steps back, for a language model on its validation text."""
    if meta["format"] != "nlpseq-lm":
        raise ConfigError(f"{run}: is not a language model. Leave out --gradients.")
    from nlpseq.lm.batches import Stream
    from nlpseq.lm.gradients import gradient_flow_in
    from nlpseq.training.provenance import find_dataset, find_valid

    from ._inputs import encode_as, load_model

    data = find_dataset(run, meta, encode=encode_as)
    text = find_valid(run, meta, data, encode_as)
    return gradient_flow_in(load_model(run).model, Stream(text))


def draw(title: str, metrics: Metrics, flow_T: npt.NDArray[np.float64] | None) -> Figure:
    """Draw the loss, and below it any learning rates and gradients."""
    from matplotlib.figure import Figure

    has_rate = any("learning_rate" in each for each in metrics)
    heights = [3.0] + [1.0] * has_rate + [1.5] * (flow_T is not None)
    figure = Figure(figsize=(8, 1.6 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    panels[0].set_title(title, parse_math=False)  # because $ starts math
    _draw_loss(panels[0], metrics)
    if has_rate:
        panels[1].sharex(panels[0])
        panels[1].plot(*_points(metrics, "learning_rate"), ".-", color="tab:green")
        panels[1].set(xlabel="step", ylabel="learning rate")
    if flow_T is not None:
        panels[-1].semilogy(flow_T, color="tab:red")
        panels[-1].set(xlabel="steps back from a prediction", ylabel="gradient")
    for axes in panels:
        axes.grid(alpha=0.3)
    return figure


def draw_zipf(title: str, line: ZipfLine) -> Figure:
    """Draw counts by rank on logarithmic axes, and the line fitted to them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    axes.loglog(line.ranks_R, line.counts_R, ".", label="words")
    fitted_R = line.top * line.ranks_R**line.slope
    axes.loglog(line.ranks_R, fitted_R, "--", color="gray", label=f"fitted, slope {line.slope:.2f}")
    axes.set_title(title, parse_math=False)  # because $ starts math
    axes.set(xlabel="rank", ylabel="occurrences")
    axes.legend()
    axes.grid(alpha=0.3)
    return figure


def _draw_loss(axes: Axes, metrics: Metrics) -> None:
    """Draw the loss, and for a language model its perplexity on a logarithmic axis on the right."""
    from matplotlib.ticker import LogFormatter

    lines = [("loss", "training", ".-"), ("valid_loss", "validation", "o-")]
    for name, label, style in lines:
        steps, losses = _points(metrics, name)
        if steps:
            axes.plot(steps, losses, style, label=label)
    sampled = [each["step"] for each in metrics if each.get("softmax") == "sampled"]
    if sampled:
        axes.axvline(sampled[-1], linestyle=":", color="gray", label="full softmax from here")
    has_perplexity = any("perplexity" in name for each in metrics for name in each)
    axes.set(xlabel="step", ylabel="loss, nats per token" if has_perplexity else "loss")
    axes.legend()
    if not has_perplexity:
        return
    bounds = axes.get_ylim()
    axes.set_ylim(bounds)  # fixed, because the right axis has the same bounds
    perplexity = axes.twinx()
    perplexity.set(
        yscale="log",
        ylabel="perplexity",
        ylim=[exp(max(-MAX_NATS, min(bound, MAX_NATS))) for bound in bounds],
    )
    perplexity.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(3, 1)))
    perplexity.yaxis.set_major_formatter(LogFormatter())


def _points(metrics: Metrics, name: str) -> tuple[list[float], list[float]]:
    """Return the steps of a measurement, and its values."""
    found = [(each["step"], each[name]) for each in metrics if name in each]
    return [step for step, _ in found], [value for _, value in found]
