"""The command line. A command is imported when it is called or listed, and the library when it runs."""

import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from ._app import WithExamples, run_and_exit

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
    "similarity": "queries",
    "eval-w2v": "eval_w2v",
    "compare": "compare",
    "plot": "plot",
    "convert": "convert",
    "inspect": "inspect",
    "corpora": "corpora",
    "doctor": "doctor",
}


class Commands(WithExamples, click.Group):
    """The commands of HOMES, in that order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(HOMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in HOMES:  # load all of them, for click to suggest one
            self.commands = {name: _load(name) for name in HOMES}
            return None
        return _load(cmd_name)

    def main(self, args: Sequence[str] | None = None, *unused: Any, **extra: Any) -> NoReturn:
        """Run a command and leave with its exit code (see _run)."""
        if "_NLPSEQ_COMPLETE" in os.environ:  # the shell asks for completions
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
    """Word vectors and a recurrent language model from your own text.

    CORPUS is a file (.gz, .bz2, .xz and .zst too), a folder, a glob, several of these, - for stdin, or a name
    that `nlpseq corpora list` shows. Results go to stdout, messages to stderr.

    \b
    Exit codes: 0 done, 1 the run failed, 2 usage, 3 something is not installed,
    4 the input, 5 a damaged or unfitting result, 6 disk or memory,
    130 Ctrl-C, 143 SIGTERM, 141 broken pipe.
    """
