"""Pages as they go over the wire: gzip for whoever takes it, and done once where all but a token stays the same."""

import re
import zlib
from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response

_LEVEL = 6
_COMPRESS_FROM = 500
"""Bytes."""
COMPRESSED = Middleware(GZipMiddleware, compresslevel=_LEVEL, minimum_size=_COMPRESS_FROM)
"""For pages and their files. What the API answers is too short to gain by it."""

_GZIP = re.compile(r"(?:^|[\s,])gzip(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))(?![^\s,;])", re.IGNORECASE)

# RFC 1952 §2.3: deflated, nothing optional, no time, no system.
_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
PACKED = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
"""The headers of an answer that has been compressed."""
_WINDOW = 1 << 15


def takes_gzip(request: Request) -> bool:
    """RFC 9110 §12.5.3, but for `*`, by which nobody means it."""
    return bool(_GZIP.search(request.headers.get("accept-encoding", "")))


def compress(response: Response, request: Request) -> bytes:
    """Its body as it goes out, and its headers told of it."""
    body = bytes(response.body)
    if len(body) < _COMPRESS_FROM or "content-encoding" in response.headers:
        return body
    response.headers.add_vary_header("Accept-Encoding")
    if not takes_gzip(request):
        return body
    packer = zlib.compressobj(_LEVEL, wbits=zlib.MAX_WBITS + 16)
    packed = packer.compress(body) + packer.flush()
    response.headers["Content-Encoding"] = "gzip"
    response.headers["Content-Length"] = str(len(packed))
    return packed


class Stencil:
    """A page with holes for a token of one length.

    To compress a page takes several times as long as all the rest of its answer. Here what lies around the token is
    compressed once; the token stands between as a block that is not (RFC 1951 §3.2.4).
    """

    def __init__(self, parts: Sequence[bytes], length: int) -> None:
        """`parts` lie around the holes; `length` bytes are to go into each."""
        self.length = length
        self._parts = parts
        self._size = sum(map(len, parts)) + length * (len(parts) - 1)
        size = length.to_bytes(2, "little")
        self._mark = b"\x00" + size + bytes(255 - byte for byte in size)
        hole, known = bytes(length), b""
        self._packed: list[bytes] = []
        for part in parts:
            # What has gone before may be referred to, but for the holes, which are no zeros any more.
            before = b"" if b"\0" in part else known[-_WINDOW:]
            packer = zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS, zdict=before)
            last = len(self._packed) == len(parts) - 1
            body = packer.compress(part)
            self._packed.append(body + packer.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH))
            known += part + hole

    def fill(self, token: bytes) -> bytes:
        return token.join(self._parts)

    def pack(self, token: bytes) -> bytes:
        """The filled page as a gzip file."""
        check = zlib.crc32(self._parts[0])
        for part in self._parts[1:]:
            check = zlib.crc32(part, zlib.crc32(token, check))
        tail = check.to_bytes(4, "little") + self._size.to_bytes(4, "little")
        return _HEAD + (self._mark + token).join(self._packed) + tail
