"""How far back gradients reach: the reason for gates.

Each step back multiplies a gradient by the Jacobian of the cell. Over many steps the gradient of a plain RNN
vanishes or explodes (Bengio, Simard & Frasconi 1994, doi:10.1109/72.279181). The Jacobian of an LSTM's cell
state is the forget gate alone, and a bias of 1 makes it start nearly open (Jozefowicz et al. 2015).

Letters: T time steps, B columns, D embedding, V vocabulary entries.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from nlpseq.lm.batches import Columns, Stream
from nlpseq.lm.model import RecurrentLM

__all__ = ["gradient_flow", "gradient_flow_in"]

MAX_STEPS = 200
MAX_COLUMNS = 16


def gradient_flow_in(model: RecurrentLM, stream: Stream) -> npt.NDArray[np.float64]:
    """Return (T,) the gradient_flow in a text, in up to 16 columns and 200 steps back.

    Raises DataError if the text is empty.
    """
    columns = Columns(stream, max(1, min(MAX_COLUMNS, len(stream) // MAX_STEPS)))
    window = columns.window(0, min(MAX_STEPS, columns.length))
    tokens_TB, targets_TB = (torch.from_numpy(each).to(model.output_bias.device) for each in window)
    return gradient_flow(model, tokens_TB, targets_TB[-1]).cpu().numpy()


@torch.enable_grad()
def gradient_flow(model: RecurrentLM, tokens_TB: Tensor, targets_B: Tensor) -> Tensor:
    """Return (T,) float64 norms of the gradient at the token read t steps before the last row.

    The loss predicts targets_B after the last row, from a zero state and without dropout. Gradients are taken
    at the embedded tokens; norms are averaged over columns.
    """
    embedded: list[Tensor] = []
    hook = model.embedding.register_forward_hook(lambda module, inputs, output: embedded.append(output))
    try:
        output = model(tokens_TB, model.initial_state(tokens_TB.shape[1]))
    finally:
        hook.remove()
    logits_BV = model.logits(output.features_TBD[-1])
    loss = F.cross_entropy(logits_BV, targets_B, reduction="sum")  # sum: columns stay independent
    (gradient_TBD,) = torch.autograd.grad(loss, embedded)
    gradient_TBD = gradient_TBD.double()  # because float32 squares underflow
    norms_TB: Tensor = torch.linalg.vector_norm(gradient_TBD, dim=2)
    return norms_TB.mean(1).flip(0)
