"""Damaged and hostile files are refused by name: no crash, no hang, little memory, and never taken."""

import copy
import gzip
import io
import json
import math
import pickle
import random
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _pytest.mark.structures import ParameterSet
from prober import Prober
from sound import FORMATS, PACKERS, RESULTS, RUNS, check, make_sound, replaced, resealed
from support.results import seal_tree as seal
from tallies import Tally

from nlpseq.storage.manifest import MANIFEST
from nlpseq.vectors.formats import names as naming

TOLD_BY_CONTENT = ("meta.json", "MANIFEST.json")  # damage of which may make a folder look like another kind
HEADER = 128  # bytes of which every bit is flipped

Damage = tuple[str, bytes]  # what was done, and what came of it


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    prober = Prober()
    yield prober
    prober.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sound(tmp_path_factory.mktemp("whole"))


def each_kind(kinds: dict[str, tuple[str, ...]], fast: int) -> list[ParameterSet]:
    """Parameters kind, name and how many of the cases are tried: one in `fast`, and marked `trust` all."""
    pairs = [(kind, name) for kind, names in kinds.items() for name in names]
    few = [pytest.param(kind, name, fast, id=f"{name}-fast") for kind, name in pairs]
    return few + [pytest.param(kind, name, 1, id=name, marks=pytest.mark.trust) for kind, name in pairs]


@pytest.mark.parametrize(("kind", "name", "step"), each_kind(RESULTS, 59))
def test_damaged_results_are_refused(
    whole: Path, prober: Prober, tally: Tally, kind: str, name: str, step: int
) -> None:
    """Every cut, every bit of headers and 1,000 flipped bytes; what is taken is what it was before."""
    path = whole / name
    sound = prober.read(kind, path)["digest"]
    for file in files_of(path):
        for what, content in damages(file.read_bytes(), step):
            with tally.case(f"{name}/{file.name}, {what}"), replaced(file, content):
                answer = prober.read(kind, path)
                check(answer, path.name, sound)
                is_told = file.name in answer.get("refused", file.name)
                assert is_told or file.name in TOLD_BY_CONTENT, answer


@pytest.mark.parametrize(("kind", "name", "step"), each_kind(RESULTS, 59))
def test_damage_under_a_new_manifest_is_refused_or_harmless(
    whole: Path, prober: Prober, tally: Tally, kind: str, name: str, step: int
) -> None:
    """As by one who wants it to be believed: what is taken may then be anything that can be used."""
    path = whole / name
    manifest = path / MANIFEST
    sealed = manifest.read_bytes()
    for file in files_of(path):
        if file == manifest:
            continue
        for what, content in damages(file.read_bytes(), step):
            with tally.case(f"{name}/{file.name}, {what}"), replaced(file, content):
                seal(path)
                check(prober.read(kind, path), path.name)
        manifest.write_bytes(sealed)


@pytest.mark.parametrize(("kind", "name", "step"), each_kind(FORMATS, 47))
def test_damaged_files_of_other_tools_are_refused_or_read(
    whole: Path, prober: Prober, tally: Tally, kind: str, name: str, step: int
) -> None:
    path = whole / name
    for file in naming.files_of(path, naming.format_of(path)) if kind == "vectors" else (path,):
        for what, content in damages(file.read_bytes(), step):
            with tally.case(f"{file.name}, {what}"), replaced(file, content):
                check(prober.read(kind, path), file.name)


@pytest.mark.parametrize("name", ["gz", "bz2", "xz"])  # which have sums of their own
def test_packed_text_that_is_damaged_is_never_taken(
    whole: Path, prober: Prober, tally: Tally, name: str
) -> None:
    path = whole / f"text.{name}"
    sound = prober.read("text", path)["digest"]
    for what, content in damages(path.read_bytes(), 7):
        with tally.case(f"{path.name}, {what}"), replaced(path, content):
            check(prober.read("text", path), path.name, sound)


def files_of(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file())


def damages(content: bytes, step: int) -> Iterator[Damage]:
    """One in `step` of: every cut, every flip of a bit of the header, 1,000 flips of a byte anywhere."""
    chance = random.Random(len(content))
    for end in range(chance.randrange(step), len(content), step):
        yield f"cut after {end} bytes", content[:end]
    for bit in range(chance.randrange(step), 8 * min(HEADER, len(content)), step):
        yield f"bit {bit} flipped", flipped(content, bit // 8, 1 << bit % 8)
    for _ in range(0, 1000 if content else 0, step):
        place, change = chance.randrange(len(content)), chance.randrange(1, 256)
        yield f"byte {place} changed by {change}", flipped(content, place, change)


def flipped(content: bytes, place: int, change: int) -> bytes:
    return content[:place] + bytes([content[place] ^ change]) + content[place + 1 :]


def npy(header: str) -> bytes:
    return b"\x93NUMPY\x01\0" + (len(header) + 1).to_bytes(2, "little") + f"{header}\n".encode() + b"\0" * 64


def array(shape: str, descr: str = "'<f4'", order: str = "False") -> bytes:
    return npy(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}")


HEADERS = {
    "vast": array(f"({10**12}, 2)"),
    "beyond 64 bits": array(f"({2**63}, 2)"),
    "negative": array("(-1, 2)"),
    "by columns": array("(3, 2)", order="True"),
    "of objects": array("(3, 2)", "'|O'"),
    "of records": array("(3, 2)", "[('a', '<f4')]"),
    "of nothing": array("(3, 2)", "()"),
    "of half a type": array("(3, 2)", "('<f4',)"),
    "keys of all kinds": npy("{1: 2, 'a': 3}"),
    "a list for a key": npy("{[]: 1}"),
    "deep": npy("(" * 4000 + ")" * 4000),
    "long": npy("{" + " " * 60_000 + "}"),
    "code": npy("__import__('os').system('touch canary')"),
    "a size beyond the file": b"\x93NUMPY\x02\0\xff\xff\xff\x7f{}",
    "of a version to come": b"\x93NUMPY\x09\0" + array("(3, 2)")[8:],
}


@pytest.mark.parametrize("name", ["a.w2v", "a.npy", "a.counts", "a.tokens"])
def test_forged_headers_are_refused(whole: Path, prober: Prober, tally: Tally, name: str) -> None:
    path = whole / name
    kind = {"a.counts": "counts", "a.tokens": "tokens"}.get(name, "vectors")
    arrays = sorted(path.glob("*.npy")) if path.is_dir() else [path]
    for file in arrays:
        for what, content in HEADERS.items():
            with tally.case(f"{name}/{file.name}, {what}"), replaced(file, content):
                answer = resealed(prober, kind, path)
                assert "refused" in answer, answer
                check(answer, path.name)
                assert not Path("canary").exists(), "it was run"


HOSTILE_VALUES = (None, True, -1, 0, 1.5, 10**12, 2**64, 1e308, "x", "", [], [[]], {}, {"": None}, "\x1b[31m")


@pytest.mark.parametrize(("kind", "name", "step"), each_kind(RESULTS, 7))
def test_forged_fields_are_refused_or_harmless(
    whole: Path, prober: Prober, tally: Tally, kind: str, name: str, step: int
) -> None:
    file = whole / name / "meta.json"
    sound = {"notices": []} | json.loads(file.read_text())
    for field, value in islice(fields_of(sound), 0, None, step):
        changed = copy.deepcopy(sound)
        holder = changed if field in sound else changed[field.split(".")[0]]
        holder[field.split(".")[-1]] = value
        with tally.case(f"{name}, {field} is {value!r}"), replaced(file, json.dumps(changed).encode()):
            check(resealed(prober, kind, whole / name), name)


NOWHERE = (-1, math.nan, math.inf, 10**400, True, "x", [math.nan], [[1]])  # how far no run can be
SOMEWHERE = (0.5, 10**6, 10**12, None, [])  # how far some can be, by one field or another
USED_TO_GO_ON = ("position", "facts", "precision", "tokens", "pairs")  # fields of meta.json


@pytest.mark.parametrize(("kind", "name", "step"), each_kind({k: (name,) for k, name in RUNS.items()}, 3))
def test_a_run_with_forged_fields_goes_on_or_is_refused(
    whole: Path, prober: Prober, tally: Tally, kind: str, name: str, step: int
) -> None:
    """It is resumed, as what was not refused is only believed once it is used."""
    file = whole / name / "meta.json"
    sound = json.loads(file.read_text())
    assert "digest" in resealed(prober, kind, whole / name)
    used = {field: sound[field] for field in USED_TO_GO_ON if field in sound} | {"notices": []}
    for field, value in islice(fields_of(used, NOWHERE + SOMEWHERE), 0, None, step):
        changed = copy.deepcopy(sound)
        holder = changed if field in used else changed[field.split(".")[0]]
        holder[field.split(".")[-1]] = value
        with tally.case(f"{name}, {field} is {value!r:.50}"), replaced(file, json.dumps(changed).encode()):
            answer = resealed(prober, kind, whole / name)
            check(answer, name)
            assert "refused" in answer or value in SOMEWHERE or not field.startswith("position."), answer


def fields_of(meta: dict[str, Any], values: tuple[Any, ...] = HOSTILE_VALUES) -> Iterator[tuple[str, Any]]:
    """Each field, and those inside it, with each hostile value."""
    for name, value in meta.items():
        inner = [f"{name}.{field}" for field in value] if isinstance(value, dict) else []
        for field in (name, *inner):
            yield from ((field, hostile) for hostile in values)


def test_arrays_that_lead_out_of_bounds_are_refused(whole: Path, prober: Prober, tally: Tally) -> None:
    """Compiled loops take offsets and ids as they are."""
    top = np.iinfo(np.int64).max
    num_tokens = len(np.load(whole / "a.tokens" / "tokens.npy"))
    num_pairs = len(np.load(whole / "a.counts" / "data.npy"))
    num_words = len(np.load(whole / "a.counts" / "indptr.npy")) - 1
    forged = [
        ("tokens", "a.tokens/tokens.npy", np.full(num_tokens, 2**16 - 1, np.uint16)),
        ("tokens", "a.tokens/sentences.npy", np.array([0, top, -5, num_tokens])),
        ("tokens", "a.tokens/sentences.npy", np.array([0, 5, 2**40, num_tokens])),
        ("tokens", "a.tokens/sentences.npy", np.array([-3, 5, 7, num_tokens])),
        ("counts", "a.counts/indptr.npy", np.array([0, top, -5, *[num_pairs] * (num_words - 2)])),
        ("counts", "a.counts/indices.npy", np.full(num_pairs, 2**31 - 1, np.int32)),
        ("counts", "a.counts/indices.npy", np.full(num_pairs, -1, np.int32)),
        ("counts", "a.counts/data.npy", np.full(num_pairs, np.nan)),
    ]
    for kind, name, numbers in forged:
        file = whole / name
        like = np.load(file)
        content = io.BytesIO()
        assert numbers.shape == like.shape
        np.save(content, numbers.astype(like.dtype))
        with tally.case(f"{name}, {numbers[:4]}"), replaced(file, content.getvalue()):
            answer = resealed(prober, kind, file.parent)
            assert "refused" in answer, answer
            check(answer, file.parent.name)


class Payload:
    """What unpickling would have run: it makes a file."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._canary,))


def test_code_in_disguise_is_never_run(whole: Path, prober: Prober, tally: Tally, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    content = pickle.dumps(Payload(canary))
    objects = io.BytesIO()
    np.save(objects, np.array([Payload(canary)] * 3, object), allow_pickle=True)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:  # as torch and NumPy write them
        archive.writestr("archive/data.pkl", content)
        archive.writestr("arr_0.npy", objects.getvalue())
    disguises = {"pickle": content, "array of objects": objects.getvalue(), "zip": zipped.getvalue()}
    names = ("x.w2v", "x.vec", "x.txt", "x.bin", "x.npy", "x.npz", "x.pt", "x.model", "x.kv", "x.tsv", "x.gz")
    for what, payload in disguises.items():
        for name in names:
            file = tmp_path / name
            file.write_bytes(gzip.compress(payload) if name == "x.gz" else payload)
            with tally.case(f"{what} as {name}"):
                answer = prober.read("vectors", file)
                assert "refused" in answer, answer
                check(answer, name)
                assert not canary.exists(), "it was run"
        for inner in ("vectors.npy", "vocab.tsv", "meta.json"):
            with tally.case(f"{what} as {inner}"), replaced(whole / "a.w2v" / inner, payload):
                check(resealed(prober, "vectors", whole / "a.w2v"), "a.w2v")
                assert not canary.exists(), "it was run"


def test_a_manifest_leads_nowhere_else(whole: Path, prober: Prober, tally: Tally, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    path, manifest = whole / "a.w2v", whole / "a.w2v" / MANIFEST
    sound = json.loads(manifest.read_text())["files"]
    for name in ("../secret", str(tmp_path / "secret"), "..", ".", "", "a/../../secret", "\0", "a\nb"):
        content = json.dumps({"files": sound | {name: {"bytes": 6, "sha256": ""}}}).encode()
        with tally.case(repr(name)), replaced(manifest, content):
            answer = prober.read("vectors", path)
            assert "refused" in answer, answer
            check(answer, "a.w2v")


def test_what_unpacks_to_very_much_takes_little_memory(prober: Prober, tally: Tally, tmp_path: Path) -> None:
    for name, pack in PACKERS.items():
        file = tmp_path / f"bomb.{name}"
        for what, part in {"one line": b"a" * (1 << 20), "lines": b"a b\n" * (1 << 18)}.items():
            file.write_bytes(pack(part * 64))
            with tally.case(f"{name}, {what}"):
                answer = prober.read("text", file)
                assert "digest" in answer, answer
                check(answer, file.name)
    with tally.case("vectors"):
        file.write_bytes(gzip.compress(b"word 1\n" * (8 << 20)))
        answer = prober.read("vectors", file)
        assert "refused" in answer, answer
        check(answer, file.name)
