"""Corrupt and hostile files are refused by name: no crash, no hang, little memory."""

import copy
import gzip
import io
import itertools
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
from intact_files import FORMATS, PACKERS, RESULTS, RUNS, check, make_sound, replaced, resealed
from prober import Prober
from support.results import seal_tree as seal
from tallies import Tally

from nlpseq.storage.manifest import MANIFEST
from nlpseq.vectors.formats import names as naming

KIND_FILES = ("meta.json", "MANIFEST.json")  # corrupt, these may make a folder look like another kind
HEADER_BYTES = 128  # with every bit flipped

Damage = tuple[str, bytes]  # a description and the new content


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    prober = Prober()
    yield prober
    prober.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sound(tmp_path_factory.mktemp("whole"))


def each_kind(kinds: dict[str, tuple[str, ...]], fast: int) -> list[ParameterSet]:
    """Return parameters kind, name and step: `fast` for the default suite, 1 for the marker trust."""
    pairs = [(kind, name) for kind, names in kinds.items() for name in names]
    few = [pytest.param(kind, name, fast, id=f"{name}-fast") for kind, name in pairs]
    return few + [pytest.param(kind, name, 1, id=name, marks=pytest.mark.trust) for kind, name in pairs]


@pytest.mark.parametrize(("kind", "name", "step"), each_kind(RESULTS, 499))
def test_corrupt_results_are_refused(
    whole: Path, prober: Prober, tally: Tally, kind: str, name: str, step: int
) -> None:
    """Try every truncation, every bit of headers and 1,000 changed bytes."""
    path = whole / name
    sound = prober.read(kind, path)["digest"]
    for file in files_of(path):
        for what, content in damages(file.read_bytes(), step):
            with tally.case(f"{name}/{file.name}, {what}"), replaced(file, content):
                answer = prober.read(kind, path)
                check(answer, path.name, sound)
                is_told = file.name in answer.get("refused", file.name)
                assert is_told or file.name in KIND_FILES, answer


@pytest.mark.parametrize(("kind", "name", "step"), each_kind(RESULTS, 499))
def test_resealed_corrupt_results_are_refused_or_usable(
    whole: Path, prober: Prober, tally: Tally, kind: str, name: str, step: int
) -> None:
    """Seal the corrupt files as an attacker would: accepted content must be usable."""
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


@pytest.mark.parametrize(("kind", "name", "step"), each_kind(FORMATS, 499))
def test_corrupt_files_of_other_tools_are_refused_or_usable(
    whole: Path, prober: Prober, tally: Tally, kind: str, name: str, step: int
) -> None:
    path = whole / name
    for file in naming.files_of(path, naming.format_of(path)) if kind == "vectors" else (path,):
        for what, content in damages(file.read_bytes(), step):
            with tally.case(f"{file.name}, {what}"), replaced(file, content):
                check(prober.read(kind, path), file.name)


@pytest.mark.parametrize("name", ["gz", "bz2", "xz"])  # formats with checksums
def test_corrupt_compressed_text_is_refused(whole: Path, prober: Prober, tally: Tally, name: str) -> None:
    path = whole / f"text.{name}"
    sound = prober.read("text", path)["digest"]
    for what, content in damages(path.read_bytes(), 31):
        with tally.case(f"{path.name}, {what}"), replaced(path, content):
            check(prober.read("text", path), path.name, sound)


def files_of(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file())


def damages(content: bytes, step: int) -> Iterator[Damage]:
    """Yield one in `step` of all truncations, bit flips in the header, and 1,000 changed bytes."""
    chance = random.Random(len(content))
    for end in range(chance.randrange(step), len(content), step):
        yield f"cut after {end} bytes", content[:end]
    for bit in range(chance.randrange(step), 8 * min(HEADER_BYTES, len(content)), step):
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


@pytest.mark.parametrize("name", ["a.w2v", "int8.w2v", "float16.w2v", "a.npy", "a.counts", "a.tokens"])
def test_forged_npy_headers_are_refused(whole: Path, prober: Prober, tally: Tally, name: str) -> None:
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


@pytest.mark.parametrize(("kind", "name", "step"), each_kind(RESULTS, 61))
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


NOWHERE = (
    -1,
    math.nan,
    math.inf,
    10**400,
    True,
    "x",
    [math.nan],
    [[1]],
)  # impossible for the state of any run
SOMEWHERE = (0.5, 10**6, 10**12, None, [])  # possible for some field
RESUME_FIELDS = ("position", "facts", "precision", "tokens", "pairs", "start")  # fields of meta.json


@pytest.mark.parametrize(("kind", "name", "step"), each_kind(RUNS, 29))
def test_run_with_forged_fields_resumes_or_is_refused(
    whole: Path, prober: Prober, tally: Tally, kind: str, name: str, step: int
) -> None:
    """Resume the run, because settings that loading accepts may fail in use."""
    file = whole / name / "meta.json"
    sound = json.loads(file.read_text())
    assert "digest" in resealed(prober, kind, whole / name)
    used = {field: sound[field] for field in RESUME_FIELDS if field in sound} | {"notices": []}
    for field, value in islice(fields_of(used, NOWHERE + SOMEWHERE), 0, None, step):
        changed = copy.deepcopy(sound)
        holder = changed if field in used else changed[field.split(".")[0]]
        holder[field.split(".")[-1]] = value
        with tally.case(f"{name}, {field} is {value!r:.50}"), replaced(file, json.dumps(changed).encode()):
            answer = resealed(prober, kind, whole / name)
            check(answer, name)
            assert "refused" in answer or value in SOMEWHERE or not field.startswith("position."), answer


def fields_of(meta: dict[str, Any], values: tuple[Any, ...] = HOSTILE_VALUES) -> Iterator[tuple[str, Any]]:
    """Yield each field, also nested ones, with each hostile value."""
    for name, value in meta.items():
        inner = [f"{name}.{field}" for field in value] if isinstance(value, dict) else []
        for field in (name, *inner):
            yield from ((field, hostile) for hostile in values)


def test_arrays_with_ids_out_of_bounds_are_refused(whole: Path, prober: Prober, tally: Tally) -> None:
    """Compiled loops do not check offsets and ids."""
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


def test_swapped_arrays_and_scales_are_refused(whole: Path, prober: Prober, tally: Tally) -> None:
    """Swap files of two folders, sealed as an attacker would, and forge scales."""
    names = {"int8.w2v": ("vectors.npy", "scales.npy", "context_scales.npy"), "float16.w2v": ("vectors.npy",)}
    for folder, name in [(folder, name) for folder, each in names.items() for name in each]:
        file = whole / folder / name
        others = [whole / "a.w2v" / "vectors.npy", whole / "int8.w2v" / "vectors.npy"]
        others += [whole / "int8.w2v" / "scales.npy", whole / "float16.w2v" / "vectors.npy"]
        for other in others:
            theirs, own = np.load(other), np.load(file)
            if (theirs.dtype, theirs.shape) != (own.dtype, own.shape):
                with tally.case(f"{folder}/{name} is {other}"), replaced(file, other.read_bytes()):
                    answer = resealed(prober, "vectors", whole / folder)
                    assert name in answer["refused"], answer
                    check(answer, folder)
    for scales in ([np.nan, 1, 1], [np.inf, 1, 1], [-1, 1, 1], [1, 1], [[1, 1, 1]]):
        file, content = whole / "int8.w2v" / "scales.npy", io.BytesIO()
        np.save(content, np.array(scales, np.float32))
        with tally.case(f"scales {scales}"), replaced(file, content.getvalue()):
            answer = resealed(prober, "vectors", whole / "int8.w2v")
            assert "scales.npy" in answer["refused"], answer
            check(answer, "int8.w2v")


def test_type_in_meta_must_fit_the_arrays(whole: Path, prober: Prober, tally: Tally) -> None:
    for folder in ("a.w2v", "int8.w2v", "float16.w2v", "explicit.w2v"):
        file = whole / folder / "meta.json"
        sound = json.loads(file.read_text())
        for dtype, version in itertools.product(("int8", "float16", "float32", None, []), (1, 2)):
            forged = sound | {"dtype": dtype, "format_version": version}
            is_known = dtype in ("int8", "float16")  # anything else is float32
            is_sound = (dtype if is_known else None, version) == (sound.get("dtype"), sound["format_version"])
            with tally.case(f"{folder}, {dtype}, {version}"), replaced(file, json.dumps(forged).encode()):
                answer = resealed(prober, "vectors", whole / folder)
                check(answer, folder)
                assert is_sound == ("digest" in answer), answer


class Payload:
    """An object that creates a file when unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._canary,))


def test_disguised_code_is_never_run(whole: Path, prober: Prober, tally: Tally, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    content = pickle.dumps(Payload(canary))
    objects = io.BytesIO()
    np.save(objects, np.array([Payload(canary)] * 3, object), allow_pickle=True)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:  # as written by torch and NumPy
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


def test_manifest_paths_stay_in_the_folder(whole: Path, prober: Prober, tally: Tally, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    path, manifest = whole / "a.w2v", whole / "a.w2v" / MANIFEST
    sound = json.loads(manifest.read_text())["files"]
    for name in ("../secret", str(tmp_path / "secret"), "..", ".", "", "a/../../secret", "\0", "a\nb"):
        content = json.dumps({"files": sound | {name: {"bytes": 6, "sha256": ""}}}).encode()
        with tally.case(repr(name)), replaced(manifest, content):
            answer = prober.read("vectors", path)
            assert "refused" in answer, answer
            check(answer, "a.w2v")


@pytest.mark.slow
def test_decompression_bombs_take_little_memory(prober: Prober, tally: Tally, tmp_path: Path) -> None:
    for name, pack in PACKERS.items():
        file = tmp_path / f"bomb.{name}"
        for what, part in {"one line": b"a" * (1 << 20), "lines": b"a b\n" * (1 << 18)}.items():
            file.write_bytes(pack(part * 64))
            with tally.case(f"{name}, {what}"):
                answer = prober.read("text", file)
                assert "digest" in answer, answer
                check(answer, file.name)
        file.write_bytes(pack(b"word 1\n" * (4 << 20)))
        with tally.case(f"{name}, vectors"):
            answer = prober.read("vectors", file)
            assert "refused" in answer, answer
            check(answer, file.name)
