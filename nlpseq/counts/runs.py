"""Counting integers that may outgrow the memory: sorted runs of keys, merged key range by key range.

A key is an integer of 64 bits. Keys come in blocks; a block is sorted and its equal keys counted, which makes
a run. Keys that share key // group belong together, and a merge never parts them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from nlpseq import artifact

_ENTRY_BYTES = 80  # that merging takes for each key it looks at, at its peak
_MOST_ON_DISK = 100  # runs, two open files each

Keys = npt.NDArray[np.uint64]


class Run(NamedTuple):
    """Keys, rising, and how often each was seen."""

    keys: Keys
    counts: npt.NDArray[np.int64]

    @property
    def num_bytes(self) -> int:
        return self.keys.nbytes + self.counts.nbytes

    def part(self, start: int, stop: int) -> "Run":
        return Run(self.keys[start:stop], self.counts[start:stop])


class Runs:
    """All runs so far: in half of the memory while they fit, then merged into one on disk.

    folder: where to put that; its files are removed as soon as they are mapped. A quarter of the memory is
    for merging, a quarter is left to the caller.
    """

    def __init__(self, folder: Path, memory_bytes: int, group: int) -> None:
        self.spilled_bytes = 0
        self._folder = folder
        self._memory_bytes = memory_bytes
        self._group = group
        self._kept: list[Run] = []
        self._on_disk: list[Run] = []

    def add(self, keys: Keys) -> None:
        """Count a block of keys, which is sorted in place."""
        if len(keys) == 0:
            return
        keys.sort()
        starts = first_of_equals(keys)
        self._kept.append(Run(keys[starts], np.diff(starts, append=len(keys))))
        if sum(run.num_bytes for run in self._kept) > self._memory_bytes // 2:
            self._on_disk.append(self._to_disk(self._kept))
            self._kept = []
        if len(self._on_disk) == _MOST_ON_DISK:
            self._on_disk = [self._to_disk(self._on_disk)]

    def merged(self) -> Iterator[Run]:
        """One run over everything added, in parts."""
        return self._merged([*self._on_disk, *self._kept])

    def _merged(self, runs: Sequence[Run]) -> Iterator[Run]:
        return merge(runs, self._memory_bytes // 4 // _ENTRY_BYTES, self._group)

    def _to_disk(self, runs: Sequence[Run]) -> Run:
        files = self._folder / "keys.npy", self._folder / "counts.npy"
        with (
            artifact.NpyWriter(files[0], np.uint64) as keys,
            artifact.NpyWriter(files[1], np.int64) as counts,
        ):
            for run in self._merged(runs):
                keys.append(run.keys)
                counts.append(run.counts)
        run = Run(artifact.load_array(files[0], np.uint64, 1), artifact.load_array(files[1], np.int64, 1))
        for file in files:  # the disk keeps what is mapped, and takes it back with the mapping
            file.unlink()
        self.spilled_bytes += run.num_bytes
        return run


def merge(runs: Sequence[Run], num_keys: int, group: int) -> Iterator[Run]:
    """One run over several, in parts made of about num_keys of their keys."""
    step = max(group, num_keys // max(1, len(runs)))  # below group, a part could come out empty
    while runs:
        ahead = [run.keys[step] for run in runs if len(run.keys) > step]
        limit = min(ahead) // group * group if ahead else None
        stops = [len(run.keys) if limit is None else int(np.searchsorted(run.keys, limit)) for run in runs]
        yield _merge_whole([run.part(0, stop) for run, stop in zip(runs, stops, strict=True)])
        rest = [run.part(stop, len(run.keys)) for run, stop in zip(runs, stops, strict=True)]
        runs = [run for run in rest if len(run.keys)]


def _merge_whole(runs: Sequence[Run]) -> Run:
    keys, counts = (np.concatenate(arrays) for arrays in zip(*runs, strict=True))
    order = np.argsort(keys)
    keys = keys[order]
    starts = first_of_equals(keys)
    return Run(keys[starts], np.add.reduceat(counts[order], starts))


def first_of_equals(rising: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Where each new value begins in a sorted array that has at least one."""
    return np.flatnonzero(np.concatenate([[True], rising[1:] != rising[:-1]]))
