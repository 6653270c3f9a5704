"""FolderRecord: proof in the cache that every byte of a folder was checked, with the index of its words.

Comparing gigabytes with their sha256 takes seconds, so this is done once. The name of a record has a digest
of the layout of the index and of size, inode and times of every file, so that a changed folder has no record.
"""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq.core.cache_dir import optional_cache_dir
from nlpseq.errors import ArtifactError, ConfigError
from nlpseq.storage.arrays import load_array
from nlpseq.storage.locks import remove_stale_temporaries, temporary

__all__ = ["FolderRecord"]

_LAYOUT = 1  # of the index; raise with every change of WordIndex.table
_CLOCK_TICK_NS = 100_000_000  # two changes within one tick may get the same time

Ints = npt.NDArray[np.int64]


class FolderRecord:
    """The record of a folder in its present state; a read-only cache has no records."""

    def __init__(self, path: Path) -> None:
        self._state = _state_of(path)
        self._cache = optional_cache_dir("vectors")
        self._place = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]

    def load(self) -> Ints | None:
        """Return the table of the index of the words, (3, V), or None without a record."""
        if self._cache is not None:
            with suppress(ArtifactError):  # missing; or damaged, which is as good as missing
                table = load_array(self._file(self._cache), np.int64, ndim=2).view(np.ndarray)
                return table if len(table) == 3 else None
        return None

    def save(self, table: Ints) -> None:
        """Store a record of the state before the check, unless a file had changed just before."""
        if self._cache is None or not self._state.is_settled:
            return
        remove_stale_temporaries(self._cache)
        file = self._file(self._cache)
        with suppress(OSError, ConfigError), temporary(file) as new:  # ConfigError: another process does it
            with new.open("wb") as stream:
                np.save(stream, table, allow_pickle=False)
            for old in self._cache.glob(f"{self._place}-*"):
                old.unlink(missing_ok=True)
            new.replace(file)

    def _file(self, cache: Path) -> Path:
        return cache / f"{self._place}-{self._state.digest}.npy"


class _State(NamedTuple):
    """Digest of the state of all files in a folder; is_settled: another change would alter the digest."""

    digest: str
    is_settled: bool


def _state_of(path: Path) -> _State:
    now = time.time_ns()
    with suppress(OSError), os.scandir(path) as entries:
        stats = sorted((entry.name, entry.stat()) for entry in entries if entry.is_file())
        states = [(name, s.st_size, s.st_dev, s.st_ino, s.st_mtime_ns, s.st_ctime_ns) for name, s in stats]
        newest_ns = max((max(state[4:]) for state in states), default=now)
        digest = hashlib.sha256(repr((_LAYOUT, states)).encode("utf-8", "surrogateescape")).hexdigest()
        return _State(digest[:32], newest_ns < now - _CLOCK_TICK_NS)
    return _State("", False)
