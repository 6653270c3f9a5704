"""Device, threads and precision of the language model."""

import time
import warnings
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from nlpseq.config import LMConfig
from nlpseq.core import resources
from nlpseq.core.resources import available_cores
from nlpseq.errors import BackendUnavailable, ConfigError

__all__ = ["DTYPES", "Precision", "PrecisionTrial", "choose_precision", "open_device"]

Precision = Literal["fp32", "bf16"]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

TRIALS = 3  # per precision
MAX_LOSS_GAP = 0.05  # nats between fp32 and bf16


def open_device(config: LMConfig) -> torch.device:
    """Prepare the threads and return the device that config names.

    Raises BackendUnavailable if the device cannot be used, ConfigError if the name is unknown.
    """
    torch.set_num_threads(config.threads or available_cores())
    resources.disable_heap_trim()
    # cuDNN warns because DropConnect makes new recurrent weights for each chunk
    warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(config.device)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # AssertionError: PyTorch was built without CUDA
        reason = str(error).splitlines()[0]
        raise BackendUnavailable(
            f"device {config.device!r}: cannot be used ({reason}). Use --device cpu."
        ) from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"device {config.device!r}: not supported. Use --device auto, cpu, cuda or cuda:N.")
    return device


class PrecisionTrial(NamedTuple):
    """The chosen precision, the seconds of a forward and backward pass, and the reason of the choice."""

    precision: Precision
    seconds: float
    reason: str


def choose_precision(
    wanted: Literal["auto", "fp32", "bf16"], loss_in: Callable[[Precision], Tensor], device: torch.device
) -> PrecisionTrial:
    """Time the wanted precision; for "auto", time both and take bf16 if faster.

    loss_in: computes the loss of a chunk in a precision. With "auto", bf16 must also give nearly the loss of
    fp32.
    Raises BackendUnavailable if a precision named by the user does not work.
    """
    trials: dict[Precision, tuple[float, float]] = {}
    tried: tuple[Precision, ...] = ("fp32", "bf16") if wanted == "auto" else (wanted,)
    for precision in tried:
        try:
            trials[precision] = _time_passes(loss_in, precision)
        except RuntimeError as error:  # some processors have no bf16 LSTM
            is_out_of_memory = isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)
            reason = str(error).splitlines()[0]
            if is_out_of_memory or (wanted == "auto" and precision == "fp32"):
                raise
            if wanted == "auto":
                return PrecisionTrial("fp32", trials["fp32"][0], f"bf16 does not work here ({reason})")
            raise BackendUnavailable(
                f"precision {wanted}: does not work on {device} ({reason}). Use --precision auto."
            ) from error
    if wanted != "auto":
        return PrecisionTrial(wanted, trials[wanted][0], f"{wanted} was requested")
    (fp32_seconds, fp32_loss), (bf16_seconds, bf16_loss) = trials["fp32"], trials["bf16"]
    if not abs(bf16_loss - fp32_loss) < MAX_LOSS_GAP:
        reason = f"bf16 gives a loss of {bf16_loss:.3f}, fp32 of {fp32_loss:.3f}"
        return PrecisionTrial("fp32", fp32_seconds, reason)
    reason = f"bf16 is {fp32_seconds / bf16_seconds:.2f} times as fast as fp32"
    return PrecisionTrial(
        "bf16" if bf16_seconds < fp32_seconds else "fp32", min(bf16_seconds, fp32_seconds), reason
    )


def _time_passes(loss_in: Callable[[Precision], Tensor], precision: Precision) -> tuple[float, float]:
    """Return the seconds of the fastest forward and backward pass, and the loss."""
    seconds = []
    for _ in range(1 + TRIALS):  # the first pass warms up
        started = time.perf_counter()
        loss = loss_in(precision)
        loss.backward()  # type: ignore[no-untyped-call]
        value = loss.item()  # because a GPU runs asynchronously: wait for the pass to end
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:]), value
