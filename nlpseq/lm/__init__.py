"""The recurrent language model, the only part that needs PyTorch."""

from nlpseq.errors import MissingExtra

try:
    import torch  # noqa: F401
except ImportError as error:
    raise MissingExtra(
        'PyTorch: is not installed, but the language model needs it. Type: pip install ".[lm]"'
    ) from error
