"""Fuzz a reader guided by coverage; needs `pip install atheris`.

    python tests/trust/fuzz.py NAME CORPUS [options of libFuzzer, such as -max_total_time=600]

NAME: a key of intact_files.KINDS or of fuzz_targets.TARGETS. CORPUS: a folder for inputs with new coverage.
Breaking inputs are saved as crash-... in the current folder, one for each place in the code that raises an
error; fuzzing goes on. It stops if the process itself breaks, hangs or takes too much memory. After the fix,
move an input for a kind to findings/NAME for test_findings.py.

With NUMBA_BOUNDSCHECK=1 and an empty NLPSEQ_CACHE_DIR compiled code raises an error for a wrong index. An
input for a folder is one byte for the choice of a file, then the content of the file. The manifest is
updated, so that the reader looks inside. A read that takes 5 s or 2.5 GB counts as broken.
"""

import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import atheris

HERE = Path(__file__).parent
COMPILED = sorted(
    ".".join(file.relative_to(HERE.parents[1]).with_suffix("").parts)
    for file in (HERE.parents[1] / "nlpseq").rglob("*_numba.py")
)
PYTHON = ["json", "zipfile", "tarfile", "csv", "numpy.lib"]
MAX_ADDRESS_BYTES = 6 << 30
LIMITS = ["-timeout=5", "-rss_limit_mb=2500", "-max_len=16384"]

sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
with atheris.instrument_imports(include=["nlpseq", *PYTHON], exclude=COMPILED):
    from findings import put
    from fuzz_targets import TARGETS, Target, run_target
    from intact_files import KINDS, make_sound
    from prober import READERS

    from nlpseq.errors import NlpseqError


def target_of(name: str, whole: Path) -> Target:
    """Return a target of TARGETS, or the reader of a kind of file as one."""
    if name in TARGETS:
        return TARGETS[name]
    path = whole / name
    files = sorted(path.iterdir()) if path.is_dir() else [path]

    def seeds(_: Path) -> list[bytes]:
        starts = [bytes([number]) if path.is_dir() else b"" for number in range(len(files))]
        return [start + file.read_bytes() for start, file in zip(starts, files, strict=True)]

    def read(data: bytes, _: Path) -> None:
        with put(data, path), suppress(NlpseqError):
            READERS[KINDS[name]](path)

    return Target(read, seeds)


def keep_breaking(read: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Return a reader that saves the first input for each place that raises an error."""
    seen = set[tuple[object, ...]]()

    def read_and_keep(data: bytes) -> None:
        try:
            read(data)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            place = (type(error), *((frame.filename, frame.lineno) for frame in frames[-3:]))
            if place not in seen:
                seen.add(place)
                Path(f"crash-{sha256(data).hexdigest()[:12]}").write_bytes(data)
                traceback.print_exc()

    return read_and_keep


def main() -> None:
    name, corpus, *options = sys.argv[1:]
    folder = Path(tempfile.mkdtemp())
    whole = folder / "whole"
    whole.mkdir()
    target = target_of(name, make_sound(whole))
    inputs, dictionary = Path(corpus), folder / "dictionary"
    inputs.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds(whole)):
        (inputs / f"sound-{number}").write_bytes(seed)
        keep_breaking(lambda data: run_target(target, data, folder))(seed)  # loads libraries before the clock
    tokens = ["".join(f"\\x{byte:02x}" for byte in token.encode()) for token in target.tokens or ("\0",)]
    dictionary.write_text("".join(f'"{token}"\n' for token in tokens))
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    arguments = [sys.argv[0], corpus, f"-dict={dictionary}", *LIMITS, *options]
    atheris.Setup(arguments, keep_breaking(lambda data: run_target(target, data, folder)))
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
