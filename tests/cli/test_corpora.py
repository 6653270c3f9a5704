"""corpora get: size and licence first, questions, and no network unless a name was typed."""

import json
import socket
from hashlib import sha256
from importlib import import_module
from pathlib import Path

import pytest
from support.terminals import run_on_terminal
from support.web_server import Reply

corpora = import_module("nlpseq.corpora")


@pytest.fixture
def catalog(web_server, tmp_path, monkeypatch):
    """Replace the catalog by three corpora of the web server; return its reply."""
    monkeypatch.setenv("NLPSEQ_CACHE_DIR", str(tmp_path / "cache"))
    reply = Reply(b"one two three\n" * 40)
    web_server.replies = [reply]
    checked = corpora.Download((web_server.url(),), len(reply.content), sha256(reply.content).hexdigest())
    unchecked = corpora.Download((web_server.url(),))
    entries = [
        corpora.Entry("news", "some news", "CC0", "A. Author 2020", downloads=(checked,)),
        corpora.Entry("wild", "some text", "CC0", downloads=(unchecked,)),
        corpora.Entry("strict", "some text", "of its own", downloads=(checked,), must_accept=True),
    ]
    monkeypatch.setattr(corpora, "names", lambda: entries)
    return reply


def test_get_shows_licence_and_prints_the_path(run_cli, catalog):
    assert run_cli("preprocess", "news").exit_code == 4
    done = run_cli("corpora", "get", "news")
    assert done.exit_code == 0, done.stderr
    assert Path(done.stdout.strip()).read_bytes() == catalog.content
    for shown in ("some news", "licence: CC0", "size: 560 bytes", "A. Author 2020", "(as expected)"):
        assert shown in done.stderr
    assert run_cli("corpora", "path", "news").stdout == done.stdout
    listed = json.loads(run_cli("corpora", "list", "--json").stdout)["corpora"]
    assert [(each["name"], each["bytes"], each["ready"]) for each in listed] == [
        ("news", 560, True),
        ("wild", None, False),
        ("strict", 560, False),
    ]


def test_unknown_sha256_needs_yes_once(run_cli, catalog):
    done = run_cli("corpora", "get", "wild")
    assert done.exit_code == 2
    assert "No sha256 of these files is known here" in done.stderr and "Use --yes" in done.stderr
    done = run_cli("corpora", "get", "wild", "--yes")
    assert f"sha256 {sha256(catalog.content).hexdigest()} (kept for the next time)" in done.stderr
    path = Path(done.stdout.strip())
    path.unlink()
    path.parent.rmdir()
    assert run_cli("corpora", "get", "wild").stdout == done.stdout


ON_TERMINAL = """
import sys
from importlib import import_module
corpora = import_module("nlpseq.corpora")
wild = corpora.Entry("wild", "some text", "CC0", downloads=(corpora.Download((sys.argv.pop(1),)),))
corpora.names = lambda: [wild]
import_module("nlpseq.cli").main()
"""


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("\n", 2)])
def test_terminal_is_asked_if_no_sha256_is_known(catalog, web_server, typed, code):
    args = (web_server.url(), "corpora", "get", "wild")
    done = run_on_terminal(*args, typed=typed, program=("-c", ON_TERMINAL))
    assert done.returncode == code, done.stderr
    assert "cannot be checked. Download them? [y/N]" in done.stderr
    assert ("was not downloaded. Answer y, or use --yes." in done.stderr) == (code == 2)


def test_licence_must_be_accepted_before_the_first_byte(run_cli, catalog, web_server):
    done = run_cli("corpora", "get", "strict")
    assert (done.exit_code, web_server.requests) == (2, [])
    assert "licence: of its own" in done.stderr and "Use --accept-licence." in done.stderr
    assert run_cli("corpora", "get", "strict", "--accept-licence").exit_code == 0


def test_stopped_download_names_the_command(run_cli, catalog, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("nlpseq.reading.remote.RemoteStream.readinto", stop)
    done = run_cli("corpora", "get", "wild", "--yes")
    assert done.exit_code == 130
    assert "type nlpseq corpora get wild to go on" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "corpora get news",
        "train-w2v https://example.org/a.txt",
        "preprocess s3://bucket/a.txt",
        "corpora list",
        "train-w2v news",
    ],
)
def test_offline_commands_open_no_connection(command, run_cli, catalog, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("used the network")

    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("NLPSEQ_OFFLINE", "1")
    done = run_cli(*command.split())
    if command == "corpora list":
        assert done.exit_code == 0
    else:
        assert done.exit_code == 4
        assert "NLPSEQ_OFFLINE" in done.stderr or "is not downloaded yet" in done.stderr


def test_list_shows_sizes_in_a_column(run_cli, catalog):
    lines = run_cli("corpora", "list").stdout.splitlines()
    assert [line.split("  ")[-1].strip() for line in lines] == ["some news", "some text", "some text"]
    assert len({line.index("download, ") for line in lines}) == 1
    assert "wild    download, size unknown  some text" in lines


@pytest.mark.parametrize("command", ["corpora path news", "train-w2v news", "corpora get news"])
def test_offline_advice_names_no_download(run_cli, catalog, monkeypatch, command):
    monkeypatch.setenv("NLPSEQ_OFFLINE", "1")
    done = run_cli(*command.split())
    assert done.exit_code == 4 and "news: needs the network, and NLPSEQ_OFFLINE forbids it" in done.stderr
    assert "Type: nlpseq corpora get" not in done.stderr


def test_path_says_that_a_text_is_built(run_cli, tmp_path, monkeypatch):
    monkeypatch.setattr("nlpseq.corpora.pydocs.cached_text", lambda sources: tmp_path / "pydocs.txt")
    monkeypatch.setattr("nlpseq.corpora.pydocs.MAX_WORDS", 0)
    monkeypatch.setattr("nlpseq.corpora.pydocs.installed_sources", lambda: [("none", tmp_path)])
    assert (
        "pydocs: the text is extracted from the installed packages"
        in run_cli("corpora", "path", "pydocs").stderr
    )
    assert "extracted" not in run_cli("corpora", "path", "pydocs").stderr
