"""The recurrent language model: the only part that needs PyTorch."""

from importlib.util import find_spec

from nlpseq.errors import MissingExtra

if find_spec("torch") is None:
    raise MissingExtra(
        'the language model needs PyTorch, which is not installed. Type: pip install "nlpseq[lm]" '
        "--extra-index-url https://download.pytorch.org/whl/cpu"
    )
