"""RecurrentLM: embedding, recurrent layers, softmax that shares the embedding.

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
    """What a pass over T time steps gives."""

    features_TBD: Tensor  # what the softmax sees
    hidden_TBH: Tensor  # of the last layer, before dropout
    dropped_TBH: Tensor  # the same after dropout
    state: State  # after the last step, still attached to the graph


class Recurrent(nn.Module):
    """One layer of PyTorch's fused cells, with weights that can be dropped for a pass."""

    def __init__(self, cell: str, inputs: int, hidden: int) -> None:
        super().__init__()
        self.cell = cell
        self.weight_ih = nn.Parameter(torch.empty(GATES[cell] * hidden, inputs))
        self.weight_hh = nn.Parameter(torch.empty(GATES[cell] * hidden, hidden))
        self.bias_ih = nn.Parameter(torch.zeros(GATES[cell] * hidden))
        self.bias_hh = nn.Parameter(torch.zeros(GATES[cell] * hidden))

    def forward(
        self, x_TBD: Tensor, state: Sequence[Tensor], noise: DropoutMasks | None, weight_drop: float | None
    ) -> tuple[Tensor, LayerState]:
        weight_hh = noise.weights(self.weight_hh, weight_drop) if noise else self.weight_hh
        weights = [self.weight_ih, weight_hh, self.bias_ih, self.bias_hh]
        context: AbstractContextManager[object] = nullcontext()
        if x_TBD.is_cuda and torch.is_autocast_enabled("cuda"):  # its cells would be fp16
            context = torch.autocast("cuda", enabled=False)
            x_TBD, *state = (each.bfloat16() for each in (x_TBD, *state))
            weights = [each.bfloat16() for each in weights]
        start = list(state) if self.cell == "lstm" else state[0]
        trains = torch.is_grad_enabled()  # only then is kept what the way back needs
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
        """(V, D): the embedding itself where it is tied (Press & Wolf 2017, arXiv:1608.05859)."""
        return self.embedding.weight if self.output_weight is None else self.output_weight

    def initial_state(self, batch_size: int) -> State:
        """Zeros: nothing was read yet."""
        parts = 2 if self.config.cell == "lstm" else 1
        zeros = self.output_bias.new_zeros(self.config.layers, parts, 1, batch_size, self.config.hidden)
        return [tuple(layer.unbind()) for layer in zeros]

    def forward(self, tokens_TB: Tensor, state: State, noise: DropoutMasks | None = None) -> Output:
        """Read tokens from a state on. Without noise nothing is dropped."""
        config = self.config
        x_TBH = self.embedding(tokens_TB)
        if noise:
            x_TBH = noise.words(x_TBH, tokens_TB, config.dropout_words, self.num_entries)
            x_TBH = noise.locked(x_TBH, config.dropout_input)
        end: State = []
        for i, (layer, start) in enumerate(zip(self.layers, state, strict=True)):
            if noise and i:
                x_TBH = noise.locked(x_TBH, config.dropout_hidden)
            hidden_TBH, layer_end = layer(x_TBH, start, noise, config.weight_drop)
            if config.layer_norm:
                hidden_TBH = self.norms[i](hidden_TBH)
            x_TBH = hidden_TBH + x_TBH if config.residual and i else hidden_TBH
            end.append(layer_end)
        dropped_TBH = noise.locked(x_TBH, config.dropout_output) if noise else x_TBH
        features_TBD = dropped_TBH if self.projection is None else self.projection(dropped_TBH)
        return Output(features_TBD.float(), x_TBH, dropped_TBH, end)

    def logits(self, features_ND: Tensor) -> Tensor:
        """(N, V): unnormalised log-probabilities of the next token."""
        return F.linear(features_ND, self.softmax_weight, self.output_bias)


def num_parameters(config: LMConfig, num_entries: int) -> int:
    """How many weights a RecurrentLM has, without making one."""
    inputs = [config.dim] + [config.hidden] * (config.layers - 1)
    cells = sum(GATES[config.cell] * config.hidden * (each + config.hidden + 2) for each in inputs)
    norms = 2 * config.hidden * config.layers if config.layer_norm else 0
    features = config.dim if config.tied else config.hidden
    projection = config.hidden * features if features != config.hidden else 0
    entries = config.dim + 1 + (0 if config.tied else features)
    return cells + norms + projection + entries * num_entries


def detach(state: State) -> State:
    """The same values, cut off from what led to them: where backpropagation through time is truncated."""
    return [tuple(each.detach() for each in layer) for layer in state]


@torch.no_grad()
def initialize(model: RecurrentLM) -> None:
    """Weights drawn from config.seed; matrices gate by gate, by the rule config.init names."""
    generator = torch.Generator().manual_seed(random_bits(model.config.seed, Stream.INIT, 0, 0) >> 1)
    for name, weight in model.named_parameters():
        if name in ("embedding.weight", "output_weight"):
            weight.uniform_(-EMBEDDING_RANGE, EMBEDDING_RANGE, generator=generator)
        elif weight.ndim == 2:
            rows = len(weight) if "projection" in name else model.config.hidden
            for first in range(0, len(weight), rows):
                _initialize_matrix(weight[first : first + rows], model.config.init, generator)
    if model.config.cell == "lstm":
        for layer in model.layers:
            forget = slice(model.config.hidden, 2 * model.config.hidden)  # gates: input, forget, cell, output
            layer.get_parameter("bias_ih")[forget] = model.config.forget_bias


@torch.no_grad()
def begin_at_frequencies(model: RecurrentLM, counts_V: Tensor) -> None:
    """Have a new model predict each entry by its share of the text, which it would have to learn first."""
    counts_V = counts_V.double().clamp_min(1)
    model.output_bias.copy_((counts_V / counts_V.sum()).log())


def _initialize_matrix(weight: Tensor, rule: str, generator: torch.Generator) -> None:
    if rule == "xavier":
        nn.init.xavier_uniform_(weight, generator=generator)
    elif rule == "orthogonal":
        nn.init.orthogonal_(weight, generator=generator)
    else:  # uniform, as PyTorch does for its own cells
        bound = weight.shape[1] ** -0.5
        weight.uniform_(-bound, bound, generator=generator)
