"""The recurrent language model, the only part that needs PyTorch."""

from nlpseq.errors import missing_extra

try:
    import torch  # noqa: F401
except ImportError as error:
    raise missing_extra("language model", "PyTorch", "lm") from error
