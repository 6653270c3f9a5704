"""Simulate a Ray cluster of several machines by processes of one machine."""

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Machines", "end", "open_machines", "run_stage", "start_stage", "wait_for_line"]

VARIABLES = {  # listen on this machine only, and ask no server
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9",
}
SERVE = """
import json, sys
from ray.cluster_utils import Cluster

size = {"object_store_memory": 150 << 20, "node_ip_address": "127.0.0.1"}
health = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500}
health["health_check_failure_threshold"] = 3
config = health | json.loads(sys.argv[3])
head = {"num_cpus": 0, "include_dashboard": False, "_system_config": config}
head["ray_client_server_port"] = int(sys.argv[2])
cluster = Cluster(initialize_head=True, head_node_args=head | size)
machines = [cluster.add_node(num_cpus=1, **size) for _ in range(int(sys.argv[1]))]
print(cluster.address, file=sys.stderr, flush=True)
for line in sys.stdin:
    if line == "head\\n":
        cluster.remove_node(cluster.head_node, allow_graceful=False)
        break
    cluster.remove_node(machines.pop(0), allow_graceful=False)
    machines.append(cluster.add_node(num_cpus=1, **size))
    print("replaced", file=sys.stderr, flush=True)
cluster.shutdown()
"""
SMALL_SHARDS = """
from nlpseq.distributed import counts, preprocess
preprocess.preprocess.__kwdefaults__["shard_bytes"] = preprocess.PART_BYTES = 100_000
counts.count_cooccurrences.__kwdefaults__ |= {"span_tokens": 20_000, "block_tokens": 30_000}
from nlpseq.__main__ import main
main()
"""


class Machines(NamedTuple):
    """The process of the cluster, the variables of its users, and its address for other machines."""

    process: subprocess.Popen[str]
    env: dict[str, str]
    address: str

    def replace_one(self) -> None:
        """Kill the oldest machine, and add a new machine."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        wait_for_line(self.process, "replaced")

    def kill_head(self) -> None:
        """Kill the first machine, without workers."""
        assert self.process.stdin is not None
        self.process.stdin.write("head\n")
        self.process.stdin.flush()


@contextmanager
def open_machines(number: int, home: Path, **settings: Any) -> Iterator[Machines]:
    """Start a head without workers, and machines of one core each, for --cluster auto.

    home: a folder for the files of Ray. settings: of Ray, for all machines.
    """
    (home / "ray_bootstrap_config.yaml").write_text("provider: {type: local}\n")
    env = os.environ | VARIABLES | {"RAY_AUTH_TOKEN": secrets.token_hex(32), "HOME": str(home)}
    port = _free_port()
    with subprocess.Popen(
        [sys.executable, "-c", SERVE, str(number), str(port), json.dumps(settings)],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            address = wait_for_line(process, "127.0.0.1:")
            yield Machines(process, env | {"RAY_ADDRESS": address}, f"ray://127.0.0.1:{port}")
        finally:
            end(process, 60)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def wait_for_line(process: subprocess.Popen[str], start: str) -> str:
    """Read stderr up to a line with a given start; return the line."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        if line.startswith(start):
            return line.strip()
        lines.append(line)
    raise AssertionError("".join(lines))


def start_stage(folder: Path, *arguments: str, machines: Machines | None = None) -> subprocess.Popen[str]:
    """Start a command line in a folder, with shards for a small text."""
    line, pipe = [sys.executable, "-c", SMALL_SHARDS, *arguments], subprocess.PIPE
    env = None if machines is None else machines.env
    return subprocess.Popen(line, cwd=folder, env=env, stdout=pipe, stderr=pipe, text=True)


def run_stage(folder: Path, *arguments: str, machines: Machines | None = None) -> tuple[int, str, str]:
    """Run a command line in a folder; return its exit code, stdout and stderr."""
    with start_stage(folder, *arguments, machines=machines) as process:
        out, err = _end(process, 300)
    return process.returncode, out, err


def end(process: subprocess.Popen[str], seconds: float = 300) -> str:
    """Wait for the end of a process, and return the rest of its stderr."""
    return _end(process, seconds)[1]


def _end(process: subprocess.Popen[str], seconds: float) -> tuple[str, str]:
    try:
        return process.communicate(timeout=seconds)
    finally:
        process.kill()
