"""Run functions as tasks in threads of this process, or on a cluster by distributed.ray_engine.RayTasks.

A task may take the results of earlier tasks as arguments, by reference. References are waited for in the
thread of the task, so tasks must be submitted in an order in which each comes after its arguments.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

__all__ = ["Tasks", "ThreadTasks", "map_in_order", "submit_in_turn"]

Result = TypeVar("Result")


class Tasks(Protocol):
    """Tasks on some workers."""

    workers: int

    def describe(self) -> dict[str, Any]:
        """Return the engine and the number of workers, for meta.json."""

    def put(self, value: Any) -> Any:
        """Return a reference to a value; a task with the reference as an argument gets the value."""

    def submit(self, function: Callable[..., Any], *args: Any, results: int | None = None) -> Any:
        """Return a reference to the result of a task, or references to each of its `results` results."""

    def get(self, references: Any) -> Any:
        """Wait for a task or a list of tasks, and return their results."""

    def wait(self, references: list[Any], most: int) -> list[Any]:
        """Wait until at most `most` of some tasks run, and return the running ones."""


def map_in_order(
    tasks: Tasks, function: Callable[..., Result], items: Iterable[tuple[Any, ...]]
) -> Iterator[Result]:
    """Run a function for each tuple of arguments, and yield the results in order."""
    waiting, running = deque[Any](), list[Any]()
    for arguments in items:
        running = tasks.wait(running, _most_waiting(tasks))
        reference = tasks.submit(function, *arguments)
        waiting.append(reference)
        running.append(reference)
        while waiting[0] not in running:
            yield tasks.get(waiting.popleft())
    while waiting:
        yield tasks.get(waiting.popleft())


def submit_in_turn(
    tasks: Tasks, function: Callable[..., Any], items: Iterable[tuple[Any, ...]], results: int
) -> Iterator[list[Any]]:
    """Submit a function for each tuple of arguments, and yield references to its `results` results."""
    running = list[Any]()
    for arguments in items:
        running = tasks.wait(running, _most_waiting(tasks))
        references = tasks.submit(function, *arguments, results=results)
        running.append(references[0])
        yield references


def _most_waiting(tasks: Tasks) -> int:
    """Return how many tasks may be unfinished when the next is submitted.

    With it there are two for each worker, so that no worker waits for its next task.
    """
    return 2 * tasks.workers - 1


@dataclass(frozen=True, eq=False)
class _Reference:
    """One result of a task, which the list has once the task is done."""

    future: Future[None]
    found: list[Any]

    def result(self) -> Any:
        self.future.result()
        return self.found[0]


def _value(each: Any) -> Any:
    return each.result() if isinstance(each, _Reference) else each


class ThreadTasks:
    """Tasks in threads; see Tasks."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool = ThreadPoolExecutor(workers)

    def describe(self) -> dict[str, Any]:
        """Return the engine and the number of workers."""
        return {"engine": "threads", "workers": self.workers}

    def put(self, value: Any) -> Any:
        """Return the value."""
        return value

    def submit(self, function: Callable[..., Any], *args: Any, results: int | None = None) -> Any:
        """Return a reference to the result, or references to each of its results."""
        found = [list[Any]() for _ in range(results or 1)]  # apart, so that each is freed alone

        def run() -> None:
            values = function(*map(_value, args))
            for place, value in zip(found, [values] if results is None else values, strict=True):
                place.append(value)

        future = self._pool.submit(run)
        references = [_Reference(future, place) for place in found]
        return references[0] if results is None else references

    def get(self, references: Any) -> Any:
        """Wait and return the results."""
        return [*map(_value, references)] if isinstance(references, list) else _value(references)

    def wait(self, references: list[Any], most: int) -> list[Any]:
        """Wait until at most `most` of some tasks run, and return the running ones."""
        running = [each for each in references if not each.future.done()]
        while len(running) > most:
            wait([each.future for each in running], return_when=FIRST_COMPLETED)
            running = [each for each in running if not each.future.done()]
        return running

    def close(self) -> None:
        """End the threads; leave out tasks that have not begun."""
        self._pool.shutdown(cancel_futures=True)
