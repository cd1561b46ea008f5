"""TLS between relays with a certificate that each listener makes for itself and that no authority has signed.

It need not be known beforehand: whoever calls hands its digest (`binding`) to the handshake, whose HMAC only the holder
of the platform's secret key can make for this very certificate.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

_DAYS: Final = 3650


@dataclass(frozen=True)
class Listening:
    """What a listener needs: its side of TLS, and the digest of its certificate."""

    context: ssl.SSLContext
    binding: bytes


def listening_new() -> Listening:
    """A fresh key and certificate, of this process alone."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mlplatform relay")])
    now = datetime.now(tz=UTC)  # nobody checks the times: clocks may differ
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    _load(context, pem)
    return Listening(context, binding_of(certificate.public_bytes(serialization.Encoding.DER)))


@cache
def calling_context() -> ssl.SSLContext:
    """The caller's side: it takes any certificate, because the handshake will tell whose it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def binding_of(certificate: bytes) -> bytes:
    """The digest of a certificate in DER."""
    return hashlib.sha256(certificate).digest()


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """OpenSSL reads files only; this one is in memory where the system has such, and else the user's own."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("relay", os.MFD_CLOEXEC)
        try:
            os.write(descriptor, pem)
            context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
