"""How far back gradients reach: what gates are for, made visible.

A gradient that goes back one step is multiplied by the Jacobian of the cell. Over many steps a plain RNN's
becomes tiny or huge (Bengio, Simard & Frasconi 1994, doi:10.1109/72.279181). An LSTM carries a cell whose
Jacobian is the forget gate alone, and with a bias of 1 that begins nearly open (Jozefowicz et al. 2015).

Letters: T time steps, B columns, D embedding.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlpseq.errors import DataError
from nlpseq.lm.batches import Columns, Stream
from nlpseq.lm.model import RecurrentLM

MOST_STEPS = 200
COLUMNS = 16


def gradient_flow_in(model: RecurrentLM, stream: Stream) -> npt.NDArray[np.float64]:
    """(T,) of gradient_flow on a text, at 16 places and up to 200 steps back; fewer in a short one."""
    if not len(stream):
        raise DataError("there is no text to read. Name a text with at least one word.")
    steps = min(MOST_STEPS, len(stream))
    columns = Columns(stream, min(COLUMNS, len(stream) // steps))
    window = columns.window(0, steps)
    tokens_TB, targets_TB = (torch.from_numpy(each).to(model.output_bias.device) for each in window)
    return gradient_flow(model, tokens_TB, targets_TB[-1]).cpu().numpy()


@torch.enable_grad()
def gradient_flow(model: RecurrentLM, tokens_TB: Tensor, targets_B: Tensor) -> Tensor:
    """(T,) length of the gradient that reaches the token read t steps before the last one, float64.

    The loss is that of predicting targets_B after the last row, from the zero state on and with nothing
    dropped; the gradient that of the token's embedding, as it was read there. Mean of the columns.
    """
    read: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], embedded_TBD: Tensor) -> None:
        read.append(embedded_TBD)

    hook = model.embedding.register_forward_hook(keep)
    try:
        output = model(tokens_TB, model.initial_state(tokens_TB.shape[1]))
    finally:
        hook.remove()
    logits_BV = model.logits(output.features_TBD[-1])
    loss = F.cross_entropy(logits_BV, targets_B, reduction="sum")  # no column touches another's gradient
    (gradient_TBD,) = torch.autograd.grad(loss, read)
    gradient_TBD = gradient_TBD.double()  # squares of tiny floats are 0
    lengths_TB: Tensor = torch.linalg.vector_norm(gradient_TBD, dim=2)
    return lengths_TB.mean(1).flip(0)
