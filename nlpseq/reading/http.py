"""Files of a web server over HTTP, with the standard library alone.

A broken stream goes on by a Range request with If-Range, so that a server with another version of the file
sends all of it. Unencrypted HTTP is refused, also after a redirection, except on this machine.
"""

import re
import socket
import ssl
import string
from collections.abc import Callable
from datetime import timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPResponse
from ipaddress import ip_address
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from nlpseq.errors import DataError
from nlpseq.reading.remote import Answer, RemoteFile, Retries, Version, check_online

__all__ = ["HttpFile"]

_MAY_PASS = (408, 425, 429, 500, 502, 503, 504)  # status codes of RFC 9110, RFC 8470 and RFC 6585
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class HttpFile(RemoteFile):
    """A file of a web server.

    unencrypted: allow http://, for a file whose content is checked by other means.
    """

    def __init__(self, address: str, retries: Retries = Retries(), *, unencrypted: bool = False) -> None:
        super().__init__(address, _without_query(address), retries)
        self._unencrypted = unencrypted
        self._check_address(address)

    def connect(self, start: int, version: Version | None) -> Answer:
        """Request the file, from `start` on if the version can be named; see RemoteFile.connect."""
        check_online(self.name)
        headers = {"User-Agent": "nlpseq", "Accept-Encoding": "identity"}
        if start and version and version.tag and not version.tag.startswith("W/"):
            headers |= {"Range": f"bytes={start}-", "If-Range": version.tag}
        request = Request(quote(self.address, safe=string.punctuation), headers=headers)
        try:
            opener = build_opener(_CheckedRedirects(self._check_address))
            response: HTTPResponse = opener.open(request, timeout=self.retries.timeout_s)
        except HTTPError as error:
            error.close()
            if error.code in _MAY_PASS:
                raise ConnectionError(f"the server answered {error.code} {error.reason}") from error
            raise self._refused(f"the server answered {error.code} {error.reason}") from error
        except URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise self._refused(f"the certificate is not valid: {error.reason.verify_message}") from error
            if isinstance(error.reason, socket.gaierror) and error.reason.errno == socket.EAI_NONAME:
                raise self._refused("no server has this name") from error
            raise (error.reason if isinstance(error.reason, OSError) else error) from None
        try:
            return self._answer(response, start, version)
        except BaseException:
            response.close()
            raise

    def _answer(self, response: HTTPResponse, start: int, version: Version | None) -> Answer:
        etag = response.headers["ETag"]
        tag = etag if etag and not etag.startswith("W/") else _reliable_date(response.headers) or etag
        if response.status == 200:
            return Answer(Version(response.length, tag), 0, response.read1, response.close)
        found = _CONTENT_RANGE.fullmatch(response.headers["Content-Range"] or "")
        if response.status != 206 or version is None or found is None or int(found[1]) != start:
            raise ConnectionError(f"the server answered {response.status} and sent another part of the file")
        num_bytes = version.num_bytes if found[2] == "*" else int(found[2])
        return Answer(Version(num_bytes, tag or version.tag), start, response.read1, response.close)

    def _check_address(self, address: str, came_from: str = "") -> None:
        """Raise DataError unless the connection is encrypted, or may be unencrypted."""
        shown = _without_query(address)
        try:
            parts = urlsplit(address)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise DataError(f"{shown}: is not a valid address ({error}). Check the address.") from error
        if not host or parts.username:
            problem = "names no server" if not host else "holds a user name, which nlpseq does not send"
            raise DataError(f"{shown}: {problem}. Check the address, or download the file and name it.")
        may_be_plain = (self._unencrypted or _is_this_machine(host)) and not came_from.startswith("https:")
        if parts.scheme != "https" and not (parts.scheme == "http" and may_be_plain):
            which = f"is redirected to {shown}, which" if came_from else f"uses {parts.scheme}:// and"
            raise DataError(
                f"{self.name}: {which} is not encrypted, so that others could change the text. "
                "Use an address with https://, or download the file yourself and name the file."
            )

    def _refused(self, reason: str) -> DataError:
        return DataError(
            f"{self.name}: cannot be read ({reason}). Check the address, or download the file and name it."
        )


class _CheckedRedirects(HTTPRedirectHandler):
    """Follow a redirection only to an address that passes the check."""

    def __init__(self, check: Callable[[str, str], None]) -> None:
        self._check = check

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """Return the next request. Raises DataError if the check fails."""
        try:
            self._check(newurl, req.full_url)
        except DataError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _without_query(address: str) -> str:
    """Return an address for messages, because a query may hold a signature."""
    return re.split("[?#]", address)[0]


def _reliable_date(headers: Message) -> str | None:
    """Return the date of the last change, None if it is too new to tell versions apart.

    A server that makes its answers when asked sends the present time. RFC 9110, section 8.8.2.2.
    """
    try:
        answered, changed = (parsedate_to_datetime(headers[name]) for name in ("Date", "Last-Modified"))
        is_reliable = answered - changed >= timedelta(minutes=1)
    except (TypeError, ValueError):  # no date
        return None
    return headers["Last-Modified"] if is_reliable else None


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
