"""Fuzz a reader guided by coverage; needs `pip install atheris`.

    python tests/trust/fuzz.py NAME CORPUS [options of libFuzzer, such as -max_total_time=600]

NAME: one of intact_files.KINDS. CORPUS: a folder for inputs with new coverage. libFuzzer saves a breaking
input as crash-... in the current folder. After the fix, move the file to findings/NAME for test_findings.py.

An input for a folder is one byte for the choice of a file, then the content of the file. The manifest is
updated, so that the reader looks inside.
"""

import shutil
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import atheris

HERE = Path(__file__).parent
COMPILED = sorted(
    ".".join(file.relative_to(HERE.parents[1]).with_suffix("").parts)
    for file in (HERE.parents[1] / "nlpseq").rglob("*_numba.py")
)

sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parents[1])]
with atheris.instrument_imports(include=["nlpseq", "numpy.lib", "json"], exclude=COMPILED):
    from findings import put
    from intact_files import KINDS, make_sound
    from prober import READERS

    from nlpseq.errors import NlpseqError


def main() -> None:
    name, corpus, *options = sys.argv[1:]
    folder = Path(tempfile.mkdtemp())
    path = make_sound(folder) / name
    seeds = Path(corpus)
    seeds.mkdir(parents=True, exist_ok=True)
    for number, file in enumerate(sorted(path.iterdir()) if path.is_dir() else [path]):
        start = bytes([number]) if path.is_dir() else b""
        (seeds / f"sound-{number}").write_bytes(start + file.read_bytes())

    def read(data: bytes) -> None:
        with put(data, path), suppress(NlpseqError):
            READERS[KINDS[name]](path)

    warnings.simplefilter("ignore")
    atheris.Setup([sys.argv[0], corpus, "-timeout=20", "-rss_limit_mb=4096", *options], read)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
