"""Naive code for the language model: plain loops over time steps, layers and pairs of positions.

Letters: T time steps, B columns, N predictions, V vocabulary entries, D embedding, H hidden units.
"""

import copy
import math

import numpy as np
import torch
from torch.nn import functional as F

from nlpseq.lm.model import detach


def lstm_step(x_BD, state, weights):
    """Return the next (h, c) of an LSTM (Hochreiter & Schmidhuber 1997, with forget gate)."""
    w_ih, w_hh, b_ih, b_hh = weights
    h_BH, c_BH = state
    i, f, g, o = (x_BD @ w_ih.T + b_ih + h_BH @ w_hh.T + b_hh).chunk(4, 1)
    c_BH = torch.sigmoid(f) * c_BH + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c_BH), c_BH


def gru_step(x_BD, state, weights):
    """Return the next (h,) of a GRU with PyTorch's reset gate (Cho et al. 2014, arXiv:1406.1078)."""
    w_ih, w_hh, b_ih, b_hh = weights
    (h_BH,) = state
    reset_x, update_x, new_x = (x_BD @ w_ih.T + b_ih).chunk(3, 1)
    reset_h, update_h, new_h = (h_BH @ w_hh.T + b_hh).chunk(3, 1)
    new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
    update = torch.sigmoid(update_x + update_h)
    return ((1 - update) * new + update * h_BH,)


def rnn_step(x_BD, state, weights):
    """Return the next (h,) of a plain RNN (Elman 1990)."""
    w_ih, w_hh, b_ih, b_hh = weights
    return (torch.tanh(x_BD @ w_ih.T + b_ih + state[0] @ w_hh.T + b_hh),)


STEPS = {"lstm": lstm_step, "gru": gru_step, "rnn": rnn_step}


def slow_logits(model, tokens_TB, state):
    """Return (T, B, V) logits and the final state by loops over steps and layers."""
    state, logits = [tuple(part[0] for part in layer) for layer in state], []
    for tokens_B in tokens_TB:
        x_BD = model.embedding.weight[tokens_B]
        for i, layer in enumerate(model.layers):
            weights = layer.weight_ih, layer.weight_hh, layer.bias_ih, layer.bias_hh
            state[i] = STEPS[layer.cell](x_BD, state[i], weights)
            x_BD = state[i][0]
        if model.projection is not None:
            x_BD = x_BD @ model.projection.weight.T
        logits.append(x_BD @ model.softmax_weight.T + model.output_bias)
    return torch.stack(logits), state


def text_ids(data):
    """Return the ids of a dataset as a list, with <eos> after each sentence."""
    ids, eos = [], len(data.vocab) - 1
    for start, stop in zip(data.sentences[:-1], data.sentences[1:], strict=True):
        ids += [*data.tokens[start:stop].tolist(), eos]
    return ids


@torch.no_grad()
def token_log_probs(model, ids):
    """Return (N,) log-probabilities, one pass per token, starting from <eos> and a zero state."""
    state, before, found = model.initial_state(1), model.num_entries - 1, []
    for token in ids:
        output = model(torch.tensor([[before]]), state)
        state, before = output.state, token
        found.append(float(F.log_softmax(model.logits(output.features_TBD[0]), 1)[0, token]))
    return np.array(found)


@torch.no_grad()
def neural_cache_probs(model, stream, settings):
    """Return (N, V) float64 distributions by model and neural cache, pair by pair."""
    window, theta, cache_weight = settings
    words = stream.read(0, len(stream))
    tokens_TB = torch.from_numpy(stream.read(-1, len(stream) - 1)[:, None])
    output = model(tokens_TB, model.initial_state(1))
    hidden_NH = output.hidden_TBH[:, 0].double().numpy()
    model_NV = torch.softmax(model.logits(output.features_TBD[:, 0]).double(), 1).numpy()
    mixed_NV = model_NV.copy()
    for t in range(1, len(words)):
        positions = range(max(0, t - window), t)
        scores = [theta * float(hidden_NH[t] @ hidden_NH[i]) for i in positions]
        total = sum(math.exp(each) for each in scores)
        mixed_NV[t] *= 1 - cache_weight
        for i, score in zip(positions, scores, strict=True):
            mixed_NV[t, words[i]] += cache_weight * math.exp(score) / total
    return mixed_NV


def dynamic_evaluation_log_probs(model, stream, statistics, settings):
    """Return (N,) log-probabilities of dynamic evaluation, updating a copy weight by weight."""
    model = copy.deepcopy(model)
    trained = [weight.detach().clone() for weight in model.parameters()]
    roots = [each.sqrt() for each in statistics]
    mean = sum(each.mean() for each in roots) / len(roots)
    state, found = model.initial_state(1), []
    for start in range(0, len(stream), settings.rows):
        words = torch.from_numpy(stream.read(start - 1, min(start + settings.rows, len(stream))))
        output = model(words[:-1, None], state)
        logits_TV = model.logits(output.features_TBD[:, 0])
        log_probs_T = F.log_softmax(logits_TV, 1)[range(len(words) - 1), words[1:]]
        model.zero_grad()
        (-log_probs_T.mean()).backward()
        for weight, first, root in zip(model.parameters(), trained, roots, strict=True):
            step = -settings.learning_rate * weight.grad / (root + mean)
            pull = (settings.decay * root / mean).clamp(max=1) * (first - weight)
            weight.data += step + pull
        found += log_probs_T.tolist()
        state = detach(output.state)
    return np.array(found)


def mean_squared_gradients(model, stream, count, rows, context):
    """Return each weight's mean squared gradient over `count` chunks spread over the stream."""
    sums = [torch.zeros_like(each) for each in model.parameters()]
    for number in range(count):
        start = number * len(stream) // count
        before = torch.from_numpy(stream.read(start - context - 1, start - 1))[:, None]
        words = torch.from_numpy(stream.read(start - 1, start + rows))
        state = detach(model(before, model.initial_state(1)).state)
        output = model(words[:-1, None], state)
        model.zero_grad()
        F.cross_entropy(model.logits(output.features_TBD[:, 0]), words[1:]).backward()
        for total, weight in zip(sums, model.parameters(), strict=True):
            total += weight.grad.square() / count
    model.zero_grad()
    return sums
