"""What the machine can do: device, threads, memory, and whether bf16 pays."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from nlpseq.config import LMConfig
from nlpseq.core import resources
from nlpseq.core.resources import available_cores
from nlpseq.errors import BackendUnavailable, ConfigError

Precision = Literal["fp32", "bf16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

TRIALS = 3  # of each precision
AGREEMENT = 0.05  # nats between the losses of both


def open_device(config: LMConfig) -> torch.device:
    """The device config names, made ready; BackendUnavailable where it cannot be used."""
    prepare_cpu(config.threads)
    # of cuDNN: weights that are dropped anew for every chunk cannot lie in one piece
    warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(config.device)
        torch.empty(1, device=device)
    except RuntimeError as error:
        raise BackendUnavailable(
            f"device {config.device!r} cannot be used: {str(error).splitlines()[0]}. Take --device cpu."
        ) from error
    except AssertionError as error:  # PyTorch built without CUDA
        raise BackendUnavailable(
            f"device {config.device!r} cannot be used: {error}. Take --device cpu."
        ) from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device is {config.device!r}. It must be auto, cpu, cuda or cuda:N.")
    return device


def prepare_cpu(threads: int | None) -> None:
    """Have PyTorch use so many threads, all cores without a number, and waste no time on memory."""
    torch.set_num_threads(threads or available_cores())
    resources.disable_heap_trim()


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Numbers next to zero are taken for it inside: arithmetic on them is many times slower."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class PrecisionTrial(NamedTuple):
    """A precision, how long a pass forward and back takes in it, and why it was chosen."""

    precision: Precision
    seconds: float
    reason: str


def choose_precision(
    wanted: Literal["auto", "fp32", "bf16"], loss_in: Callable[[Precision], Tensor], device: torch.device
) -> PrecisionTrial:
    """What is wanted; of "auto", bf16 where a few passes show that it works and is faster, else fp32."""
    if wanted != "auto":
        try:
            return PrecisionTrial(wanted, _trial(loss_in, wanted, device)[0], f"{wanted} was asked for")
        except RuntimeError as error:
            if _is_out_of_memory(error):
                raise
            reason = str(error).splitlines()[0]
            raise BackendUnavailable(
                f"precision {wanted} cannot be used here ({reason}). Take --precision auto."
            ) from error
    fp32_seconds, fp32_loss = _trial(loss_in, "fp32", device)
    try:
        bf16_seconds, bf16_loss = _trial(loss_in, "bf16", device)
    except RuntimeError as error:  # a processor whose LSTM has no bf16 raises
        if _is_out_of_memory(error):
            raise
        return PrecisionTrial("fp32", fp32_seconds, f"bf16 does not work here ({str(error).splitlines()[0]})")
    if not abs(bf16_loss - fp32_loss) < AGREEMENT:
        reason = f"bf16 gives a loss of {bf16_loss:.3f}, fp32 of {fp32_loss:.3f}"
        return PrecisionTrial("fp32", fp32_seconds, reason)
    reason = f"bf16 is {fp32_seconds / bf16_seconds:.2f} times as fast as fp32"
    return PrecisionTrial(
        "bf16" if bf16_seconds < fp32_seconds else "fp32", min(bf16_seconds, fp32_seconds), reason
    )


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)


def _trial(
    loss_in: Callable[[Precision], Tensor], precision: Precision, device: torch.device
) -> tuple[float, float]:
    """Seconds of the fastest pass forward and back, and the loss."""
    seconds = []
    for _ in range(1 + TRIALS):  # the first one warms up
        started = time.perf_counter()
        loss = loss_in(precision)
        loss.backward()  # type: ignore[no-untyped-call]
        value = loss.item()  # waits for the device
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:]), value


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """The context in which matrices are multiplied in this precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
