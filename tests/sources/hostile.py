"""A server that answers a request with exactly the bytes a test wants, whole, late, or half."""

from __future__ import annotations

import datetime
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Answer = Callable[[socket.socket], None]


def http(status: str, body: bytes = b"", length: int | None = None, **headers: str) -> bytes:
    """A response's bytes. `length` overrides the honest Content-Length; -1 leaves it out."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def sends(data: bytes) -> Answer:
    return lambda connection: connection.sendall(data)


@dataclass
class Server:
    """Answers connections on 127.0.0.1, one request each, until it is closed."""

    answer: Answer
    tls: ssl.SSLContext | None = None
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._closing.set()
        if self._listener.fileno() != -1:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def drips(self, head: bytes, drop: bytes, pause: float) -> Answer:
        """Sends `head`, then `drop` for ever, with pauses too short for a time-out."""

        def answer(connection: socket.socket) -> None:
            connection.sendall(head)
            while not self._closing.wait(pause):
                connection.sendall(drop)

        return answer

    def falls_silent(self, head: bytes) -> Answer:
        def answer(connection: socket.socket) -> None:
            connection.sendall(head)
            self._closing.wait()

        return answer

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, plain: socket.socket) -> None:
        try:
            with self.tls.wrap_socket(plain, server_side=True) if self.tls else plain as connection:
                request = b""
                # A TLS client's greeting, sent to a server without TLS, is no request that could end.
                while not _is_whole(request) and request[:1] in (b"", b"G", b"P"):
                    block = connection.recv(65536)
                    if not block:
                        return
                    request += block
                self.requests.append(request.decode(errors="replace"))
                self.answer(connection)
        except OSError:
            pass  # The reader went away, as it should.


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


@dataclass(frozen=True)
class Authority:
    """A certificate authority made up for one test."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def file(self) -> Path:
        return self.folder / "authority.pem"

    def __post_init__(self) -> None:
        now = datetime.datetime.now(datetime.UTC)
        certificate = _builder("Authority", self, self.key.public_key(), now).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        certificate = certificate.add_extension(
            x509.KeyUsage(
                key_cert_sign=True,
                crl_sign=True,
                digital_signature=False,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,  # Python 3.13 asks authorities for it.
        )
        self.file.write_bytes(_pem(certificate.sign(self.key, hashes.SHA256())))

    def context(self, *names: str, expired: bool = False) -> ssl.SSLContext:
        """A server's context, with a certificate for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=30 if expired else 0)
        certificate = (
            _builder("Server", self, key.public_key(), now)
            .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path = self.folder / f"server-{certificate.serial_number}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(private + _pem(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def _builder(
    name: str, authority: Authority, public: ec.EllipticCurvePublicKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Authority")])
    return (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
