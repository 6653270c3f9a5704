"""Byte-level BPE on the command line: corpora, models that carry their tokenizer, text in any bytes."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import nlpseq as ns
from nlpseq.config import Length
from nlpseq.lm.generate import generate

TEXT = b"the king of the hill, the king's cat sat\nna\xc3\xafve caf\xe9 \xff\xfe the cat's hat\r\n" * 40
BPE = ("--tokenizer", "bpe", "--vocab-size", "280")


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_bytes(TEXT)
    return Path("text.txt")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Return a folder with a language model and vectors whose corpus is gone."""
    folder = tmp_path_factory.mktemp("bpe")
    (folder / "text.txt").write_bytes(TEXT)
    data = ns.preprocess(
        ns.open_corpus(folder / "text.txt"),
        ns.TextConfig(tokenizer="bpe", vocab_size=290, valid_share=0.2),
        folder / "text.tokens",
    )
    config = ns.LMConfig(hidden=8, dim=8, epochs=1, batch_size=4, bptt=8, precision="fp32", threads=1)
    ns.train_lm(data, config).save(folder / "text.lm")
    ns.train_word2vec(data, ns.Word2VecConfig(dim=4, epochs=1, threads=1)).save(folder / "text.w2v")
    shutil.rmtree(folder / "text.tokens")
    (folder / "text.txt").unlink()
    return folder


@pytest.mark.slow
def test_tokenizer_file_gives_the_same_folder(run_cli, text: Path) -> None:
    first = run_cli("preprocess", text, *BPE, "-o", "a.tokens")
    assert first.exit_code == 0, first.stderr
    assert "vocabulary: 280 subword tokens; " in first.stderr
    shutil.copy("a.tokens/tokenizer.json", "my.json")
    again = run_cli("preprocess", text, "--tokenizer", "my.json", "-o", "b.tokens")
    assert again.exit_code == 0, again.stderr
    for name in ("tokens.npy", "sentences.npy", "vocab.tsv", "tokenizer.json"):
        assert Path("a.tokens", name).read_bytes() == Path("b.tokens", name).read_bytes()


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((*BPE, "--lower"), 2, "--lower: is False with the tokenizer bpe, not True. Leave out"),
        ((*BPE, "--min-count", "5"), 2, "--min-count: is 1 with the tokenizer bpe, not 5."),
        ((*BPE, "--max-vocab", "9"), 2, "--max-vocab: 9 is not valid."),
        (("--vocab-size", "8000"), 2, "--vocab-size: has no effect without --tokenizer bpe."),
        (("--tokenizer", "gone.json"), 4, "gone.json: cannot be read (No such file or directory)."),
        ((*BPE, "--encoding-errors", "strict"), 4, "text.txt: line 2, byte 51 is invalid in utf-8."),
    ],
)
def test_option_that_bpe_cannot_follow_is_refused(run_cli, text: Path, options, code: int, said: str) -> None:
    done = run_cli("preprocess", text, *options)
    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
    assert not Path("text.tokens").exists()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("train-w2v --epochs 2", marks=pytest.mark.slow),
        pytest.param("train-counts --method glove", marks=pytest.mark.slow),
        "train-counts --dim 4",
    ],
)
def test_tokens_not_in_the_text_are_never_shown(run_cli, text: Path, command: str) -> None:
    text.write_text("the king of the hill saw the cat and the queen saw the dog\n" * 40)
    done = run_cli(*command.split(), text, *BPE, "--subsample", 0, "-o", "out")
    assert done.exit_code == 0, done.stderr
    vectors = ns.Vectors.load("out")
    unseen = [vectors.vocab.words[n] for n in np.flatnonzero(vectors.vocab.counts == 0)]
    assert f"{len(unseen)} of 280 tokens do not occur in this text" in done.stderr and len(unseen) > 99
    assert "because training had no pair" not in done.stderr
    *examples, last = [line.split() for line in done.stderr.splitlines() if line.startswith(("  ", "next:"))]
    shown = {word.strip(",:") for line in examples for word in line} | {last[-1]}
    assert shown and shown.isdisjoint(map(vectors.vocab.label, unseen))
    answers = json.loads(run_cli("neighbors", "out", last[-1], "--top", 280, "--json").stdout)["neighbors"]
    assert len(answers) == 279 - len(unseen)
    asked = run_cli("neighbors", "out", "Z")
    assert asked.exit_code == 4 and "'Z': was never a token of its own in the text" in asked.stderr


def test_changed_tokenizer_file_is_read_again(run_cli, text: Path) -> None:
    folders = []
    for size in (260, 270):
        run_cli(
            "preprocess", text, "--tokenizer", "bpe", "--vocab-size", size, "--force", "-o", "made.tokens"
        )
        shutil.copy("made.tokens/tokenizer.json", "my.json")
        done = run_cli("train-w2v", text, "--tokenizer", "my.json", "--dim", 3, "--epochs", 1, "--force")
        assert done.exit_code == 0, done.stderr
        folders.append(ns.Vectors.load("text.w2v").matrix.shape)
    assert folders == [(260, 3), (270, 3)]


def test_model_scores_lines_of_any_bytes_by_itself(run_cli, trained: Path) -> None:
    lines = [b"the king caf\xe9 \xff", b"", "naïve 한\0".encode()]
    done = run_cli("score", trained / "text.lm", "--json", "--tokens", input=b"\n".join(lines))
    assert done.exit_code == 0, done.stderr
    model = ns.LanguageModel.load(trained / "text.lm")
    assert model.vocab.bpe is not None
    for line, record in zip(lines, map(json.loads, done.stdout.splitlines()), strict=True):
        tokens = [each["token"] for each in record["token_log_probs"]]
        assert tokens == [*(model.vocab.words[n] for n in model.vocab.bpe.encode(line)), "<eos>"]
        assert record["unk"] == 0


def test_generated_text_continues_the_prompt(run_cli, trained: Path) -> None:
    done = run_cli("generate", trained / "text.lm", "--prompt", "the café", "--num-tokens", 30, "--json")
    assert done.exit_code == 0, done.stderr
    generated = json.loads(done.stdout)["text"]
    assert generated.startswith("the café") and "Ġ" not in generated
    assert "unknown" not in done.stderr


def test_prompt_with_unk_is_text(trained: Path) -> None:
    model = ns.LanguageModel.load(trained / "text.lm")
    text = generate(model, "the <unk> king", length=Length(num_tokens=5))
    assert text[0].startswith("the <unk> king")


def test_training_takes_a_source_with_bpe(text: Path) -> None:
    config = ns.LMConfig(hidden=8, dim=8, epochs=1, batch_size=4, bptt=8, precision="fp32", threads=1)
    model = ns.train_lm(text, config, tokenizer="bpe", vocab_size=270)
    assert (model.text_config.lower, model.text_config.test_share) == (False, 0.05)
    assert model.vocab.bpe is not None and len(model.vocab.bpe.tokens) == 270


def test_evaluation_counts_bytes_of_the_text(run_cli, trained: Path, text: Path) -> None:
    done = run_cli("eval-lm", trained / "text.lm", text, "--json")
    assert done.exit_code == 0, done.stderr
    answer = json.loads(done.stdout)
    model = ns.LanguageModel.load(trained / "text.lm")
    assert model.vocab.bpe is not None
    lines = TEXT.replace(b"\r\n", b"\n").splitlines()
    assert answer["tokens"] == sum(len(model.vocab.bpe.encode(line)) + 1 for line in lines)
    assert answer["unk"] == 0


def test_query_finds_the_token_after_a_space(run_cli, trained: Path, text: Path) -> None:
    vectors = ns.Vectors.load(trained / "text.w2v")
    done = run_cli("neighbors", trained / "text.w2v", "king", "--top", 2, "--json")
    assert json.loads(done.stdout)["word"] == "Ġking"
    printed = run_cli("neighbors", trained / "text.w2v", "▁king", "--top", 300).stdout.splitlines()
    nearest = [word for word, _ in vectors.neighbors("king", top=300)]
    labels = [*map(vectors.vocab.label, nearest)]
    assert printed[labels.index("▁the")].split()[0] == "▁the"
    Path("pairs.tsv").write_text("king cat 3\nKing the 2\nhat sat 1\nzebra cat 1\n")
    judged = run_cli("eval-w2v", trained / "text.w2v", "--pairs", "pairs.tsv", "--json")
    assert [json.loads(judged.stdout)["pairs"][0][key] for key in ("used", "oov")] == [3, 1]
    cosine = run_cli("similarity", trained / "text.w2v", "king", "Ġthe")
    assert float(cosine.stdout) == pytest.approx(vectors.similarity("Ġking", "Ġthe"), abs=1e-4)
    unknown = run_cli("neighbors", trained / "text.w2v", "zebra")
    assert (unknown.exit_code, "'zebra': is 6 subword tokens, ▁ z e b r a." in unknown.stderr) == (4, True)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("사과가", "is 2 subword tokens, ▁사과 가. Name a token of the text, such as ▁사과."),
        ("▁사과가", "is 2 subword tokens, ▁사과 가. Name a token of the text, such as ▁사과."),
        ("바나나", "is 8 subword tokens. Name another word."),
        (
            "kin",
            "was never a token of its own in the text of these vectors, so its vector was never trained.",
        ),
        ("kin", "Name a token of the text, such as ▁king."),
    ],
)
def test_message_names_readable_tokens_of_the_text(run_cli, text: Path, word: str, said: str) -> None:
    text.write_text("king 사과 king 사과를 king\n나무가 king 나무가 king\n" * 40)
    run_cli("train-w2v", text, *BPE, "--subsample", 0, "--dim", 4, "--epochs", 1)
    done = run_cli("neighbors", "text.w2v", word)
    assert (done.exit_code, f"'{word}': " in done.stderr, said in done.stderr) == (4, True, True), done.stderr


def test_missing_or_foreign_tokenizer_file_is_an_error(run_cli, trained: Path, tmp_path: Path) -> None:
    model = shutil.copytree(trained / "text.w2v", tmp_path / "text.w2v")
    (model / "tokenizer.json").unlink()
    done = run_cli("neighbors", model, "king")
    assert (done.exit_code, "tokenizer.json: is missing" in done.stderr) == (5, True)
    words = ns.Vectors.load(trained / "text.w2v").vocab
    assert np.array_equal(words.counts >= 0, np.ones(len(words), bool))
