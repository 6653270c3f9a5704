"""Time from text to ids for other formats than plain text, and for morphemes: `run.py sources`.

The same paragraphs as plain text, JSON lines, CSV and Parquet are encoded by turns with a fresh cache, on all
threads. A ratio is the time of a format divided by the time of plain text of the same turn. The analyzers of
Korean, far slower, encode the Korean sample once each.
"""

import argparse
import csv
import json
import lzma
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from common import CORPUS, check_tests, heading, run_fresh, training_job

Figures = dict[str, Any]
KOREAN = "kowiki-sample.txt.xz"
CORPORA = (CORPUS, KOREAN)
ANALYZERS = {"kiwi": (0.12, 0.2), "mecab": (0.4, 0.6)}  # must, aim, in MB/s
TESTS = ("tests/dataset/test_sources.py", "tests/reading/test_jsonl.py", "tests/reading/test_tables.py")
SAMPLE_LINES = 200  # of the file that compiles the scanner before the clock


def write_text(file: Path, lines: list[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def write_json_lines(file: Path, lines: list[str], *, ascii: bool = False) -> None:
    records = ({"id": number, "url": f"https://{number}", "text": line} for number, line in enumerate(lines))
    write_text(file, [json.dumps(record, ensure_ascii=ascii) for record in records])


def write_escaped(file: Path, lines: list[str]) -> None:
    write_json_lines(file, lines, ascii=True)


def write_csv(file: Path, lines: list[str]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        rows = ((number, "2020-01-01", line) for number, line in enumerate(lines))
        csv.writer(stream).writerows([("id", "date", "text"), *rows])


def write_parquet(file: Path, lines: list[str]) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"id": range(len(lines)), "text": lines}), file)


FORMS: dict[str, tuple[Callable[[Path, list[str]], None], float, float]] = {  # must, aim
    "plain text": (write_text, 1, 1),
    "JSON lines": (write_json_lines, 1.6, 1.2),
    "JSON lines, escaped": (write_escaped, 1.6, 1.2),
    "CSV": (write_csv, 2, 1.3),
    "Parquet": (write_parquet, 2, 1.3),
}


def sources(options: argparse.Namespace, folder: Path) -> str:
    """Compare every format with plain text, by turns."""
    check_tests(*TESTS)
    table = [
        *heading("Sources", "sources", options),
        "| corpus | format | seconds | of plain text | from | to | must | aim | memory |",
        "|---" * 9 + "|",
    ]
    for corpus in CORPORA:
        text = lzma.decompress((Path(options.data) / corpus).read_bytes()).decode()
        jobs = {form: prepare(form, text.split("\n"), options, folder) for form in FORMS}
        del text
        turns = [{form: run_fresh(job, folder) for form, job in jobs.items()} for _ in range(options.seeds)]
        assert len({figures["tokens"] for turn in turns for figures in turn.values()}) == 1, "unequal texts"
        for form, (_, must, aim) in FORMS.items():
            seconds = [turn[form]["prepare_seconds"] for turn in turns]
            ratios = [turn[form]["prepare_seconds"] / turn["plain text"]["prepare_seconds"] for turn in turns]
            memory = median(turn[form]["peak_mb"] for turn in turns)
            figures = f"{median(ratios):.2f} | {min(ratios):.2f} | {max(ratios):.2f} | {must} | {aim}"
            name = corpus.partition(".")[0]
            table.append(f"| {name} | {form} | {median(seconds):.2f} | {figures} | {memory:.0f} MB |")
            print(table[-1], file=sys.stderr, flush=True)
    return "\n".join([*table, "", *measure_analyzers(options, folder)])


def measure_analyzers(options: argparse.Namespace, folder: Path) -> list[str]:
    """Return a table of the speed and memory of the analyzers of Korean."""
    text = lzma.decompress((Path(options.data) / KOREAN).read_bytes()).decode()
    table = ["| tokenizer | seconds | MB/s | must | aim | memory |", "|---" * 6 + "|"]
    job = prepare("plain text", text.split("\n"), options, folder)
    for name, (must, aim) in ANALYZERS.items():
        figures = run_fresh(job | {"text_config": {"tokenizer": name}}, folder)
        seconds = figures["prepare_seconds"]
        speed = len(text.encode()) / 1e6 / seconds
        table.append(
            f"| {name} | {seconds:.1f} | {speed:.2f} | {must} | {aim} | {figures['peak_mb']:.0f} MB |"
        )
    return table


def prepare(form: str, lines: list[str], options: argparse.Namespace, folder: Path) -> Figures:
    """Write the text in a form, and a sample of it, and return the job of encoding."""
    write, file, sample = FORMS[form][0], folder / form, folder / f"{form} sample"
    write(file, lines)
    write(sample, lines[:SAMPLE_LINES])
    job = training_job(options, file) | {"work": "encode", "tool": "nlpseq", "text_config": {}}
    return job | {"sample": str(sample)}
