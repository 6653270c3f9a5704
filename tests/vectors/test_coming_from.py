"""Every line of nlpseq/vectors/COMING_FROM.md runs; `pytest -m extras` asks the other tools the same."""

import inspect
import json
import pickle
import random
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import nlpseq as ns
from nlpseq.core.resources import available_cores
from nlpseq.vectors.formats.registry import Written
from nlpseq.vectors.vectors import Vectors
from nlpseq.word2vec.train import resolve

PAGE = Path(ns.__file__).parent / "vectors" / "COMING_FROM.md"
ANGLES = {"king": 0, "queen": 10, "man": 90, "woman": 100, "boy": 70, "girl": 85, "land": 200}
WORDS = [*ANGLES, "hapax"]  # hapax has a vector of zeros
COURT = "the {} of the old land speaks to each {} and {} in the great hall"
NEAREST = ["queen  0.9848", "boy    0.3420", "girl   0.0872"]
FARTHEST = ["man    0.0000", "woman  -0.1736", "land   -0.9397"]
ANALOGY = ["queen  0.9814", "boy    0.3247", "girl   0.0688"]
FAMILY = ["analogies  3CosAdd  3CosMul  used  oov"]
FAMILY += [f"{name:12}100.0%   100.0%     1    1" for name in ("family", "semantic", "all")]
PAIRS_TSV = ["pairs      Spearman        p  Pearson        p  used  oov"]
PAIRS_TSV += ["pairs.tsv    1.0000  0.0e+00   0.9744  1.4e-01     3    0"]
CIRCLE = [[1.0, 0.0], [1.9696, 0.3473], [0.0, 3.0], [-0.6946, 3.9392], [1.7101, 4.6985]]
CIRCLE += [[0.5229, 5.9772], [-6.5778, -2.3941], [0.0, 0.0]]
COUNTED = "--cooccurrence --window 10 --weighting harmonic --subsample 0"
AS_IS = "--tokenizer whitespace --no-lower"
OLD_MODEL = b"".join(number.to_bytes(4, "little") for number in (793_712_314, 10))

# code in the column "nlpseq": its value, the lines it prints, or the content of the result it writes
RESULTS: dict[str, Any] = {
    '"king" in vectors': True,
    '1 - vectors.similarity("king", "queen")': 0.0152,
    'DocumentVectors("corpus.w2v").fit_transform(["The king", "queen"])': CIRCLE[:2],
    '[vectors[word] for word in ["king", "queen"]]': CIRCLE[:2],
    "nlpseq analogy corpus.bin man king woman": [*ANALOGY, "land   -0.9332"],
    "nlpseq analogy fasttext.bin man king woman --top 3": ANALOGY,
    "nlpseq convert fasttext.bin words.vec --words words.txt": [CIRCLE[0], 2, 2],
    "nlpseq convert corpus.w2v corpus.spacy": ["spacy", 8, 2],
    "nlpseq convert corpus.w2v corpus.static": ["static", 8, 2],
    "nlpseq convert corpus.w2v new.bin": [CIRCLE[0], 8, 2],
    "nlpseq convert corpus.w2v new.bin --format fasttext": ["fastText skipgram", 8, 2],
    "nlpseq convert corpus.w2v top.spacy --keep-top 3": ["spacy", 3, 2],
    "nlpseq eval-w2v corpus.bin --analogies questions.txt --restrict-vocab 6": FAMILY,
    "nlpseq eval-w2v corpus.w2v --analogies questions.txt --restrict-vocab 6": FAMILY,
    "nlpseq eval-w2v corpus.w2v --pairs pairs.tsv": PAIRS_TSV,
    "nlpseq neighbors corpus.bin king": [*NEAREST, *FARTHEST],
    "nlpseq neighbors fasttext.bin king --top 3": NEAREST,
    "nlpseq neighbors vectors.txt king": [*NEAREST, *FARTHEST],
    "nlpseq preprocess corpus.txt": ["tokens", 0, False],
    f"nlpseq preprocess corpus.txt {COUNTED}": ["tokens", 0, True],
    "nlpseq preprocess corpus.txt --phrases 1 --phrase-threshold 10": ["tokens", 5, False],
    f"nlpseq preprocess corpus.txt --phrases 1 --phrase-score npmi {AS_IS}": ["tokens", 10, False],
    "nlpseq train-counts corpus.txt --method glove": ["glove", 17, 100],
    "nlpseq train-w2v corpus.txt": ["word2vec skipgram", 17, 100],
    "nlpseq train-w2v corpus.txt --subwords 3:6 --buckets 999": ["word2vec skipgram", 17, 100],
    "nlpseq train-w2v corpus.txt --start corpus.vec -o new.w2v": ["word2vec skipgram", 18, 2],
    "nlpseq train-w2v corpus.txt --objective cbow": ["word2vec cbow", 17, 100],
    f"nlpseq train-w2v corpus.txt {AS_IS}": ["word2vec skipgram", 20, 100],
    'ns.Vectors.load("corpus.bin")': [CIRCLE[0], 8, 2],
    'ns.Vectors.load("corpus.vec")': [CIRCLE[0], 8, 2],
    'ns.Vectors.load("corpus.vec", load_top=3)': [CIRCLE[0], 3, 2],
    'ns.Vectors.load("vectors.txt")': [CIRCLE[0], 8, 2],
    'ns.postprocess(vectors, matrix="w+c").write("sum.txt")': [[1.0, 1.0], 8, 2],
    'ns.train_word2vec("corpus.txt", dim=20, tokenizer="whitespace", lower=False)': [
        "word2vec skipgram",
        *(20, 20),
    ],
    'ns.train_word2vec("texts")': ["word2vec skipgram", 17, 100],
    "ns.train_word2vec(sentences, dim=20, min_count=2)": ["word2vec skipgram", 20, 20],
    'vectors.analogy("man", "king", "woman", top=2, method="3cosmul")': [["queen", 0.8441], ["boy", 0.6449]],
    "vectors.matrix": CIRCLE,
    'vectors.n_similarity(["king", "queen"], ["man", "woman"])': 0.0167,
    'vectors.neighbors_of(["king"], 1, among=["man", "boy"])[0][0][0]': "boy",
    'vectors.similarity("king", "queen")': 0.9848,
    "vectors.vector_size": 2,
    'vectors.write("new.vec")': [CIRCLE[0], 8, 2],
    'vectors.write("w.txt")': [CIRCLE[0], 8, 2],
    'vectors["king"]': CIRCLE[0],
}


def tables() -> list[list[list[str]]]:
    """Return the cells of every table of the page, its header first."""
    found = re.findall(r"(?:^\|.*\|\n)+", PAGE.read_text("utf-8"), re.MULTILINE)
    return [[cells(line) for line in table.splitlines() if "---" not in line] for table in found]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|\n").split("|")]


def rows(is_wanted: Any) -> list[list[str]]:
    """Return the rows of tables whose header is wanted, each after the tool it is about."""
    return [[table[0][0], *row] for table in tables() if is_wanted(table[0]) for row in table[1:]]


def code(cell: str) -> str:
    """Return the code of a cell."""
    found = re.fullmatch(r"`([^`]*)`", cell)
    assert found, f"{cell}: is not code between backticks"
    return found[1]


SAME = [row[1:] for row in rows(lambda header: header[0] == "gensim and nlpseq")]
PAIRS = rows(lambda header: header[1] == "nlpseq")
CODES = sorted({code(row[2]) for row in PAIRS})
OTHER_KERNELS = ("--subwords", "cbow")  # which take long to compile
SETTINGS = [row for row in rows(lambda header: header[-1] == "defaults") if row[0] != "GloVe"]
GLOVE = [row for row in rows(lambda header: header[-1] == "defaults") if row[0] == "GloVe"]
REFUSED = [row[2:] for row in rows(lambda header: header[-1] == "message")]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the files that the page names: vectors on a circle, a corpus, and evaluation files."""
    folder = tmp_path_factory.mktemp("files")
    angles = np.radians(list(ANGLES.values()))
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.arange(1, 8)[:, None]
    matrix = np.vstack([circle, np.zeros(2)]).astype(np.float32)
    vocab = ns.Vocab(WORDS, np.arange(8, 0, -1))
    vectors = Vectors(vocab, matrix, matrix[:, ::-1], {"text_config": {"tokenizer": "word", "lower": True}})
    for name in ("corpus.w2v", "corpus.vec", "corpus.bin", "vectors.txt"):
        vectors.write(folder / name)
    chance = random.Random(1)
    lines = [COURT.format(*chance.choices(list(ANGLES)[:6], k=3)) for _ in range(120)]
    lines += ["The King speaks ."] * 6  # three more types without lower-casing
    (folder / "texts").mkdir()
    for name in ("corpus.txt", "texts/a.txt", "texts/b.txt"):
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
    (folder / "pairs.tsv").write_text("king\tqueen\t9\nking\tman\t5\nland\tgirl\t1\n")
    (folder / "questions.txt").write_text(": family\nman king woman queen\nman king woman hapax\n")
    (folder / "words.txt").write_text("king\nqueen\n")
    vectors.write(folder / "fasttext.bin", "fasttext")
    (folder / "old.bin").write_bytes(OLD_MODEL + bytes(1000))
    (folder / "corpus.kv").write_bytes(pickle.dumps("gensim.models.keyedvectors"))
    return folder


@pytest.fixture
def folder(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Change to a copy of the files."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(**others: Any) -> dict[str, Any]:
    """Return the names that Python code of the page uses, read in the current folder."""
    sentences = [line.split() for line in Path("corpus.txt").read_text("utf-8").splitlines()]
    return {"ns": ns, "np": np, "vectors": Vectors.load("corpus.w2v"), "sentences": sentences, **others}


def run(run_cli: Any, line: str) -> list[str]:
    """Return the lines that a command prints."""
    if line.startswith(("nlpseq train", "nlpseq preprocess")):
        shutil.rmtree("corpus.w2v")  # because training writes a folder of this name
    done = run_cli(*shlex.split(line)[1:])
    assert done.exit_code == 0, f"{line}\n{done.stderr}"
    lines: list[str] = done.stdout.splitlines()
    return lines


def plain(value: Any) -> Any:
    """Return a value in plain Python types, numbers with four decimals."""
    if isinstance(value, Written):
        return content(value.files[0])
    if isinstance(value, Vectors) or hasattr(value, "index_to_key"):
        meta = value.meta if isinstance(value, Vectors) else {}
        matrix = value.matrix if isinstance(value, Vectors) else value.vectors
        return [meta["model"] if "model" in meta else plain(matrix[0]), *matrix.shape]
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, float):
        return round(value, 4) + 0.0
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def content(path: Path) -> Any:
    """Return the kind of a result on disk with its sizes."""
    if not path.is_dir():
        return plain(Vectors.load(path))
    meta = json.loads((path / "meta.json").read_text("utf-8"))
    if "export" in meta:
        return [meta["export"], meta["num_words"], meta["dim"]]
    if path.suffix == ".tokens":
        return ["tokens", len(phrases_in(path)), (path / "cooccurrence").exists()]
    return plain(Vectors.load(path))


def phrases_in(path: Path) -> dict[str, float]:
    """Return the phrases of an encoded corpus with their scores."""
    file = path / "phrases.tsv"
    table = [line.split("\t") for line in file.read_text("utf-8").splitlines()[1:]] if file.exists() else []
    return {phrase: float(score) for phrase, _, score in table}


def show(value: Any) -> Any:
    """Return printed lines, or the content of a result whose path was printed."""
    if isinstance(value, list) and value and isinstance(value[0], str) and Path(value[0]).exists():
        return content(Path(value[0]))
    return plain(value)


def answer(run_cli: Any, text: str, **others: Any) -> Any:
    """Run a command or evaluate Python code of the page."""
    if text.startswith("nlpseq "):
        return show(run(run_cli, text))
    if "DocumentVectors" in text:
        pytest.importorskip("sklearn")
        others["DocumentVectors"] = __import__("nlpseq.sklearn", fromlist=["_"]).DocumentVectors
    return plain(eval(text, names(**others)))


def test_every_line_has_a_result() -> None:
    assert set(CODES) == set(RESULTS)
    assert min(map(len, (SAME, SETTINGS, GLOVE, REFUSED))) > 5
    assert sum(len(table) - 1 for table in tables()) == sum(map(len, (SAME, PAIRS, SETTINGS, GLOVE, REFUSED)))


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, marks=[pytest.mark.slow] * any(name in text for name in OTHER_KERNELS))
        for text in CODES
    ],
)
def test_line_gives_its_result(run_cli: Any, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    if ".spacy" in text:  # test_spacy_gives_the_same_answers has spaCy
        monkeypatch.setitem(sys.modules, "spacy", None)
        assert "pip install spacy" in run_cli(*shlex.split(text)[1:]).stderr
        return
    assert answer(run_cli, text) == RESULTS[text]


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("gensim", "python", "command"), SAME, ids=[code(row[0]) for row in SAME])
def test_names_of_gensim_work_here(run_cli: Any, gensim: str, python: str, command: str) -> None:
    wanted = plain(eval(code(gensim), names(keyed=Vectors.load("corpus.w2v"))))
    assert plain(eval(code(python), names())) == wanted
    if command:
        printed = [line.split() for line in run(run_cli, code(command))]
        if isinstance(wanted, list):
            assert [[word, float(score)] for word, score in printed] == wanted
        else:
            assert printed[0][0] == str(wanted)


@pytest.fixture(scope="module")
def metas(files: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Train with all options of a table and without options; return the stored settings of both runs."""
    from click.testing import CliRunner
    from nlpseq.cli import main

    stored = dict[str, list[dict[str, Any]]]()
    tasks = [("GloVe", ["train-counts", "--method", "glove"], GLOVE), ("word2vec", ["train-w2v"], SETTINGS)]
    for tool, command, table in tasks:
        options = [part for row in table for part in code(row[-2]).split()]
        stored[tool] = []
        for chosen in (options, []):
            out = tmp_path_factory.mktemp("settings") / f"a.{'glove' if tool == 'GloVe' else 'w2v'}"
            done = CliRunner().invoke(main, [*command, str(files / "corpus.txt"), "-o", str(out), *chosen])
            assert done.exit_code == 0, done.stderr
            meta = Vectors.load(out).meta
            parts = ("text_config", "cooccurrence_config", "config", "glove_config")
            stored[tool].append({key: value for part in parts for key, value in meta.get(part, {}).items()})
    return stored


@pytest.mark.parametrize("row", [*SETTINGS, *GLOVE], ids=lambda row: f"{row[0]} {row[-2]}")
def test_option_sets_its_setting(metas: dict[str, list[dict[str, Any]]], row: list[str]) -> None:
    chosen, default = metas["GloVe" if row[0] == "GloVe" else "word2vec"]
    option, value = code(row[-2]).split()
    field = option[2:].replace("-", "_")
    assert str(chosen[field]) == value or float(chosen[field]) == float(value)
    written = row[-1].split(", ")
    assert len(written) == len(row) - 2  # a default for each tool
    if written[-1] == "all cores":
        assert default[field] in (None, available_cores())  # None stands for all
    elif written[-1] == "5 to 20":
        configs = [resolve(ns.Word2VecConfig(), 100, tokens) for tokens in (10**12, 1000)]
        assert [config.epochs for config in configs] == [5, 20] and default[field] == 20
    else:
        assert written[-1] in (str(default[field]), str(default[field]).removesuffix(".0"))
        assert str(chosen[field]) != str(default[field]) or field in ("objective", "loss")


def test_learning_rate_of_cbow_is_as_stated() -> None:
    assert resolve(ns.Word2VecConfig(objective="cbow"), 100, 1000).learning_rate == 0.075
    assert "for CBOW\ngensim uses 0.025, word2vec.c and fastText 0.05, nlpseq 0.075" in PAGE.read_text(
        "utf-8"
    )


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("command", "message"), REFUSED)
def test_refusal_has_its_message(run_cli: Any, command: str, message: str) -> None:
    done = run_cli(*shlex.split(code(command))[1:])
    assert done.exit_code in (2, 4)
    assert code(message) in done.stderr


@pytest.mark.usefixtures("folder")
def test_differences_from_gensim_are_as_stated() -> None:
    vectors = Vectors.load("corpus.w2v")
    assert ns.tokenize("The King's hat!", ns.TextConfig()) == ["the", "king's", "hat"]
    assert vectors.find("King") == "king"
    assert "hapax" not in dict(vectors.most_similar("king", topn=10))
    stand_in = SimpleNamespace(index_to_key=WORDS, vectors=vectors.matrix, expandos={})
    assert list(Vectors.from_gensim(stand_in)) == WORDS
    with pytest.raises(ns.DataError, match="have no word counts"):
        Vectors.load("corpus.vec").get_vecattr("king", "count")


@contextmanager
def without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not find_spec(package), reason=f"{package}: not installed")


KINDS = ("keyed.evaluate", "KeyedVectors.load", "keyed.save", "Word2Vec", "Phrases")


def lines(tool: str, kind: str | None = None) -> list[Any]:
    """Return the code of a tool and of nlpseq in the pairs of a kind, or of none of KINDS."""
    found = [(left.split("`")[1], code(right)) for first, left, right in PAIRS if first == tool]
    starts = [next((each for each in KINDS if pair[0].startswith(each)), None) for pair in found]
    return [
        pytest.param(*pair, id=pair[0]) for pair, start in zip(found, starts, strict=True) if start == kind
    ]


def flat(value: Any) -> Iterator[Any]:
    """Yield the numbers and words in a nested value."""
    if isinstance(value, list | tuple | np.ndarray):
        for each in value:
            yield from flat(each)
    else:
        yield value


def gensim(text: str) -> Any:
    """Evaluate code for gensim in the current folder."""
    with without_warnings():
        from gensim.models import KeyedVectors, Phrases, Word2Vec
        from gensim.models.word2vec import LineSentence, PathLineSentences

        known = [KeyedVectors, Phrases, Word2Vec, LineSentence, PathLineSentences]
        keyed = Vectors.load("corpus.w2v").to_gensim()
        return eval(text, names(keyed=keyed) | {each.__name__: each for each in known})


@pytest.mark.extras
@pytest.mark.usefixtures("folder")
@needs("gensim")
@pytest.mark.parametrize(
    ("left", "right"), [*lines("gensim"), *((code(row[0]), code(row[1])) for row in SAME)]
)
def test_gensim_gives_the_same_answers(left: str, right: str) -> None:
    if "wmdistance" in left and not find_spec("ot"):
        pytest.skip("POT, which gensim needs for wmdistance: not installed")
    close = 2e-3 if "cosmul" in left else 1e-6  # because gensim divides by another small number
    assert [*flat(eval(right, names()))] == pytest.approx([*flat(gensim(left))], abs=close)


@pytest.mark.extras
@pytest.mark.usefixtures("folder")
@needs("gensim")
@pytest.mark.parametrize(("left", "right"), lines("gensim", "KeyedVectors.load"))
def test_gensim_reads_the_same_file(left: str, right: str) -> None:
    theirs, ours = gensim(left), eval(right, names())
    assert theirs.index_to_key == list(ours)
    np.testing.assert_array_equal(theirs.vectors, ours.matrix)


@pytest.mark.extras
@pytest.mark.usefixtures("folder")
@needs("gensim")
@pytest.mark.parametrize(("left", "right"), lines("gensim", "keyed.save"))
def test_gensim_writes_the_same_file(run_cli: Any, left: str, right: str) -> None:
    (name,) = re.findall(r"new\.\w+", left)
    gensim(left)
    theirs = Vectors.load(name)
    Path(name).unlink()
    answer(run_cli, right)
    assert list(Vectors.load(name)) == list(theirs)
    np.testing.assert_allclose(Vectors.load(name).matrix, theirs.matrix, rtol=1e-6)


@pytest.mark.extras
@pytest.mark.usefixtures("folder")
@needs("gensim")
@pytest.mark.parametrize(("left", "right"), lines("gensim", "Word2Vec"))
def test_gensim_trains_the_same_words(run_cli: Any, left: str, right: str) -> None:
    ours = Vectors.load(run(run_cli, right)[0]) if right.startswith("nlpseq") else eval(right, names())
    theirs = gensim(left)
    cased = {"The", "King", "."} if ours.meta["text_config"]["lower"] else set()
    assert set(ours) == set(theirs.index_to_key) - cased
    assert ours.vector_size == theirs.vector_size


@pytest.mark.extras
@pytest.mark.usefixtures("folder")
@needs("gensim")
@pytest.mark.parametrize(("left", "right"), lines("gensim", "Phrases"))
def test_gensim_finds_the_same_phrases(run_cli: Any, left: str, right: str) -> None:
    theirs = gensim(left)
    (path,) = run(run_cli, right)
    assert phrases_in(Path(path)) == pytest.approx(theirs, abs=1e-5)


@pytest.mark.extras
@pytest.mark.usefixtures("folder")
@needs("gensim")
@pytest.mark.parametrize(("left", "right"), lines("gensim", "keyed.evaluate"))
def test_gensim_gives_the_same_scores(run_cli: Any, left: str, right: str) -> None:
    (printed,) = run(run_cli, f"{right} --json")
    found, theirs = json.loads(printed), gensim(left)
    if "pairs" in left:
        (pairs,) = found["pairs"]
        ours = [pairs["pearson"], pairs["pearson_p"], pairs["spearman"], pairs["spearman_p"]]
        assert ours == pytest.approx([*theirs[0], *theirs[1]], abs=1e-6)
    else:
        assert found["analogies"]["all"]["3cosadd"] == theirs[0]


@pytest.mark.extras
@needs("gensim")
@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row[1])
def test_default_of_gensim_is_as_stated(row: list[str]) -> None:
    with without_warnings():
        from gensim.models import Word2Vec
    default = inspect.signature(Word2Vec).parameters[code(row[1]).partition("=")[0]].default
    assert row[-1].split(", ")[0] == {"sg": {0: "CBOW"}}.get(code(row[1])[:2], {}).get(default, str(default))


@pytest.mark.extras
@needs("fasttext")
def test_defaults_of_fasttext_are_as_stated() -> None:
    with without_warnings():
        from fasttext.FastText import unsupervised_default
    shown = [(code(row[3]).split(), row[-1].split(", ")[2]) for row in SETTINGS if row[3] != "-"]
    stated = {option[0][1:]: default for option, default in shown if option[0].startswith("-")}
    assert stated.pop("thread") == "12"  # of the command; 1 in Python
    assert stated == {name: str(unsupervised_default[name]) for name in stated}
    assert len(stated) > 7


@pytest.mark.extras
@pytest.mark.usefixtures("folder")
@needs("fasttext")
def test_fasttext_gives_the_same_answers() -> None:
    with without_warnings():
        import fasttext

        model = fasttext.train_unsupervised("corpus.txt", dim=10, t=1, thread=1, verbose=0)
    words = model.get_words()
    vectors = Vectors(ns.Vocab(words, np.full(len(words), 9)), np.stack([model[word] for word in words]))
    neighbors = [(word, score) for score, word in model.get_nearest_neighbors("king", k=3)]
    assert vectors.neighbors("king", top=3) == [
        (word, pytest.approx(score, abs=1e-5)) for word, score in neighbors
    ]
    answers = [(word, score) for score, word in model.get_analogies("king", "man", "woman", k=3)]
    ours = vectors.analogy("man", "king", "woman", top=3)
    assert ours == [(word, pytest.approx(score, abs=1e-5)) for word, score in answers]
    model.save_model("native.bin")
    native = Vectors.load("native.bin")
    np.testing.assert_allclose(native.matrix[:], vectors.matrix, atol=1e-6)
    np.testing.assert_allclose(native["kingly"], model["kingly"], atol=1e-6)


@pytest.mark.extras
@pytest.mark.usefixtures("folder")
@needs("spacy")
@pytest.mark.parametrize(("left", "right"), lines("spaCy"))
def test_spacy_gives_the_same_answers(run_cli: Any, left: str, right: str) -> None:
    with without_warnings():
        import spacy

        nlp = spacy.blank("en")
        if right.startswith("nlpseq "):
            (path,) = run(run_cli, right)
            assert content(Path(path)) == RESULTS[right]
            nlp.vocab.vectors.from_disk(path)
            subprocess.run([sys.executable, "-m", *shlex.split(left)], check=True, capture_output=True)
            theirs = spacy.load("out").vocab.vectors
            wanted = int(left.partition("--truncate ")[2] or len(WORDS))
            assert len(theirs) == len(nlp.vocab.vectors) == wanted
            assert all(np.array_equal(nlp.vocab.vectors[key], theirs[key]) for key in theirs)
        else:
            run(run_cli, "nlpseq convert corpus.w2v corpus.spacy")
            nlp.vocab.vectors.from_disk("corpus.spacy")
            ours = [*flat(eval(right, names()))]
            assert [*flat(eval(left, {"nlp": nlp}))] == pytest.approx(ours, abs=1e-6)


@pytest.mark.extras
@pytest.mark.usefixtures("folder")
@needs("model2vec")
@pytest.mark.parametrize(("left", "right"), lines("model2vec"))
def test_model2vec_gives_the_same_answers(run_cli: Any, left: str, right: str) -> None:
    from model2vec import StaticModel

    run(run_cli, "nlpseq convert corpus.w2v corpus.static")
    theirs = eval(left, {"StaticModel": StaticModel})
    if right.startswith("nlpseq "):
        assert theirs.dim == 2 and list(theirs.tokens)[: len(WORDS)] == WORDS
    else:
        assert plain(theirs) == RESULTS[right]
