"""Remote files: retries, checks, redirections, the offline switch, and the cache of a remote corpus."""

import gzip
import io
import socket
import ssl
import subprocess
import sys

import pytest
from support.texts import text_of
from support.web_server import CONTENT, Reply

from nlpseq.config import TextConfig
from nlpseq.dataset.encode_cache import cached_dataset
from nlpseq.errors import DataError, MissingExtra
from nlpseq.reading.cloud import CloudFile, find_files
from nlpseq.reading.corpus import open_corpus
from nlpseq.reading.http import HttpFile
from nlpseq.reading.remote import RemoteStream, Retries
from nlpseq.training.provenance import describe_source

FAST = Retries(attempts=3, wait_s=0.0, timeout_s=20.0)
HALF = len(CONTENT) // 2


def read(server, *replies: Reply) -> bytes:
    """Return the file of a server that gives these replies, then complete files."""
    server.replies = [*replies, Reply()]
    with RemoteStream(HttpFile(server.url(), FAST)) as stream:
        return stream.read()


# broken connections


@pytest.mark.parametrize(
    "fault",
    [
        Reply(cut=HALF),
        Reply(cut=0),
        Reply(status=503),
        Reply(chunked=True, cut=HALF),
        Reply(cut=HALF, etag=None, date="Wed, 01 Jul 2015 11:00:00 GMT"),
    ],
    ids=["cut", "cut-at-once", "busy", "cut-chunked", "date"],
)
def test_stream_goes_on_after_fault(web_server, fault):
    web_server.replies = [fault, Reply(etag=fault.etag, date=fault.date, chunked=fault.chunked)]
    with RemoteStream(HttpFile(web_server.url(), FAST)) as stream:
        assert stream.read() == CONTENT
    again = web_server.requests[1]
    sent = fault.status is None and fault.cut != 0
    assert ("Range" in again) == sent
    assert again.get("If-Range") == ((fault.etag or fault.date) if sent else None)


def test_stream_goes_on_after_silence(web_server):
    web_server.replies = [Reply(stall=HALF), Reply()]
    with RemoteStream(HttpFile(web_server.url(), Retries(attempts=50, wait_s=0.0, timeout_s=1.0))) as stream:
        assert stream.read() == CONTENT
    assert web_server.requests[1]["If-Range"] == '"1"'


def test_server_without_ranges_sends_the_same_bytes_again(web_server):
    for fault in (Reply(cut=HALF), Reply(cut=HALF, etag=None), Reply(cut=HALF, etag='W/"1"')):
        rest = Reply(etag=fault.etag, ranges=False)
        web_server.replies = [fault, rest]
        with RemoteStream(HttpFile(web_server.url(), FAST)) as stream:
            assert stream.read() == CONTENT
    assert "Range" not in web_server.requests[-2], "a weak ETag allows other bytes"


@pytest.mark.parametrize(
    "other",
    [Reply(etag='"2"'), Reply(CONTENT + b"more"), Reply(b"x" + CONTENT[1:], etag=None)],
    ids=["etag", "length", "bytes"],
)
def test_changed_file_is_an_error_and_no_mixture(web_server, other):
    web_server.replies = [Reply(cut=HALF, etag=other.etag and '"1"'), other]
    with pytest.raises(DataError, match=r"corpus\.txt: changed on the server while it was read\. Start"):
        RemoteStream(HttpFile(web_server.url(), FAST)).read()


def test_date_of_the_answer_is_no_version(web_server):
    first, *others = (Reply(etag=None, date=f"Fri, 01 Jan 2100 00:00:{second}0 GMT") for second in range(5))
    first.cut = HALF
    assert read(web_server, first, *others) == CONTENT
    assert "Range" not in web_server.requests[1]
    file = HttpFile(web_server.url(), FAST)
    file.keep_sha256("0" * 64)
    assert file.known_sha256() is None, "the text is read each time"


def test_answer_with_another_part_is_not_used(web_server):
    assert read(web_server, Reply(cut=HALF), Reply(false_start=7)) == CONTENT


def test_change_after_the_last_byte_is_an_error(web_server):
    with pytest.raises(DataError, match="changed on the server"):
        read(web_server, Reply(), Reply(etag='"2"'))


def test_attempts_without_progress_are_limited(web_server):
    with pytest.raises(DataError, match=r"cannot be read \(.* after 0 of 512,000 bytes\)\. Check"):
        read(web_server, *[Reply(cut=0)] * 3)
    assert len(web_server.requests) == 3
    assert read(web_server, *[Reply(cut=HALF // 4)] * 5) == CONTENT  # each attempt makes progress


def test_false_length_is_an_error(web_server):
    longer = Reply(length=len(CONTENT) + 1)
    with pytest.raises(DataError, match=r"after 512,000 of 512,001 bytes"):
        read(web_server, longer, longer, longer, longer)
    with pytest.raises(DataError, match="changed on the server"):
        read(web_server, Reply(length=len(CONTENT) - 1))  # the server told the true length later


def test_server_that_does_not_answer_is_named(web_server):
    address = web_server.url()
    web_server.stop()
    with pytest.raises(DataError, match=r"corpus\.txt: cannot be read \(Connection refused\)\. Check"):
        RemoteStream(HttpFile(address, FAST)).read()


@pytest.mark.parametrize("status", [403, 404])
def test_refusal_is_not_tried_again(web_server, status):
    with pytest.raises(DataError, match=rf"cannot be read \(the server answered {status} .*\)\. Check"):
        read(web_server, Reply(status=status))
    assert len(web_server.requests) == 1


# addresses


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("http://example.org/a.txt", r"uses http:// and is not encrypted.*Use an address with https://"),
        ("https://", "names no server"),
        ("https://host:port/a", "is not a valid address"),
        ("https://me:secret@example.org/a", "holds a user name"),
        ("ftp://example.org/a", r"starts with an unknown scheme\. Use https://, s3://"),
    ],
)
def test_unusable_address_is_refused(address, problem):
    with pytest.raises(DataError, match=problem):
        open_corpus(address)


@pytest.mark.parametrize(
    "location", ["http://example.org/a.txt", "file:///etc/passwd", "ftp://example.org/a"]
)
def test_redirection_to_unsafe_address_is_refused(web_server, location):
    with pytest.raises(DataError, match=r"is redirected to (http|ftp)://example|cannot be read \(the server"):
        read(web_server, Reply(status=302, location=location, content=b""))


def test_redirection_on_the_same_server_is_followed(web_server):
    assert read(web_server, Reply(status=302, location="/other.txt", content=b"")) == CONTENT
    assert web_server.requests[1]["path"] == "/other.txt"


def test_encrypted_server_is_verified_and_not_downgraded(web_server, tmp_path, monkeypatch):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"openssl makes no certificate: {error}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    plain = web_server.url()
    web_server.encrypt(context)
    file = HttpFile(plain.replace("http:", "https:"), Retries(1, 0.0, 5.0))
    with pytest.raises(DataError, match="the certificate is not valid: self-signed"):
        RemoteStream(file).read()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert RemoteStream(file).read() == CONTENT
    web_server.replies = [Reply(status=302, location=plain, content=b"")]
    with pytest.raises(DataError, match=r"is redirected to http://127\.0\.0\.1.* is not encrypted"):
        RemoteStream(file).read()


@pytest.mark.parametrize("address", ["https://example.org/a", "s3://b/a", "gs://b/a", "hf://datasets/b/a"])
def test_offline_refuses_every_address(address, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("looked up a name")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("NLPSEQ_OFFLINE", "1")
    with pytest.raises(DataError, match="needs the network, and NLPSEQ_OFFLINE forbids it"):
        open_corpus(address).size_bytes()


@pytest.mark.parametrize(("scheme", "package"), [("s3", "s3fs"), ("gs", "gcsfs"), ("hf", "huggingface_hub")])
def test_package_of_a_store_is_named(scheme, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    message = rf'needs {package}, which is not installed\. Type: pip install "\.\[data\]" {package}'
    with pytest.raises(MissingExtra, match=message):
        open_corpus(f"{scheme}://bucket/a.txt")


# corpora


@pytest.fixture
def memory():
    """Return fsspec's file system in memory, empty."""
    filesystem = pytest.importorskip("fsspec").filesystem("memory")
    filesystem.store.clear()
    filesystem.pseudo_dirs[:] = [""]
    return filesystem


def test_cloud_corpus_is_a_file_a_folder_or_a_glob(memory):
    for name in ("b.txt", "a.txt", "sub/c.txt", ".hidden", "sub/.git/d"):
        memory.pipe(f"/corpus/{name}", f"{name}\n".encode())
    assert text_of("memory://corpus/a.txt") == "a.txt\n"
    assert text_of("memory://corpus") == text_of("memory://corpus/") == "a.txt\nb.txt\nsub/c.txt\n"
    assert text_of("memory://corpus/*.txt") == "a.txt\nb.txt\n"
    assert [open_corpus(f"memory://corpus{end}").name for end in ("", "/*.txt", "/b.txt")] == [
        "corpus",
        "a",
        "b",
    ]
    for missing in ("memory://corpus/d.txt", "memory://corpus/*.gz", "memory://other"):
        with pytest.raises(DataError, match=r": no such file\. Check the address"):
            open_corpus(missing)


def test_cloud_file_that_changes_is_an_error(memory):
    memory.pipe("/a.txt", b"before")
    (file,) = find_files("memory://a.txt", FAST)
    stream = RemoteStream(file)
    assert stream.read(3) == b"bef"
    memory.pipe("/a.txt", b"after!")
    with pytest.raises(DataError, match=r"memory:///a\.txt: changed on the server while it was read"):
        stream.read()


class FlakyStream(io.BytesIO):
    """The content, with an error of the store's own library after half of it."""

    def __init__(self, fails: bool) -> None:
        super().__init__(CONTENT)
        self.fails = fails

    def read(self, size: int) -> bytes:
        if self.fails and self.tell() >= HALF:
            raise RuntimeError("a token of the store has expired")
        return super().read(size)


class FlakyStore:
    """A file system of fsspec whose first stream fails."""

    unstrip_protocol = staticmethod("s3://{}".format)

    def __init__(self) -> None:
        self.streams = list[FlakyStream]()
        self.is_listed = True  # by an earlier call, perhaps before a change

    def invalidate_cache(self) -> None:
        self.is_listed = False

    def info(self, _: str) -> dict[str, object]:
        assert not self.is_listed
        self.is_listed = True
        return {"size": len(CONTENT), "ETag": "1"}

    def open(self, *_) -> FlakyStream:
        self.streams.append(FlakyStream(fails=not self.streams))
        return self.streams[-1]


def test_cloud_file_goes_on_after_an_error_of_its_library():
    store = FlakyStore()
    stream = RemoteStream(CloudFile(store, "bucket/a.txt", FAST))
    assert b"".join(iter(lambda: stream.read(1000), b"")) == CONTENT
    assert len(store.streams) > 1


def test_remote_text_is_read_like_a_file(web_server):
    web_server.replies = [Reply(gzip.compress("하나 둘\n".encode()))]
    corpus = open_corpus(web_server.url("/ko/%ED%95%9C%EA%B8%80.txt.gz?key=a*b"))
    assert (corpus.name, corpus.size_bytes()) == ("한글", len(web_server.replies[0].content))
    assert corpus.describe().endswith(".txt.gz"), "the query may hold a key"
    assert text_of(web_server.url()) == "하나 둘\n"


def test_remote_corpus_is_cached_by_version(web_server, tmp_path):
    config, text = TextConfig(min_count=1), b"a text from far away\n" * 3
    web_server.replies = [Reply(text)]
    first = cached_dataset(open_corpus(web_server.url()), config)
    requests = len(web_server.requests)
    again = cached_dataset(open_corpus(web_server.url()), config)
    assert again.path == first.path
    assert describe_source(again, (web_server.url("/?a"),))["sources"] == [web_server.url("/?a")]
    assert len(web_server.requests) == requests + 1, "the version alone was asked for"
    (tmp_path / "copy.txt").write_bytes(text)
    assert cached_dataset(open_corpus(tmp_path / "copy.txt"), config).path == first.path
    web_server.replies = [Reply(text.upper(), etag='"2"')]
    config = TextConfig(min_count=1, lower=False)
    assert "TEXT" in cached_dataset(open_corpus(web_server.url()), config).vocab.words
    for word in ("NEXT", "LAST"):  # without a version, the text is read each time
        web_server.replies = [Reply(text.replace(b"text", word.encode()), etag=None)]
        assert word in cached_dataset(open_corpus(web_server.url()), config).vocab.words


def test_sha256_is_known_of_the_same_version_only(web_server):
    HttpFile(web_server.url(), FAST).keep_sha256("0" * 64)
    assert HttpFile(web_server.url(), FAST).known_sha256() == "0" * 64
    web_server.replies = [Reply(etag='"2"')]
    assert HttpFile(web_server.url(), FAST).known_sha256() is None


def test_command_reads_an_address(web_server, run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    web_server.replies = [Reply(b"one two three\n" * 40)]
    done = run_cli("preprocess", web_server.url(f"/news.txt?key={'x' * 300}"))
    assert (done.exit_code, done.stdout) == (0, "news.tokens\n"), done.stderr
