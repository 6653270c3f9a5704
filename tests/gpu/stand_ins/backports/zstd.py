"""Stand-in for backports.zstd, which nlpseq imports before Python 3.14 and the check does not use."""

from typing import Any


class ZstdError(Exception):
    pass


class ZstdDecompressor:
    def __init__(self, *_: Any, **__: Any) -> None:
        raise ZstdError("backports.zstd is not installed. Type: pip install backports.zstd")
