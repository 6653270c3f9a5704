"""A web server on this machine, with the faults of servers and networks."""

import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONTENT = bytes(range(256)) * 2000  # 512 kB, more than the buffers of a socket on this machine hold


@dataclass
class Reply:
    """One answer of the server; the default is the whole file, or the part asked for."""

    content: bytes = CONTENT
    etag: str | None = '"1"'
    date: str | None = None
    status: int | None = None  # an error
    location: str | None = None  # of a redirection
    cut: int | None = None  # close the connection after so many bytes of the body
    stall: int | None = None  # send nothing more after so many bytes of the body
    length: int | None = None  # announced, in place of the true length
    chunked: bool = False
    ranges: bool = True  # answer a Range request with the part
    false_start: int | None = None  # first byte of the answer to a Range request


@dataclass
class WebServer:
    """Replies in order, the last again and again; requests: headers of each request."""

    replies: list[Reply] = field(default_factory=lambda: [Reply()])
    requests: list[dict[str, str]] = field(default_factory=list)

    def __enter__(self) -> "WebServer":
        self._released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.requests.append({"path": self.path, **self.headers})
                reply = server.replies.pop(0) if len(server.replies) > 1 else server.replies[0]
                self.close_connection = True
                server.answer(self, reply)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_: Any) -> None:  # a client may close the connection early
                pass

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def url(self, path: str = "/corpus.txt") -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def encrypt(self, context: Any) -> None:
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def answer(self, handler: Any, reply: Reply) -> None:
        body, start = reply.content, 0
        asked = handler.headers["Range"]
        if asked and reply.ranges and handler.headers["If-Range"] in (reply.etag, reply.date):
            start = reply.false_start or int(asked.removeprefix("bytes=").removesuffix("-"))
        body = body[start:]
        handler.send_response(reply.status or (206 if start else 200))
        if start:
            last = len(reply.content) - 1
            handler.send_header("Content-Range", f"bytes {start}-{last}/{reply.length or last + 1}")
        headers = {"ETag": reply.etag, "Last-Modified": reply.date, "Location": reply.location}
        for name, value in headers.items():
            if value is not None:
                handler.send_header(name, value)
        if reply.chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        else:
            handler.send_header("Content-Length", str((reply.length or len(reply.content)) - start))
        handler.end_headers()
        if reply.chunked:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        handler.wfile.write(body[: reply.cut if reply.stall is None else reply.stall])
        if reply.stall is not None:
            handler.wfile.flush()
            self._released.wait()
