"""Options in messages: of every command that prints the message, or of a command that the message names."""

import ast
import re
from pathlib import Path

import click
import pytest
from nlpseq.cli import HOMES, main

ROOT = Path(__file__).parents[2]
TRAINERS = ["train-w2v", "train-counts", "train-lm"]
ENCODERS = ["preprocess", *TRAINERS]
LM_READERS = ["eval-lm", "score", "generate"]
QUERIES = ["neighbors", "analogy", "query", "odd-one-out", "similarity"]
VECTOR_READERS = [*QUERIES, "eval-w2v", "compare", "convert"]
COMMANDS_OF = (
    {  # the longest path counts
        "nlpseq/reading": [*ENCODERS, "eval-lm", "score"],
        "nlpseq/dataset": ENCODERS,
        "nlpseq/dataset/diagnostics.py": ENCODERS[:-1],
        "nlpseq/tokenizers": ENCODERS,
        "nlpseq/counts": ["train-counts"],
        "nlpseq/word2vec": ["train-w2v"],
        "nlpseq/lm": ["train-lm"],
        "nlpseq/lm/checkpoint.py": ["train-lm", *LM_READERS],
        "nlpseq/vectors": VECTOR_READERS,
        "nlpseq/vectors/formats": ["convert"],
        "nlpseq/vectors/shrink.py": ["convert"],
        "nlpseq/vectors/compact_matrix.py": ["convert"],
        "nlpseq/vectors/align.py": ["compare"],
        "nlpseq/vectors/postprocess.py": VECTOR_READERS[:-1],
        "nlpseq/training": TRAINERS,
        "nlpseq/training/provenance.py": [*TRAINERS, "eval-lm", "plot"],
        "nlpseq/training/metrics.py": ["plot"],
        "cli/_inputs.py": [*ENCODERS, *VECTOR_READERS, *LM_READERS],
        "cli/_training.py": TRAINERS,
        "cli/_app.py": [*ENCODERS, *VECTOR_READERS, *LM_READERS],
    }
    | {f"cli/{file}.py": [name for name in HOMES if HOMES[name] == file] for file in HOMES.values()}
)
OPTION = r"(?<![\w-])--[a-z][a-z0-9-]*"
NAMES_A_COMMAND = r"nlpseq |zstd |[Tt]rain\b|[Cc]ontinue the run"


def options_of(name):
    command = main.get_command(click.Context(main), name)
    commands = command.commands.values() if isinstance(command, click.Group) else [command]
    return {option for each in commands for param in each.params for option in param.opts} | {"--help"}


def messages(file):
    """Yield the strings of a module but docstrings, an f-string with {} for its values."""
    tree = ast.parse(file.read_text("utf-8"))
    skipped = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            skipped |= {*node.values}
            yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and node not in skipped and " " in str(node.value):
            yield str(node.value)


@pytest.mark.parametrize("path", COMMANDS_OF)
def test_options_in_messages_exist(path):
    files = [ROOT / path] if path.endswith(".py") else (ROOT / path).rglob("*.py")
    own = [file for file in files if home_of(str(file.relative_to(ROOT))) == path]
    texts = [text for file in own for text in messages(file) if not re.search(NAMES_A_COMMAND, text)]
    named = {(option, text) for text in texts for option in re.findall(OPTION, text)}
    options = list(map(options_of, COMMANDS_OF[path]))
    is_command = path.startswith("cli/") and Path(path).stem in HOMES.values()
    known = set.union(*options) if is_command else set.intersection(*options)
    assert {(option, text) for option, text in named if option not in known} == set()


def home_of(file):
    return max((path for path in COMMANDS_OF if file.startswith(path)), key=len)
