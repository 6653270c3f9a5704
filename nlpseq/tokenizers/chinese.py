"""The tokenizer `jieba`: words of Chinese text."""

from functools import cache
from typing import Any

from nlpseq.config import TextConfig
from nlpseq.core.cache_dir import cache_dir

__all__ = ["split_with_jieba"]


def split_with_jieba(text: str, _: TextConfig) -> list[str]:
    """Return the words of a line, found by jieba."""
    return [word for part in _jieba().cut(text) for word in part.split()]


@cache
def _jieba() -> Any:
    """Load jieba and its dictionary, in about a second."""
    import jieba

    jieba.setLogLevel("WARNING")  # because jieba reports its start on stderr
    jieba.dt.tmp_dir = str(cache_dir("jieba"))  # because others may write to the folder of temporary files
    return jieba
