"""check.sh and its tools without a GPU: options, packages, synthetic corpus, table, exit code."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gpu.tools import PACKAGES, import_problems, package_rows, write_synthetic

SCRIPT = Path(__file__).with_name("check.sh")


def check(
    *arguments: object, python: str = sys.executable, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    line = ["bash", str(SCRIPT), "--python", python, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, cwd=cwd)


def hiding(*names: str) -> Any:
    """Return an import function that does not find some packages."""

    def load(name: str) -> Any:
        if name in names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return importlib.import_module(name)

    return load


def test_help_lists_every_option() -> None:
    done = check("--help")
    assert done.returncode == 0
    for option in ("--corpus", "--pairs", "--epochs", "--limit", "--python", "--only", "--smoke"):
        assert option in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fast"], "--fast: unknown option. See tests/gpu/check.sh --help."),
        (["--corpus"], "--corpus: needs a value."),
        (["--corpus", "absent.txt"], "absent.txt: is not a readable file."),
        (["--pairs", "absent.tsv"], "absent.tsv: is not a readable file."),
        (["--epochs", "0"], "--epochs 0: must be a whole number from 1."),
        (["--limit", "1.5"], "--limit 1.5: must be a whole number of seconds from 1."),
        (["--only", "cupy,all"], "--only cupy,all: unknown step."),
    ],
)
def test_wrong_options_exit_2_with_reason(arguments: list[str], message: str) -> None:
    done = check(*arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert message in done.stderr


def test_error_names_missing_python() -> None:
    done = check(python="no-such-python")
    assert done.returncode == 2
    assert "no-such-python: not found. Name Python with --python." in done.stderr


def test_failed_step_is_red_and_others_run() -> None:
    done = check("--smoke", "--only", "packages,lm", python="false")
    assert done.returncode == 1
    assert "| Packages and GPU | FAILED (exit code 1) |" in done.stdout
    assert "| Language model on CUDA | FAILED (exit code 1) |" in done.stdout


def test_slow_step_is_ended_and_red(tmp_path: Path) -> None:
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\ncase $1 in -c) ;; *) sleep 60 ;; esac\n")
    slow.chmod(0o755)
    done = check("--smoke", "--only", "packages", "--limit", 1, python=str(slow))
    assert done.returncode == 1
    assert "| Packages and GPU | FAILED (longer than 1 s) |" in done.stdout


def test_error_names_missing_package_and_command() -> None:
    rows = dict(package_rows(smoke=False, load=hiding("scipy", "cupy", "torch")))
    missing = [line for line, is_usable in rows.items() if not is_usable]
    assert any(line.startswith("scipy: missing (No module named 'scipy')") for line in missing)
    assert any(
        "cupy: missing" in line and "cupy-cuda12x" in line and "cupy-cuda13x" in line for line in missing
    )
    assert any(line.startswith("PyTorch: not installed") for line in missing)
    assert any(line.startswith("numpy ") for line in rows)


def test_smoke_test_needs_no_cupy() -> None:
    rows = list(package_rows(smoke=True, load=hiding("cupy")))
    assert all(is_usable for line, is_usable in rows if line.startswith("cupy"))
    assert len(rows) == 1 + len(PACKAGES)


def test_import_problem_names_module() -> None:
    problems = import_problems(hiding("nlpseq.lm.train"))
    assert problems == ["nlpseq.lm.train: cannot be imported (No module named 'nlpseq.lm.train')."]


@pytest.mark.slow
def test_code_under_test_needs_listed_packages_only() -> None:
    """nltk, backports.zstd, click and tqdm may be missing on a GPU machine."""
    code = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("nltk", "click", "tqdm", "sklearn", "matplotlib", "charset_normalizer"):
            raise ModuleNotFoundError(name)
        if name == "backports.zstd" and "stand_ins" not in str(path):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
from tools import import_problems, main
assert import_problems() == [], import_problems()
"""
    folder = SCRIPT.parent
    paths = [folder.parents[1], folder, folder / "stand_ins"]
    path = ":".join(map(str, paths))
    environment = {"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_synthetic_corpus_has_topics(tmp_path: Path) -> None:
    corpus, pairs = write_synthetic(tmp_path, 2000, 0.6)
    lines = [line.split() for line in corpus.read_text().splitlines()]
    assert len(lines) == 2000 and {len(line) for line in lines} == {20}
    common = [max(np.unique([word.split("w")[0] for word in line], return_counts=True)[1]) for line in lines]
    assert np.mean(common) == pytest.approx(12, abs=0.5)  # 60 % of 20 words
    rows = [line.split("\t") for line in pairs.read_text().splitlines()]
    assert all((a.split("w")[0] == b.split("w")[0]) == (score == "1") for a, b, score in rows)
    assert sum(score == "1" for *_, score in rows) == 200
    assert write_synthetic(tmp_path, 2000, 0.6)[0].read_text() == corpus.read_text()


@pytest.mark.slow
def test_smoke_benchmark_prints_table(tmp_path: Path) -> None:
    corpus, _ = write_synthetic(tmp_path, 1000)
    done = check("--smoke", "--only", "benchmark", "--epochs", 1, "--corpus", corpus.name, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = done.stdout.partition("== Summary (smoke test on the CPU)")[2]
    assert "| Benchmark of skip-gram | passed |" in summary
    assert "Spearman x 100, synthetic-pairs.tsv" in summary and "| CPU kernel, " in summary
