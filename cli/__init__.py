"""The command line. A command is imported when called, and the library when the command runs."""

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from ._app import WithExamples, run_and_exit

__all__ = ["HOMES", "main"]

HOMES = {
    "preprocess": "preprocess",
    "demo": "demo",
    "train-w2v": "train_w2v",
    "train-counts": "train_counts",
    "train-lm": "train_lm",
    "eval-lm": "eval_lm",
    "score": "score",
    "generate": "generate",
    "neighbors": "queries",
    "analogy": "queries",
    "query": "queries",
    "odd-one-out": "queries",
    "similarity": "queries",
    "eval-w2v": "eval_w2v",
    "compare": "eval_w2v",
    "align": "align",
    "plot": "plot",
    "convert": "convert",
    "inspect": "inspect",
    "corpora": "corpora",
    "doctor": "doctor",
}


class Commands(WithExamples, click.Group):
    """The commands of HOMES, in the order of HOMES."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in HOMES:  # load all, because click then suggests a similar name
            self.commands = {name: _load(name) for name in HOMES}
            return None
        return _load(cmd_name)

    def main(self, args: Sequence[str] | None = None, *unused: Any, **extra: Any) -> NoReturn:
        """Run a command and exit with its exit code."""
        if "_NLPSEQ_COMPLETE" in os.environ:  # a request of the shell for completions
            super().main(args, "nlpseq", "_NLPSEQ_COMPLETE")
        run_and_exit(self, args)


def _load(name: str) -> click.Command:
    command: click.Command = getattr(import_module(f"{__package__}.{HOMES[name]}"), name.replace("-", "_"))
    return command


@click.group(
    cls=Commands,
    name="nlpseq",
    examples=[
        "nlpseq train-w2v corpus.txt",
        "nlpseq neighbors corpus.w2v king queen",
        "nlpseq train-lm corpus.txt --time-budget 3s",
    ],
)
@click.version_option(package_name="nlpseq", message="nlpseq %(version)s")
def main() -> None:
    """Train word vectors and a recurrent language model on your own text.

    CORPUS is a file (text, JSON lines, CSV, Parquet, also compressed or in an archive), a folder, a glob, an
    address (https://...), several of these, - for stdin, or a name from `nlpseq corpora list`. Results go to
    stdout, messages to stderr.

    \b
    Exit codes: 0 done, 1 the run failed, 2 usage, 3 something is not installed,
    4 the input, 5 a corrupt or incompatible result, 6 disk or memory,
    129 SIGHUP, 130 Ctrl-C, 141 broken pipe, 143 SIGTERM.
    """  # noqa: D301  # because click reads the backspace
