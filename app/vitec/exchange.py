"""One guarded HTTP exchange: what goes out, what comes back, and whether anything went out at all."""

import asyncio
import base64
import logging
import socket
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from app import __version__
from app.forms.model import CallGroup, Login
from app.vitec.answers import Answer, parse_retry_after
from app.vitec.guard import SendGuard

ANSWER_CAP = 64 * 1024
"""Bytes of an answer that are read."""

JSON = "application/json"
XML = "application/xml"

# Raised by a transport only once the request is under way, also by one that calls no trace hook.
_AFTER_SENDING = (
    httpx.ReadError,
    httpx.ReadTimeout,
    httpx.WriteError,
    httpx.WriteTimeout,
    httpx.RemoteProtocolError,
)

# OpenSSL's X509_V_ERR_* (x509_vfy.h).
_CERTIFICATES = {
    9: "CertificateNotYetValid",
    10: "CertificateExpired",
    18: "CertificateSelfSigned",
    19: "CertificateOfUnknownIssuer",
    20: "CertificateOfUnknownIssuer",
    62: "CertificateOfAnotherHost",
    64: "CertificateOfAnotherHost",
}

# A search has a phone number in its address, and these loggers write addresses down.
for _chatty in ("httpx", "httpcore"):
    logging.getLogger(_chatty).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, but for the login."""

    group: CallGroup
    path: str
    """Quoted, without a leading slash."""
    params: dict[str, str] | None = None
    content: bytes | None = None
    """A POST when there is any."""
    media_type: str = JSON
    cap: int = ANSWER_CAP


class PasswordUnreadable(Exception):
    """The password is not to be had: a sentence naming the login and the group of calls, never a value."""


class AnswerTooLarge(Exception):
    """There is more of the answer than is read."""


class AnswerEncoded(Exception):
    """The answer is compressed though none was asked for; a few bytes of it can unpack to gigabytes."""


@dataclass(slots=True)
class _Reply:
    """As much of a reply as has come."""

    response: httpx.Response | None = None
    body: bytes = b""

    async def receive(self, response: httpx.Response, cap: int) -> None:
        self.response = response
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise AnswerEncoded
        async for chunk in response.aiter_bytes():
            room = cap - len(self.body)
            self.body += chunk[:room]
            if len(chunk) > room:
                raise AnswerTooLarge


def check_base_url(url: str) -> None:
    """Raises ValueError where a password would travel in the clear: https, or http to this machine itself."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not _is_loopback(parts.hostname or ""):
        raise ValueError("Vitec's address must begin with https://; http is for this machine alone")


def make_tls() -> ssl.SSLContext:
    """Certificate and name are checked, against certifi's roots alone, from TLS 1.2 on."""
    return httpx.create_ssl_context(verify=True, trust_env=False)


def make_transport(
    timeout: float, *, keep_alive: bool, tls: ssl.SSLContext | None = None
) -> httpx.AsyncBaseTransport:
    """Verifies certificates, takes nothing from the environment, and never sends a request again by itself.

    `timeout` in seconds is how long the kernel may go on offering bytes nobody acknowledges (Linux).
    """
    options = (
        [(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(timeout * 1000))]
        if hasattr(socket, "TCP_USER_TIMEOUT")
        else []
    )
    limits = httpx.Limits(max_keepalive_connections=None if keep_alive else 0, keepalive_expiry=2.0)
    return httpx.AsyncHTTPTransport(
        verify=tls or make_tls(), limits=limits, trust_env=False, retries=0, socket_options=options
    )


def make_request(login: Login, call: Call, *, guard: SendGuard) -> httpx.Request:
    """The request with its credentials, Basic in UTF-8. Raises PasswordUnreadable; ValueError as above."""
    check_base_url(login.base_url)
    headers = {
        "Authorization": f"Basic {_read_credentials(login, call.group)}",
        "Accept": call.media_type,
        "Accept-Encoding": "identity",
        "User-Agent": f"leadgate/{__version__}",
    }
    if call.content is not None:
        headers["Content-Type"] = f"{call.media_type}; charset=utf-8"
    if call.group is not CallGroup.READ:
        headers["Connection"] = "close"
    return httpx.Request(
        "GET" if call.content is None else "POST",
        httpx.URL(f"{login.base_url}/{call.path}", params=call.params),
        headers=headers,
        content=call.content,
        # httpcore leaves a socket open when cancelled between TCP and TLS; its own limit on each comes first.
        extensions={"trace": guard.trace, "timeout": {"connect": max(guard.remaining, 0) / 3}},
    )


async def exchange(
    transport: httpx.AsyncBaseTransport, request: httpx.Request, *, guard: SendGuard, cap: int = ANSWER_CAP
) -> Answer:
    """The answer, whatever happened; all of it by the guard's deadline. Only cancellation passes through.

    Straight over the transport: a client would follow, remember cookies between customers, and log addresses.
    """
    reply, trouble = _Reply(), None
    try:
        guard.check()
        async with asyncio.timeout(guard.remaining):
            response = await transport.handle_async_request(request)
            try:
                await reply.receive(response, cap)
            finally:
                await response.aclose()
    except Exception as error:  # noqa: BLE001  # whatever broke, the caller must learn whether it was sent
        trouble = error
    return _conclude(reply, trouble, sent=guard.sent)


def _conclude(reply: _Reply, trouble: Exception | None, *, sent: bool) -> Answer:
    error = _name(trouble) if trouble else ""
    if reply.response is None:
        return Answer(sent=sent or isinstance(trouble, _AFTER_SENDING), error=error)
    headers = reply.response.headers
    return Answer(
        sent=True,
        status=reply.response.status_code,
        content_type=headers.get("content-type", ""),
        body=reply.body,
        retry_after=parse_retry_after(headers.get("retry-after"), date=headers.get("date")),
        error=error,
    )


def _name(trouble: BaseException) -> str:
    """Of what broke; of TLS what was wrong with it, for no retry mends a certificate."""
    cause: BaseException | None = trouble
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(cause.verify_code, "CertificateRefused")
    return type(trouble if cause is None else cause).__name__


def _read_credentials(login: Login, group: CallGroup) -> str:
    try:
        password = login.password_for(group).read()
    except (OSError, KeyError, ValueError) as error:
        sentence = f"the password of login {login.name} for {group} calls cannot be read"
        raise PasswordUnreadable(f"{sentence}: {type(error).__name__}") from None
    return base64.b64encode(f"{login.username}:{password}".encode()).decode()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
