"""Addresses and numbers of workers that are refused before Ray starts."""

import subprocess
import sys

import pytest

from nlpseq.distributed.ray_engine import RayTasks, open_cluster
from nlpseq.errors import ConfigError, MissingExtra, RunError


@pytest.mark.parametrize("workers", ["0", "3:2", "0:4", "two", "-1", "1:2:3", "", "１"])
def test_wrong_numbers_of_workers_are_refused(workers: str) -> None:
    with (
        pytest.raises(ConfigError, match=r"--workers: is .*Use a number such as 4"),
        open_cluster("local", workers),
    ):
        pass


@pytest.mark.parametrize("address", ["", "localhost", "http://head:10001", "Auto"])
def test_wrong_addresses_are_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"--cluster: .* is not an address"), open_cluster(address):
        pass


def test_missing_ray_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"--cluster: .*\[ray\]"), open_cluster("local"):
        pass


@pytest.mark.parametrize("error", ["ConnectionError", "ray.exceptions.RaySystemError"])
def test_lost_connection_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    ray = pytest.importorskip("ray", reason='ray is not installed. Type: pip install ".[ray]"')

    def fail(*args: object, **options: object) -> None:
        raise ConnectionError("gone") if error == "ConnectionError" else ray.exceptions.RaySystemError("gone")

    monkeypatch.setattr(ray, "wait", fail)
    with pytest.raises(RunError, match=r"cluster: machines were lost \(.*gone.*\)\. .* with --resume"):
        RayTasks(2).get(["reference"])


def test_modules_of_a_cluster_load_no_ray() -> None:
    modules = "from nlpseq.distributed import counts, plan, preprocess, ray_engine"
    code = f"import sys; {modules}; assert 'ray' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
