"""Parquet and Arrow: types of strings, nested columns, missing values, corrupt files, no pyarrow."""

import csv
import json
import struct
import sys

import pytest
from support.texts import read_blocks as read, text_of, write_text

from nlpseq.config import TextConfig
from nlpseq.errors import DataError, MissingExtra
from nlpseq.reading.corpus import ReadReport, open_corpus

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

TEXTS = ["one\r\ntwo", None, "", "하나\0x", "last"]


def table(**columns):
    return pa.table({"id": range(len(TEXTS)), **columns})


def write_parquet(path, content, **options):
    pq.write_table(content, path, **options)
    return path


def write_arrow(path, content, new_writer):
    with pa.OSFile(str(path), "wb") as file, new_writer(file, content.schema) as writer:
        writer.write_table(content, max_chunksize=2)
    return path


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_column_is_read_from_every_container(tmp_path, kind):
    content = table(text=pa.array(TEXTS, pa.string()).cast(kind))
    files = [
        write_parquet(tmp_path / "a", content, row_group_size=2),
        write_arrow(tmp_path / "b", content, pa.ipc.new_file),
        write_arrow(tmp_path / "c", content, pa.ipc.new_stream),
    ]
    for file in files:
        report = ReadReport()
        assert text_of(file, report=report) == "one\ntwo\n\n하나 x\nlast\n"
        assert text_of(file, sentences="documents") == "one two\n\n하나 x\nlast\n"
        assert text_of(file, tokenizer="bpe") == "one\ntwo\n\n하나\0x\nlast\n"
        assert text_of(file, tokenizer="bpe", sentences="documents") == "one two\n\n하나 x\nlast\n"
        said = f"skipped 2 records without text in text; the first is {file}, record 2."
        assert report.notices() == [said]
        corpus = open_corpus(file)
        assert [block.bytes_read for block in corpus.blocks(TextConfig(), ReadReport())][-1] > 0
        assert corpus.read_key == corpus.content_key()


def test_first_missing_value_is_located(tmp_path):
    content, report = table(text=pa.array(["a", "b", "c", None, None])), ReadReport()
    read(write_arrow(tmp_path / "a", content, pa.ipc.new_file), report=report)
    assert report.notices() == [
        f"skipped 2 records without text in text; the first is {tmp_path}/a, record 4."
    ]


def test_column_may_be_a_field_of_a_struct(tmp_path):
    meta = pa.array([{"body": "a", "n": 1}, None, {"body": "b", "n": 2}, {"body": None, "n": 3}, None])
    file = write_parquet(tmp_path / "a.parquet", table(meta=meta, title=["x"] * 5))
    assert text_of(file, column="meta.body") == "a\nb\n"
    with pytest.raises(DataError, match=r"has 2 columns with text.*meta\.body \('a'\), title \('x'\)"):
        read(file)
    with pytest.raises(DataError, match=r"has no column 'author'"):
        read(file, column="author")
    for name in ("id", "meta", "meta.n"):
        with pytest.raises(DataError, match=rf"column '{name}' holds no text\. Name one with --column: meta"):
            read(file, column=name)
    with pytest.raises(DataError) as told:  # Parquet cannot be read as plain text
        read(file)
    assert "--format" not in str(told.value)
    with pytest.raises(DataError, match=r"is Parquet, not plain text\. Leave out --format"):
        read(file, format="text")


def test_folder_of_datasets_is_read_without_its_state(tmp_path):
    for split in ("test", "train"):
        (tmp_path / split).mkdir()
        write_arrow(
            tmp_path / split / "data-00000-of-00001.arrow", pa.table({"text": [split]}), pa.ipc.new_stream
        )
        for name in ("state.json", "dataset_info.json"):
            write_text(tmp_path / split / name, '{"text": "state"}')
    write_text(tmp_path / "dataset_dict.json", '{"splits": ["train", "test"]}')
    assert text_of(tmp_path) == "test\ntrain\n"
    assert text_of(tmp_path / "train") == "train\n"


def test_invalid_utf_8_is_counted(tmp_path):
    values = pa.array([b"good", b"bad \xff\xff", b"end", b"", b""]).view(pa.string())
    report = ReadReport()
    assert text_of(write_parquet(tmp_path / "a", table(text=values)), report=report).startswith(
        "good\nbad \ufffd"
    )
    assert report.invalid_bytes == 2


def test_broken_files_are_refused(tmp_path):
    whole = write_parquet(tmp_path / "a", table(text=TEXTS)).read_bytes()
    for content in (whole[:-9], whole[:40]):
        with pytest.raises(DataError, match=r"b: is corrupt .*Copy or download"):
            read(write_text(tmp_path / "b", content))
    with pytest.raises(DataError, match=r"is Parquet, not CSV\. Leave out --format"):
        read(tmp_path / "a", format="csv")
    with pytest.raises(DataError, match=r"is not Parquet\. Leave out --format"):
        read(write_text(tmp_path / "c", "text\n"), format="parquet")


def test_repeated_column_of_text_is_refused(tmp_path):
    """A repeated column without text has no influence."""
    texts, numbers = pa.array(TEXTS), pa.array(range(len(TEXTS)))
    for names, columns in ((["text"] * 2, [texts] * 2), (["n", "n", "text"], [numbers, numbers, texts])):
        content = pa.Table.from_arrays(columns, names)
        for file in (
            write_parquet(tmp_path / "a", content),
            write_arrow(tmp_path / "b", content, pa.ipc.new_file),
        ):
            if names.count("text") == 1:
                assert text_of(file).endswith("last\n")
                continue
            with pytest.raises(DataError, match=rf"{file.name}: has several columns named 'text'\. Keep one"):
                read(file)


def test_forged_offsets_of_arrow_are_refused(tmp_path):
    """Arrow reads offsets without a check, and a wrong offset may end the process."""
    texts, kinds = pa.array(["the cat", "a mat"]), (pa.string(), pa.dictionary(pa.int32(), pa.string()))
    for content in (
        *(pa.table({"text": texts.cast(kind)}) for kind in kinds),
        pa.table({"text": [{"b": "x y"}]}),
    ):
        file = write_arrow(tmp_path / "a", content, pa.ipc.new_file)
        whole = file.read_bytes()
        for offsets in (struct.pack("<2i", 0, 7), struct.pack("<2i", 0, 3)):
            for forged in (struct.pack("<2i", 0, 2**30), struct.pack("<2i", 0, -5)):
                file.write_bytes(whole.replace(offsets, forged))
                if offsets in whole:
                    with pytest.raises(DataError, match=r"a: is corrupt .*Copy or download"):
                        read(file, column="text.b" if b"x y" in whole else None)


def test_name_of_a_column_in_invalid_utf_8_is_refused(tmp_path):
    files = [
        write_parquet(tmp_path / "a", pa.table({"text": TEXTS})),
        write_arrow(tmp_path / "b", pa.table({"text": TEXTS}), pa.ipc.new_stream),
    ]
    for file in files:
        file.write_bytes(file.read_bytes().replace(b"text", b"t\xffxt"))
        with pytest.raises(DataError, match=rf"{file.name}: is corrupt .*Copy or download"):
            read(file)


def test_missing_pyarrow_says_how_to_install(tmp_path, monkeypatch):
    file = write_parquet(tmp_path / "a", table(text=TEXTS))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r'needs pyarrow.*Type: pip install "\.\[data\]"'):
        read(file)


def test_blank_texts_count_alike_in_every_format(tmp_path):
    texts = ["one", "", " \t\n", None, "two"]
    records = [{"id": n, "text": text} for n, text in enumerate(texts)]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    (tmp_path / "a.json").write_text(json.dumps(records))
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "text"], *(record.values() for record in records)])
    content = table(text=texts)
    write_parquet(tmp_path / "a.parquet", content)
    write_arrow(tmp_path / "a.arrow", content, pa.ipc.new_file)
    for source in ("a.jsonl", "a.json", "a.csv", "a.parquet", "a.arrow", texts):
        report = ReadReport()
        path = source if source is texts else tmp_path / source
        assert text_of(path, report=report).split() == ["one", "two"]
        [(number, first)] = report.skipped.values()
        assert number == 3 and first.endswith(" 2"), (source, report.skipped)
