"""nlpseq plot: the course of a training as a picture."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nlpseq.errors import ConfigError, DataError, MissingExtra

from ._app import Command
from ._options import force_option
from ._output import print_path

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LM_VERSION = 1  # of nlpseq.lm.checkpoint, which needs PyTorch where a plot does not
SUFFIXES = (".png", ".svg", ".pdf")
FAR = 300.0  # nats: beyond exp of it what Matplotlib computes with a perplexity is infinite

Metrics = Sequence[dict[str, Any]]


@click.command(
    cls=Command,
    examples=[
        "nlpseq plot corpus.lm",
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
    """Draw loss, perplexity and learning rate of RUN, the folder of a language model.

    RUN may be unfinished. The loss in training is what is minimised: with dropout, and over a sample of the
    vocabulary where there is one (up to the dotted line). So it is not to be compared with that on the
    validation text, which is of the whole softmax with nothing dropped. The path of the picture is printed.
    """
    _require_matplotlib()
    file = output or Path(f"{run.resolve().name}.png")
    _check_output(file, force=force)
    meta, metrics = _read_run(run)
    flow_T = _gradient_flow(run, meta) if gradients else None
    _save(_draw(run.resolve().name, metrics, flow_T), file)
    print_path(file)


def _require_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise MissingExtra(
            'plots need matplotlib, which is not installed. Type: pip install "nlpseq[plot]"'
        ) from None


def _check_output(file: Path, *, force: bool) -> None:
    if file.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{file} is no kind of picture known here. End its name in {', '.join(SUFFIXES)}.")
    if file.is_dir():
        raise ConfigError(f"{file} is a folder. Name a file with -o.")
    if file.exists() and not force:
        raise ConfigError(f"{file} already exists. Replace it with --force, or choose another place with -o.")


def _read_run(run: Path) -> tuple[dict[str, Any], Metrics]:
    """meta.json and the measurements of a run."""
    from nlpseq.storage import artifact
    from nlpseq.training.metrics import read_metrics

    from ._inputs import require_run

    require_run(run)
    meta = artifact.load_meta(run, "lm", LM_VERSION)
    metrics = read_metrics(run)
    if not metrics:
        raise DataError(f"{run} has no measurements yet. Go on with it: nlpseq train-lm {run} --resume")
    return meta, metrics


def _gradient_flow(run: Path, meta: dict[str, Any]) -> npt.NDArray[np.float64]:
    """How long gradients are that go back t steps, for the model of a run on its own validation text."""
    from nlpseq.lm.batches import Stream
    from nlpseq.lm.gradients import gradient_flow_in

    from ._inputs import find_valid, load_model
    from ._whereabouts import find_data

    text = find_valid(run, meta, find_data(run, meta))
    return gradient_flow_in(load_model(run).model, Stream(text))


def _draw(title: str, metrics: Metrics, flow_T: npt.NDArray[np.float64] | None) -> Figure:
    """Loss, and below it the learning rate and the gradients where there are any."""
    from matplotlib.figure import Figure

    has_rate = any("learning_rate" in each for each in metrics)
    heights = [3.0] + [1.0] * has_rate + [1.5] * (flow_T is not None)
    figure = Figure(figsize=(8, 1.6 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    panels[0].set_title(title, parse_math=False)  # a $ in a name is a $
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


def _draw_loss(axes: Axes, metrics: Metrics) -> None:
    """The loss on the left and, being exp of it, the perplexity on a logarithmic axis on the right."""
    from matplotlib.ticker import LogFormatter

    lines = [("loss", "training, as it is minimised", "-"), ("valid_loss", "validation", "o-")]
    for name, label, style in lines:
        steps, losses = _points(metrics, name)
        if steps:
            axes.plot(steps, losses, style, label=label)
    sampled = [each["step"] for each in metrics if each.get("softmax") == "sampled"]
    if sampled:
        axes.axvline(sampled[-1], linestyle=":", color="gray", label="from here over the whole vocabulary")
    axes.set(xlabel="step", ylabel="loss, nats a token")
    axes.legend()
    bounds = axes.get_ylim()
    axes.set_ylim(bounds)  # as they are from now on: the right side is to fit them
    perplexity = axes.twinx()
    perplexity.set(
        yscale="log", ylabel="perplexity", ylim=[exp(max(-FAR, min(bound, FAR))) for bound in bounds]
    )
    perplexity.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(3, 1)))
    perplexity.yaxis.set_major_formatter(LogFormatter())


def _points(metrics: Metrics, name: str) -> tuple[list[float], list[float]]:
    """Steps at which something was measured, and its values."""
    found = [(each["step"], each[name]) for each in metrics if name in each]
    return [step for step, _ in found], [value for _, value in found]


def _save(figure: Figure, file: Path) -> None:
    """Write the picture beside its place and rename it, so that no half of one is ever there."""
    from nlpseq.storage import artifact
    from nlpseq.storage.locks import remove_stale_temporaries, temporary

    remove_stale_temporaries(file.resolve().parent)
    try:
        with temporary(file) as new, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # a name the font cannot write is no reason to fail
            figure.savefig(new, format=file.suffix[1:].lower(), dpi=120)  # Agg: needs no screen
            new.replace(file)
    except OSError as error:
        raise artifact.write_error(file, error) from error
