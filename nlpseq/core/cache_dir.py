"""Find the folder that keeps encoded corpora and compiled kernels between runs."""

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
import warnings
from functools import cache
from pathlib import Path

__all__ = ["cache_dir", "optional_cache_dir", "use_cache_for_numba"]


def cache_dir(subfolder: str = "") -> Path:
    """Return the cache folder, or a subfolder of it, created and writable.

    NLPSEQ_CACHE_DIR, else XDG_CACHE_HOME/nlpseq, else the default of the platform. A read-only folder causes
    a warning and is replaced by a temporary folder, so the run goes on.
    """
    return _writable(_writable(_configured()) / subfolder)


def optional_cache_dir(subfolder: str) -> Path | None:
    """Return a subfolder of the cache, created, or None if the folder is read-only."""
    folder = _configured() / subfolder
    return folder if _write_error(folder) is None else None


def _configured() -> Path:
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
def _writable(folder: Path) -> Path:
    """Create and return a folder, or a temporary one if the folder is read-only."""
    error = _write_error(folder)
    if error is None:
        return folder
    fallback = Path(tempfile.mkdtemp(prefix="nlpseq-cache-"))
    atexit.register(shutil.rmtree, fallback, ignore_errors=True)
    warnings.warn(
        f"cache folder {folder}: cannot be written ({error.strerror}). Using {fallback} for this run. "
        "Set NLPSEQ_CACHE_DIR to a writable folder.",
        stacklevel=3,
    )
    return fallback


@cache
def _write_error(folder: Path) -> OSError | None:
    """Create a folder, and return the error if that or writing into the folder fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return error


def use_cache_for_numba(package: Path = Path(__file__).parents[1]) -> None:
    """Point the cache of Numba at a subfolder for these sources; call before importing a kernel.

    The name of the subfolder is a digest of the sources of all kernels of `package`, because Numba notices
    changes in the file of a compiled function, but not in imported files.
    """
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    sources = [package / "core" / "counter_rng.py", *sorted(package.rglob("*_numba.py"))]
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()
    os.environ["NUMBA_CACHE_DIR"] = str(cache_dir("numba") / digest[:16])
    numba = sys.modules.get("numba")  # which reads the variable at import, maybe too early
    if numba is not None and not numba.config.CACHE_DIR:
        numba.config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
