"""The baseline of the language model: a training loop after PyTorch's word_language_model example.

Two LSTM layers of 200 units, tied softmax over all words, dropout .2, plain SGD at rate 20, divided by 4
if validation does not improve, clipping at .25, 20 columns, 35 time steps, fp32. Prints one JSON line.

lm_baseline.py '{"data": FOLDER, "epochs": 6, "steps": null, "threads": 2, "seed": 1}'
"""

import json
import math
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

HIDDEN, LAYERS, DROPOUT, RATE, CLIP, COLUMNS, EVAL_COLUMNS, BPTT = 200, 2, 0.2, 20.0, 0.25, 20, 10, 35


class Model(nn.Module):
    def __init__(self, num_words: int) -> None:
        super().__init__()
        self.drop = nn.Dropout(DROPOUT)
        self.encoder = nn.Embedding(num_words, HIDDEN)
        self.rnn = nn.LSTM(HIDDEN, HIDDEN, LAYERS, dropout=DROPOUT)
        self.decoder = nn.Linear(HIDDEN, num_words)
        self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, tokens: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        hidden, state = self.rnn(self.drop(self.encoder(tokens)), state)
        logits = self.decoder(self.drop(hidden))
        return torch.log_softmax(logits.flatten(0, 1), dim=1), state


def read(folder: str) -> tuple[list[Tensor], int]:
    """Return the three files as word ids with <eos> after every line, and the number of words."""
    ids: dict[str, int] = {}
    texts = []
    for name in ("train", "valid", "test"):
        words = Path(folder, f"ptb.{name}.txt").read_text().replace("\n", " <eos> ").split()
        texts.append(torch.tensor([ids.setdefault(word, len(ids)) for word in words]))
    return texts, len(ids)


def fold(text: Tensor, columns: int) -> Tensor:
    length = len(text) // columns
    return text[: length * columns].view(columns, length).t().contiguous()


def zero_state(columns: int) -> tuple[Tensor, Tensor]:
    return torch.zeros(LAYERS, columns, HIDDEN), torch.zeros(LAYERS, columns, HIDDEN)


def train_epoch(model: Model, text: Tensor, rate: float) -> None:
    model.train()
    state = zero_state(text.shape[1])
    for start in range(0, len(text) - 1, BPTT):
        rows = min(BPTT, len(text) - 1 - start)
        state = (state[0].detach(), state[1].detach())
        model.zero_grad()
        log_probs, state = model(text[start : start + rows], state)
        targets = text[start + 1 : start + 1 + rows].flatten()
        nn.functional.nll_loss(log_probs, targets).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for weight in model.parameters():
            assert weight.grad is not None
            weight.data.add_(weight.grad, alpha=-rate)


@torch.no_grad()
def perplexity(model: Model, text: Tensor) -> float:
    model.eval()
    state, total = zero_state(text.shape[1]), 0.0
    for start in range(0, len(text) - 1, BPTT):
        rows = min(BPTT, len(text) - 1 - start)
        log_probs, state = model(text[start : start + rows], state)
        targets = text[start + 1 : start + 1 + rows].flatten()
        total += rows * float(nn.functional.nll_loss(log_probs, targets))
    return math.exp(total / (len(text) - 1))


def main() -> None:
    job = json.loads(sys.argv[1])
    torch.set_num_threads(job["threads"])
    torch.manual_seed(job["seed"])
    (train, valid, test), num_words = read(job["data"])
    model, rate = Model(num_words), RATE
    best, best_weights, valids, seconds, training = math.inf, model.state_dict(), [], [], 0.0
    started = time.perf_counter()
    columns = fold(train, COLUMNS)
    if job["steps"]:
        columns = columns[: 1 + job["steps"] * BPTT]
    for _ in range(job["epochs"]):
        epoch_started = time.perf_counter()
        train_epoch(model, columns, rate)
        training += time.perf_counter() - epoch_started
        valids.append(perplexity(model, fold(valid, EVAL_COLUMNS)))
        seconds.append(time.perf_counter() - started)
        if valids[-1] >= best:
            rate /= 4
        else:
            best, best_weights = valids[-1], {name: each.clone() for name, each in model.state_dict().items()}
    model.load_state_dict(best_weights)
    tests = perplexity(model, fold(test, EVAL_COLUMNS)) if job["epochs"] > 1 else None
    speed = job["epochs"] * (columns.numel() - COLUMNS) / training
    print(json.dumps({"valid": valids, "seconds": seconds, "test": tests, "tokens_per_second": speed}))


if __name__ == "__main__":
    main()
