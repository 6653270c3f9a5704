"""The cache folder is found, or replaced by a temporary folder with a warning."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nlpseq.core.cache_dir import cache_dir, use_cache_for_numba


@pytest.fixture
def home(monkeypatch, tmp_path):
    """Return an empty home folder, with no variable that points elsewhere."""
    for name in ("NLPSEQ_CACHE_DIR", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delitem(sys.modules, "numba", raising=False)  # because Numba keeps its settings
    return tmp_path


def test_cache_dir_variable_comes_first(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    assert cache_dir() == home / "xdg" / "nlpseq"
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(home / "named" / "deep"))
    assert cache_dir() == home / "named" / "deep"
    assert cache_dir().is_dir()


@pytest.mark.skipif(sys.platform != "linux", reason="other platforms have another default")
def test_default_cache_is_in_home_folder(home, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "")  # set but empty counts as unset
    assert cache_dir() == home / ".cache" / "nlpseq"


def test_unwritable_folder_causes_one_warning(home, monkeypatch):
    (home / "file").write_text("not a folder")
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(home / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(home))
    with pytest.warns(UserWarning, match=r"file/cache: cannot be written .* Set NLPSEQ_CACHE_DIR") as warned:
        fallback = cache_dir()
    assert fallback.is_dir()
    assert fallback.parent == home
    assert cache_dir() == fallback  # without a second warning
    assert len(warned) == 1


def test_unwritable_subfolder_causes_a_warning(home, monkeypatch):
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(home / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(home))
    assert cache_dir("numba") == home / "cache" / "numba"
    (home / "cache" / "tokens").write_text("not a folder")
    with pytest.warns(UserWarning, match=r"cache folder .*tokens: cannot be written .* Set NLPSEQ_CACHE_DIR"):
        assert cache_dir("tokens").parent == home


def test_read_only_folder_causes_a_warning(home, monkeypatch):
    def refuse(**_):  # because mode bits do not stop root
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    monkeypatch.setattr("tempfile.tempdir", str(home))
    with pytest.warns(UserWarning, match="Permission denied"):
        assert cache_dir().parent == home


def test_missing_home_causes_a_warning(home, monkeypatch):
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr("tempfile.tempdir", str(home))
    with pytest.warns(UserWarning, match="cannot be written"):
        assert cache_dir().parent == home


def test_numba_cache_is_here_unless_user_sets_it(home, monkeypatch):
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(home / "cache"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "elsewhere")
    use_cache_for_numba()
    assert os.environ["NUMBA_CACHE_DIR"] == "elsewhere"
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    use_cache_for_numba()
    assert Path(os.environ["NUMBA_CACHE_DIR"]).parent == home / "cache" / "numba"


@pytest.mark.slow
def test_numba_cache_is_set_after_numba_is_loaded(home):
    script = """if True:
        import numba
        from nlpseq.dataset.parallel import block_tokenizer
        from nlpseq.config import TextConfig
        block_tokenizer(TextConfig())(b"a few words")
    """
    subprocess.run([sys.executable, "-c", script], check=True)
    assert list(home.glob(".cache/nlpseq/numba/*/**/*.nbi"))


def test_kernels_of_other_sources_have_other_folder(home, monkeypatch, tmp_path):
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(home / "cache"))
    for folder in ("core", "kernels"):
        (tmp_path / folder).mkdir()
    folders = []
    generator = "core/counter_rng.py"
    for name in (generator, "kernels/step_numba.py", "kernels/step.py", generator):
        (tmp_path / generator).touch()
        with (tmp_path / name).open("a") as source:
            source.write("x = 1\n")
        monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
        use_cache_for_numba(package=tmp_path)
        folders.append(os.environ["NUMBA_CACHE_DIR"])
    assert folders[1] == folders[2] and len(set(folders)) == 3
