"""Run functions as tasks on a Ray cluster: start or join the cluster, submit tasks, translate errors.

Ray finds a worker for each task, moves arguments and results between machines, and runs the tasks of a lost
worker again. Every task here is a function of its arguments, so a task run twice gives the same bytes. Ray
also prints to standard output, where only the results of a command belong, so file descriptor 1 points to a
log file while a cluster is open.
"""

import os
import platform
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version as installed_version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nlpseq.core.cache_dir import cache_dir
from nlpseq.core.resources import available_cores, available_memory, count_text
from nlpseq.errors import ConfigError, ResourceError, RunError, missing_extra
from nlpseq.storage.manifest import MANIFEST

__all__ = ["LOCAL", "RayTasks", "check_options", "check_shared_folder", "open_cluster"]

LOCAL = "local"
HOME_OF_USER = "NLPSEQ_HOME_OF_USER"
RETRIES = 8  # of a task whose worker or machine was lost
MAX_STORE_BYTES = 2 << 30  # memory for objects of a cluster that is started here
STORE_SHARE = 0.3  # of the available memory, the default of Ray
CHECK_S = 5.0  # between two looks whether the cluster is alive
HEAD_LOST_S = 30.0  # until a wait for tasks ends
WORKERS_LOST_S = 600.0  # in which other machines may join
MAX_LOG_BYTES = 10 << 20
VARIABLES_OF_LOCAL = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # all servers listen on 127.0.0.1 only
    "RAY_AUTH_MODE": "token",
}
VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9",  # because even "disabled" would be reported
    "RAY_DEDUP_LOGS": "0",
    "RAY_task_oom_retries": "2",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_AGAIN = "Check the cluster, then start again, or go on from the last checkpoint with --resume."
LAST_WORDS = "import sys\nif not sys.stdin.read(): sys.stderr.write(sys.argv[1])"
NO_CLOUD = (
    "provider: {type: local}\n"  # ray_bootstrap_config.yaml: Ray asks no server of a cloud for metadata
)


class RayTasks:
    """Tasks on the open cluster, as many at the same time as there are workers."""

    def __init__(self, workers: int, *, limited: bool = False) -> None:
        """Run about `workers` tasks at once; limited: submit no more, because there are more cores."""
        self.workers, self._is_limited = workers, limited
        self._running, self._lost = list[Any](), _Lost()

    def describe(self) -> dict[str, Any]:
        """Return the engine and the number of workers, for meta.json."""
        import ray

        return {"engine": f"ray {ray.__version__}", "workers": self.workers}

    def put(self, value: Any) -> Any:
        """Return a reference to a value; a task with the reference as an argument gets the value."""
        import ray

        with _translated():
            return ray.put(value)

    def submit(self, function: Callable[..., Any], *args: Any, results: int | None = None) -> Any:
        """Return a reference to the result of a task, or references to each of its `results` results."""
        if self._is_limited:
            self._running = self.wait(self._running, self.workers - 1)
        with _translated():
            function = function if results != 1 else partial(_only_result, function)
            found = _remote(_run).options(num_returns=results or 1).remote(_own_version(), function, *args)
        references = found if isinstance(found, list) else [found]
        if self._is_limited:
            self._running.append(references[0])
        return found if results is None else references

    def get(self, references: Any) -> Any:
        """Wait for a task or a list of tasks and return their results; arrays are read-only."""
        import ray

        self.wait(references if isinstance(references, list) else [references], 0)
        with _translated():
            return ray.get(references)

    def wait(self, references: list[Any], most: int) -> list[Any]:
        """Wait until at most `most` of some tasks run, and return the running ones.

        Raises RunError if the head or all workers are lost meanwhile; Ray itself would wait for ever.
        """
        import ray

        running = references
        while len(running) > most:
            with _translated():
                _, running = ray.wait(
                    references, num_returns=len(references) - most, timeout=CHECK_S, fetch_local=False
                )
            self._lost.check()
        return running


class _Lost:
    """How long the head, or all workers, of a cluster have been lost."""

    def __init__(self) -> None:
        self._since, self._checked = dict[str, float](), time.monotonic()

    def check(self) -> None:
        """Raise RunError if one has been lost for too long; look every CHECK_S seconds."""
        if time.monotonic() - self._checked < CHECK_S:
            return
        self._checked = time.monotonic()
        has_head = _answers()
        self._count("head", HEAD_LOST_S, is_there=has_head)
        if has_head:
            self._count("workers", WORKERS_LOST_S, is_there=bool(_nodes()))

    def _count(self, name: str, seconds: float, *, is_there: bool) -> None:
        if is_there:
            self._since.pop(name, None)
        elif time.monotonic() - self._since.setdefault(name, time.monotonic()) >= seconds:
            raise RunError(f"cluster: the {name} cannot be reached for {seconds:.0f} s. {_AGAIN}")


@contextmanager
def _last_words() -> Iterator[None]:
    """Print an error if Ray ends the process, which gives Python no chance to do so.

    Another process waits until this one ends. Ray ends a process that has lost the server of Ray on this
    machine, or the head for a minute.
    """
    reason = (
        "Ray ended this command, because the head or its server on this machine was lost, or memory ran out"
    )
    line = [sys.executable, "-I", "-S", "-c", LAST_WORDS, f"nlpseq: error: cluster: {reason}. {_AGAIN}\n"]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            yield
        finally:
            assert process.stdin is not None
            process.stdin.write(b"ended by itself")


def _answers() -> bool:
    """Return True if the head of the cluster accepts connections; Ray Client finds out by itself."""
    import ray

    client: Any = ray.util.client.ray  # untyped
    if client.is_connected():
        return True
    host, _, port = ray.get_runtime_context().gcs_address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=CHECK_S).close()
    except OSError:
        return False
    return True


def _nodes() -> list[Any]:
    """Return the machines of the cluster that run tasks."""
    import ray

    known: Any = ray.nodes  # untyped
    with _translated():
        return [node for node in known() if node["Alive"] and node["Resources"].get("CPU")]


def _own_version() -> str:
    """Return the version of nlpseq on this machine; raise RunError if it is not installed."""
    try:
        return installed_version("nlpseq")
    except PackageNotFoundError as error:
        raise RunError(
            "nlpseq: is not installed, so workers cannot import it. Type: pip install ."
        ) from error


def _run(version: str, function: Callable[..., Any], *args: Any) -> Any:
    """Run a task, in the home of its user (see _changed_variables); version: of nlpseq at the driver.

    Raises RunError for another version here, on a machine that has joined after check_shared_folder.
    """
    if (here := _own_version()) != version:
        raise RunError(f"{platform.node()}: has nlpseq {here}, and the driver {version}. Install the same.")
    if home := os.environ.get(HOME_OF_USER):
        os.environ["HOME"] = home
    return function(*args)


def _only_result(function: Callable[..., Any], *args: Any) -> Any:
    (result,) = function(*args)
    return result


@cache
def _remote(function: Callable[..., Any]) -> Any:
    import ray

    return ray.remote(num_cpus=1, max_retries=RETRIES)(function)


@contextmanager
def open_cluster(address: str, workers: str | None = None) -> Iterator[RayTasks]:
    """Join the cluster at an address, or start one on this machine for LOCAL; leave or stop it at the end.

    address: LOCAL, "auto" or ray://HOST:PORT. workers: N, or MIN:MAX if machines may join later; default all
    cores of the cluster. Raises ConfigError for an address or a number of another form, MissingExtra without
    Ray, and RunError if no cluster answers.
    """
    least, most = check_options(address, workers)
    short = "/tmp" if Path("/tmp").is_dir() else None  # because a path of a socket has at most 107 bytes
    with tempfile.TemporaryDirectory(prefix="nlpseq-", dir=short, ignore_cleanup_errors=True) as home:
        with _changed_variables(address, Path(home)), _log_instead_of_output(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"ray\.")
            import ray

            try:
                with _kept_signals(), _changed_home(address, home):
                    _connect(ray, address, most, Path(home))
                with _last_words():
                    yield _tasks_of(ray, least, most)
            finally:
                with suppress(Exception):  # because the head may be gone
                    ray.shutdown()
                _remote.cache_clear()
        if address == LOCAL:
            shutil.rmtree(home, ignore_errors=True)  # twice, because servers may write while they end


def check_options(address: str, workers: str | None) -> tuple[int, int | None]:
    """Return the least and the most workers of N or MIN:MAX; None for as many as there are.

    Raises ConfigError for an address or a number of another form, and MissingExtra without Ray.
    """
    if address not in (LOCAL, "auto") and not address.startswith("ray://"):
        raise ConfigError(f"--cluster: {address} is not an address. Use local, auto or ray://HOST:PORT.")
    least, most = (1, None) if workers is None else _parse_workers(workers)
    if sys.modules.get("ray", "") is None or find_spec("ray") is None:
        raise missing_extra("--cluster", "ray", "ray")
    return least, most


def _parse_workers(workers: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)(?::(\d+))?", workers, re.ASCII)
    least, most = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if not 1 <= least <= most:
        raise ConfigError(
            f"--workers: is {workers}. Use a number such as 4, or a least and a most such as 2:8."
        )
    return least, most


def _connect(ray: Any, address: str, workers: int | None, home: Path) -> None:
    """Connect to the cluster; start it first for LOCAL."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    try:
        if address == LOCAL:
            store = min(MAX_STORE_BYTES, int(available_memory() * STORE_SHARE))
            ray.init(
                "local",
                num_cpus=min(workers or available_cores(), available_cores()),
                num_gpus=0,
                include_dashboard=False,
                object_store_memory=store,
                _node_ip_address="127.0.0.1",
                _temp_dir=str(home),
                **quiet,
            )
        else:
            ray.init(address, **quiet)
    except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
        if "ersion mismatch" in str(error):
            versions = " ".join(str(error).split())
            raise RunError(
                f"--cluster {address}: has other versions ({versions}). Install the same."
            ) from error
        advice = (
            "Check the address, that the token of the cluster is set, and that ray start --head runs there."
        )
        if address == LOCAL:
            advice = "Use fewer --workers, or work without --cluster."
        raise RunError(
            f"--cluster {address}: cannot be started or joined ({_first_line(error)}). {advice}"
        ) from error


def _tasks_of(ray: Any, least: int, most: int | None) -> RayTasks:
    """Return tasks on the cluster; raise ConfigError if it has fewer cores than the least number."""
    cores = int(ray.cluster_resources().get("CPU", 0))
    if cores < 1:
        raise RunError("--cluster: no machine of the cluster has a core. Add a machine by ray start.")
    if least > cores:
        raise ConfigError(
            f"--workers: is {least}, and the cluster has {count_text(cores, 'core')}. Use fewer."
        )
    tasks = RayTasks(most or cores, limited=most is not None and most != cores)
    tasks.get(tasks.submit(_own_version))  # stores the code of tasks at the head, which waits if it is lost
    return tasks


def check_shared_folder(tasks: RayTasks, folder: Path) -> None:
    """Raise ConfigError unless every machine sees a folder, RunError if one has another version of nlpseq."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = _nodes()
    with _probe(folder.resolve()) as (file, content):

        def look(file: str) -> tuple[str | None, bytes | None]:  # inside, so that Ray sends its code
            from importlib.metadata import PackageNotFoundError, version
            from pathlib import Path

            try:
                found = version("nlpseq")
            except PackageNotFoundError:
                return None, None
            return found, Path(file).read_bytes() if Path(file).is_file() else None

        places = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
        run = ray.remote(num_cpus=0)(look)
        seen = tasks.get([run.options(scheduling_strategy=each).remote(str(file)) for each in places])
    for node, (version, seen_content) in zip(nodes, seen, strict=True):
        name, here = node["NodeManagerHostname"], _own_version()
        if version != here:
            has = f"has nlpseq {version}" if version else "does not have nlpseq"
            raise RunError(f"{name}: {has}, and this machine {here}. Install the same.")
        if seen_content != content:
            raise ConfigError(
                f"{folder}: is not seen by the machine {name} of the cluster. Use a folder that all machines "
                "share, such as of a network file system."
            )


@contextmanager
def _probe(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield a file in a folder, with its content: the manifest of a result, else a temporary file."""
    if (meta := folder / MANIFEST).is_file():
        yield meta, meta.read_bytes()
        return
    with tempfile.NamedTemporaryFile(prefix=".nlpseq-probe-", dir=folder) as file:
        content = secrets.token_bytes(16)
        file.write(content)
        file.flush()
        yield Path(file.name), content


@cache
def _token() -> str:
    """Return the same token at every call, because Ray reads it once a process."""
    return secrets.token_hex(32)


@contextmanager
def _changed_variables(address: str, home: Path) -> Iterator[None]:
    """Set variables read by Ray at its start, and restore them at the end."""
    changes: Mapping[str, str] = VARIABLES
    if address == LOCAL:
        (home / "ray_bootstrap_config.yaml").write_text(NO_CLOUD)
        changes = VARIABLES | VARIABLES_OF_LOCAL | {"RAY_AUTH_TOKEN": _token()}
        changes = changes | {"NLPSEQ_CACHE_DIR": str(cache_dir().resolve()), HOME_OF_USER: str(Path.home())}
    with _environment(changes):
        yield


def _changed_home(address: str, home: str) -> AbstractContextManager[None]:
    """Set the home of the servers of Ray, for their settings and token."""
    return _environment({"HOME": home}) if address == LOCAL else nullcontext()


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Set variables, and restore them at the end."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _log_instead_of_output() -> Iterator[None]:
    """Send descriptor 1 to a log in the cache, and sys.stdout to where 1 led; see the head of this file."""
    before, kept = sys.stdout, os.dup(1)
    before.flush()
    with os.fdopen(kept, "w", encoding=before.encoding, errors=before.errors) as ours:
        try:
            file = cache_dir() / "ray.log"
            is_long = file.exists() and file.stat().st_size > MAX_LOG_BYTES
            with file.open("wb" if is_long else "ab") as log:
                os.dup2(log.fileno(), 1)
            sys.stdout = ours
            yield
        finally:
            ours.flush()
            os.dup2(kept, 1)
            sys.stdout = before


@contextmanager
def _kept_signals() -> Iterator[None]:
    """Restore the handler of SIGTERM at the end, because Ray replaces it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, kept)


@contextmanager
def _translated() -> Iterator[None]:
    """Raise errors of this package in place of errors of Ray."""
    import ray.exceptions as errors

    try:
        yield
    except errors.RayTaskError as error:
        if isinstance(error.cause, errors.RayError):  # of an argument of the task
            with _translated():
                raise error.cause from error
        raise error.cause from error
    except (errors.ObjectStoreFullError, errors.OutOfDiskError, errors.OutOfMemoryError) as error:
        raise ResourceError(
            f"cluster: memory or disk ran out ({_first_line(error)}). Use machines with more memory, fewer "
            "--workers, or smaller shards."
        ) from error
    except (errors.RayError, ConnectionError) as error:  # the second of Ray Client
        raise RunError(f"cluster: machines were lost ({_first_line(error)}). {_AGAIN}") from error


def _first_line(error: BaseException) -> str:
    lines = (str(error).strip() or type(error).__name__).splitlines()
    line = f"{lines[0]} {lines[-1].strip()}" if lines[0].endswith(":") and lines[1:] else lines[0]
    return line.rstrip(".")
