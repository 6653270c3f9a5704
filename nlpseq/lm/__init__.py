"""The recurrent language model: the only part that needs PyTorch."""

from nlpseq.errors import MissingExtra

try:
    import torch  # noqa: F401
except ImportError as error:
    raise MissingExtra(
        'the language model needs PyTorch, which is not installed. Type: pip install "nlpseq[lm]"'
    ) from error
