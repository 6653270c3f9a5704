"""Where encoded corpora and compiled kernels are kept between runs."""

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path


def cache_dir(room: str = "") -> Path:
    """NLPSEQ_CACHE_DIR, else XDG_CACHE_HOME/nlpseq, else the platform's place; created and writable.

    room: a folder in it.

    Where that place cannot be written the cache lives in a temporary folder, with a warning: a read-only
    home costs time, not the run.
    """
    return _usable(_usable(_wanted()) / room)


def _wanted() -> Path:
    if named := os.environ.get("NLPSEQ_CACHE_DIR"):
        return Path(named)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "nlpseq"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", tempfile.gettempdir())) / "nlpseq"
    try:
        home = Path.home()
    except RuntimeError:  # no HOME and no passwd entry
        home = Path(os.devnull)
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "nlpseq"


@cache
def _usable(wanted: Path) -> Path:
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=wanted):
            return wanted
    except OSError as error:
        fallback = Path(tempfile.mkdtemp(prefix="nlpseq-cache-"))
        atexit.register(shutil.rmtree, fallback, ignore_errors=True)
        warnings.warn(
            f"cache folder {wanted} cannot be written ({error.strerror}); using {fallback} for this run. "
            "Set NLPSEQ_CACHE_DIR to a folder that can be.",
            stacklevel=3,
        )
        return fallback


def use_cache_for_numba() -> None:
    """Point Numba's cache of compiled kernels here; must run before a module with kernels is imported.

    A place of their own for these sources, as Numba does not look at what else a kernel was made from.
    """
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    package = Path(__file__).parents[1]
    sources = [package / "core" / "counter_rng.py", *sorted(package.rglob("*_numba.py"))]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    os.environ["NUMBA_CACHE_DIR"] = str(cache_dir("numba") / digest[:16])
    numba = sys.modules.get("numba")  # which a script may have loaded before, and it looks only then
    if numba is not None and not numba.config.CACHE_DIR:
        numba.config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
