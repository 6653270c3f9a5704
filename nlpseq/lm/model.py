"""The network: embedding, recurrent layers, and a softmax that shares the embedding matrix.

    tokens ─> embedding ─> layer 1 ─> ... ─> layer n ─> projection ─> embedding transposed ─> logits
                 V x D        D x H              H x H        H x D           D x V

Letters: V vocabulary entries, T time steps, B columns, D embedding, H hidden units, G gates (4, 3 or 1).
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlpseq.config import LMConfig
from nlpseq.core.counter_rng import Stream, random_bits
from nlpseq.lm.dropout import DropoutMasks

__all__ = ["GATES", "LayerState", "Output", "Recurrent", "RecurrentLM", "State", "detach"]
__all__ += ["initialize", "num_parameters"]

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
CELLS: dict[str, Callable[..., tuple[Tensor, ...]]] = {
    "lstm": torch.lstm,
    "gru": torch.gru,
    "rnn": torch.rnn_tanh,
}
EMBEDDING_RANGE = 0.1  # as in Zaremba et al. 2014, arXiv:1409.2329

LayerState = tuple[Tensor, ...]  # h, and c of an LSTM: each (1, B, H)
State = list[LayerState]


class Output(NamedTuple):
    """The result of a pass over T time steps."""

    features_TBD: Tensor  # input of the softmax
    hidden_TBH: Tensor  # output of the last layer, before dropout
    dropped_TBH: Tensor  # output of the last layer, after dropout
    state: State  # after the last step, attached to the graph


class Recurrent(nn.Module):
    """One layer of PyTorch's fused cells, with optional DropConnect."""

    def __init__(self, cell: str, inputs: int, hidden: int) -> None:
        super().__init__()
        self.cell = cell
        self.weight_ih = nn.Parameter(torch.empty(GATES[cell] * hidden, inputs))
        self.weight_hh = nn.Parameter(torch.empty(GATES[cell] * hidden, hidden))
        self.bias_ih = nn.Parameter(torch.zeros(GATES[cell] * hidden))
        self.bias_hh = nn.Parameter(torch.zeros(GATES[cell] * hidden))

    def forward(
        self, x_TBD: Tensor, state: Sequence[Tensor], masks: DropoutMasks | None, weight_drop: float | None
    ) -> tuple[Tensor, LayerState]:
        """Return the hidden states (T, B, H) and the state after the last step, both float32."""
        weight_hh: Tensor = self.weight_hh
        if masks and weight_drop:  # DropConnect (Merity et al. 2017, arXiv:1708.02182)
            weight_hh = weight_hh * masks.mask(weight_drop, *weight_hh.shape)
        weights = [self.weight_ih, weight_hh, self.bias_ih, self.bias_hh]
        context: AbstractContextManager[object] = nullcontext()
        if x_TBD.is_cuda and torch.is_autocast_enabled("cuda"):  # because autocast runs CUDA cells in fp16
            context = torch.autocast("cuda", enabled=False)
            x_TBD, *state = (each.bfloat16() for each in (x_TBD, *state))
            weights = [each.bfloat16() for each in weights]
        start = list(state) if self.cell == "lstm" else state[0]
        trains = torch.is_grad_enabled()  # because cells keep their activations only for a backward pass
        with context:
            hidden_TBH, *end = CELLS[self.cell](x_TBD, start, weights, True, 1, 0.0, trains, False, False)
        return hidden_TBH.float(), tuple(each.float() for each in end)


class RecurrentLM(nn.Module):
    """A recurrent network that predicts the next token from all before it."""

    def __init__(self, config: LMConfig, num_entries: int) -> None:
        super().__init__()
        self.config = config
        self.num_entries = num_entries
        self.embedding = nn.Embedding(num_entries, config.dim)
        sizes = [config.dim] + [config.hidden] * config.layers
        self.layers = nn.ModuleList(
            Recurrent(config.cell, sizes[i], config.hidden) for i in range(config.layers)
        )
        norms = config.layers if config.layer_norm else 0
        self.norms = nn.ModuleList(nn.LayerNorm(config.hidden) for _ in range(norms))
        features = config.dim if config.tied else config.hidden
        self.projection = (
            nn.Linear(config.hidden, features, bias=False) if features != config.hidden else None
        )
        self.output_weight = None if config.tied else nn.Parameter(torch.empty(num_entries, features))
        self.output_bias = nn.Parameter(torch.zeros(num_entries))
        initialize(self)

    @property
    def softmax_weight(self) -> Tensor:
        """Return (V, D), the embedding if tied (Press & Wolf 2017, arXiv:1608.05859)."""
        return self.embedding.weight if self.output_weight is None else self.output_weight

    def initial_state(self, batch_size: int) -> State:
        """Return zeros, the state before the first token."""
        parts = 2 if self.config.cell == "lstm" else 1
        zeros = self.output_bias.new_zeros(self.config.layers, parts, 1, batch_size, self.config.hidden)
        return [tuple(layer.unbind()) for layer in zeros]

    def forward(self, tokens_TB: Tensor, state: State, masks: DropoutMasks | None = None) -> Output:
        """Read tokens, starting from a state; without masks, without dropout."""
        config = self.config
        x_TBH = self.embedding(tokens_TB)
        if masks:
            if config.dropout_words:  # of entries, at all their positions (Gal & Ghahramani 2016)
                x_TBH = x_TBH * masks.mask(config.dropout_words, self.num_entries)[tokens_TB].unsqueeze(-1)
            x_TBH = masks.variational(x_TBH, config.dropout_input)
        end: State = []
        for i, (layer, start) in enumerate(zip(self.layers, state, strict=True)):
            if masks and i:
                x_TBH = masks.variational(x_TBH, config.dropout_hidden)
            hidden_TBH, layer_end = layer(x_TBH, start, masks, config.weight_drop)
            if config.layer_norm:
                hidden_TBH = self.norms[i](hidden_TBH)
            x_TBH = hidden_TBH + x_TBH if config.residual and i else hidden_TBH
            end.append(layer_end)
        dropped_TBH = masks.variational(x_TBH, config.dropout_output) if masks else x_TBH
        features_TBD = dropped_TBH if self.projection is None else self.projection(dropped_TBH)
        return Output(features_TBD.float(), x_TBH, dropped_TBH, end)

    def logits(self, features_ND: Tensor) -> Tensor:
        """Return (N, V) unnormalized log-probabilities of the next token."""
        return F.linear(features_ND, self.softmax_weight, self.output_bias)


def num_parameters(config: LMConfig, num_entries: int) -> int:
    """Return the number of weights of a RecurrentLM without building one."""
    inputs = [config.dim] + [config.hidden] * (config.layers - 1)
    cells = sum(GATES[config.cell] * config.hidden * (each + config.hidden + 2) for each in inputs)
    norms = 2 * config.hidden * config.layers if config.layer_norm else 0
    features = config.dim if config.tied else config.hidden
    projection = config.hidden * features if features != config.hidden else 0
    entries = config.dim + 1 + (0 if config.tied else features)
    return cells + norms + projection + entries * num_entries


def detach(state: State) -> State:
    """Cut a state off its graph, to truncate backpropagation through time."""
    return [tuple(each.detach() for each in layer) for layer in state]


@torch.no_grad()
def initialize(model: RecurrentLM) -> None:
    """Draw the weights from config.seed; matrices gate by gate, by the rule config.init."""
    generator = torch.Generator().manual_seed(random_bits(model.config.seed, Stream.INIT, 0, 0) >> 1)
    for name, weight in model.named_parameters():
        if name in ("embedding.weight", "output_weight"):
            weight.uniform_(-EMBEDDING_RANGE, EMBEDDING_RANGE, generator=generator)
        elif weight.ndim == 2:
            rows = len(weight) if "projection" in name else model.config.hidden
            for gate in torch.split(weight, rows):
                _initialize_matrix(gate, model.config.init, generator)
    if model.config.cell == "lstm":
        for layer in model.layers:
            forget = slice(model.config.hidden, 2 * model.config.hidden)  # gates: input, forget, cell, output
            layer.get_parameter("bias_ih")[forget] = model.config.forget_bias


def _initialize_matrix(weight: Tensor, rule: str, generator: torch.Generator) -> None:
    if rule == "xavier":
        nn.init.xavier_uniform_(weight, generator=generator)
    elif rule == "orthogonal":
        nn.init.orthogonal_(weight, generator=generator)
    else:  # uniform, the default of PyTorch's cells
        bound = weight.shape[1] ** -0.5
        weight.uniform_(-bound, bound, generator=generator)
