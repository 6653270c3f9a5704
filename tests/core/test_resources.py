"""What memory there is taken to be."""

import resource
from pathlib import Path

import pytest

from nlpseq.core import resources as _memory
from nlpseq.errors import ResourceError


def test_memory_is_what_the_machine_has_left() -> None:
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(meminfo["MemTotal"].split()[0]) * 1024
    assert 0 < _memory.available_memory() <= total


@pytest.mark.parametrize(
    ("most", "anonymous", "left"),
    [("100000000", 30_000_000, 70_000_000), ("1000", 2000, 0), ("max", 5, None), ("", 5, None)],
)
def test_a_container_has_a_limit_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: str, anonymous: int, left: int | None
) -> None:
    free = _memory.available_memory()
    (tmp_path / "memory.max").write_text(f"{most}\n")
    (tmp_path / "memory.stat").write_text(f"anon {anonymous}\nfile 99\nanon_thp 7\n")
    monkeypatch.setattr(_memory, "CONTAINER", tmp_path)
    found = _memory.available_memory()
    assert found == left if left is not None else found > free / 2


def test_a_process_may_have_fewer_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    used = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("VmSize")
    )
    monkeypatch.setattr(resource, "getrlimit", lambda _: (used + 10_000_000, -1))
    assert _memory.available_memory() <= 10_000_000
    with pytest.raises(ResourceError, match=r"limited to .* of addresses and this needs .* ulimit -v"):
        _memory.check_addresses((used + 10_000_001, 0))
    with pytest.raises(ResourceError, match=r"20.0 MB of memory and .* are available. Lower --dim"):
        _memory.check_memory(20_000_000, "--dim")
