"""LanguageModel: a trained network with its vocabulary."""

from collections.abc import Sequence
from pathlib import Path

from nlpseq.config import Length, Sampling
from nlpseq.dataset.token_dataset import TokenDataset
from nlpseq.dataset.vocab import Vocab
from nlpseq.errors import ArtifactError
from nlpseq.lm.batches import Stream
from nlpseq.lm.card import model_card
from nlpseq.lm.checkpoint import MODEL, Checkpoint, Tensors, check_shapes, model_config
from nlpseq.lm.evaluate import perplexity_of, text_log_probs
from nlpseq.lm.generate import generate
from nlpseq.lm.model import RecurrentLM
from nlpseq.lm.score import SentenceScore, score_sentences
from nlpseq.storage import artifact

__all__ = ["LanguageModel"]


class LanguageModel:
    """Predict the next token from all tokens before.

    model: the network, on its device. vocab: its entries, <unk> and <eos> last. meta, metrics: settings and
    measurements of the training, stored with the model. config, text_config: settings of the network and its
    training, and of tokenization.
    """

    def __init__(
        self, model: RecurrentLM, vocab: Vocab, meta: artifact.Meta, metrics: Sequence[artifact.Meta] = ()
    ) -> None:
        self.model, self.config = model.eval(), model.config
        self.vocab, self.meta, self.metrics = vocab, meta, metrics
        self.text_config = model_config(Path("the model"), meta)[1]

    def __repr__(self) -> str:
        size = f"{self.vocab.num_words:,} words, {self.config.layers} x {self.config.hidden:,}"
        return f"LanguageModel({size}, {self.config.cell!r}, {self.meta.get('corpus')!r})"

    @classmethod
    def load(cls, path: Path | str, *, verify: bool = True) -> "LanguageModel":
        """Load the model of a folder. A checkpoint gives the best weights so far.

        Raises ArtifactError if the folder is corrupt.
        """
        path = Path(path)
        return cls.from_checkpoint(path, Checkpoint.load(path, verify=verify))

    @classmethod
    def from_checkpoint(cls, path: Path, checkpoint: Checkpoint) -> "LanguageModel":
        """Build the model of a checkpoint; `path` is for messages."""
        config, _ = model_config(path, checkpoint.meta)
        model = RecurrentLM(config, len(checkpoint.vocab))
        check_shapes(dict(model.named_parameters()), checkpoint.model, path / MODEL)
        model.load_state_dict(checkpoint.model)
        return cls(model, checkpoint.vocab, checkpoint.meta, checkpoint.metrics)

    def save(self, path: Path | str, *, force: bool = False) -> None:
        """Save the model as a folder with a model card."""
        weights: Tensors = dict(self.model.named_parameters())
        card = model_card(self.meta, self.vocab, self.metrics)
        Checkpoint(self.meta, self.vocab, weights, self.metrics, card=card).save(Path(path), force=force)

    def perplexity(self, data: TokenDataset) -> float:
        """Return exp of the mean log-loss per token of a dataset, <eos> included."""
        self.check_vocab(data)
        return perplexity_of(-float(text_log_probs(self.model, Stream(data)).mean()))

    def score(self, sentence: str) -> SentenceScore:
        """Return the log-probabilities of one sentence and its unknown words."""
        return next(score_sentences(self, [sentence]))

    def generate(
        self, prompt: str = "", *, num_tokens: int = 100, temperature: float = 1.0, seed: int = 1
    ) -> str:
        """Return the prompt with a sampled continuation; nlpseq.lm.generate has more settings."""
        length, sampling = Length(int(num_tokens)), Sampling(temperature=float(temperature))
        return generate(self, prompt, length=length, sampling=sampling, seed=seed)[0]

    def check_vocab(self, data: TokenDataset) -> None:
        """Raise ArtifactError if a dataset was encoded with another vocabulary."""
        if data.vocab.digest != self.vocab.digest:
            raise ArtifactError(
                f"{data.name}: was not encoded with the vocabulary of this model. "
                "Name the text file instead; the command encodes the text with that vocabulary."
            )
