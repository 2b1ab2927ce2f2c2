"""A Fabric network that is not ours: read from its common connection profile and an MSP folder."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from offchain_stack import ConnectionProfile, ConnectionProfileError, Endpoint, pem

from .errors import SandboxError
from .ledger import LedgerIdentity, Network, Node


def read(profile: Path, *, msp: Path, channel: str, chaincode: str) -> Network:
    """The network of a connection profile (version 1.0.0, JSON or YAML) with the identity in an MSP folder.

    Raises SandboxError that names the file and the field that is wrong.
    """
    try:
        described = ConnectionProfile.read(profile, channel=channel)
    except ConnectionProfileError as error:
        raise SandboxError(str(error)) from error
    return Network(
        channel=channel,
        chaincode=chaincode,
        peers=tuple(map(_node, described.peers)),
        orderers=tuple(map(_node, described.orderers)),
        tls_roots=described.tls_roots,
        identity=identity(msp, msp_id=described.msp_id),
    )


def _node(endpoint: Endpoint) -> Node:
    return Node(endpoint=endpoint.address, tls_hostname=endpoint.tls_hostname, msp_id=endpoint.msp_id)


def identity(msp: Path, *, msp_id: str) -> LedgerIdentity:
    """Certificate and key of an MSP folder: one file each in `signcerts/` and `keystore/`."""
    certificate_file, key_file = _only_file(msp / "signcerts"), _only_file(msp / "keystore")
    try:
        certificate = pem.certificate(certificate_file.read_bytes(), str(certificate_file))
        key = pem.private_key(key_file.read_bytes(), str(key_file))
        public_key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
        private_key = load_pem_private_key(key.encode(), None)
    except pem.NotUsable as error:
        raise SandboxError(f"{error.source}: {error.what}") from error
    except ValueError as error:
        raise SandboxError(f"{certificate_file} and {key_file} cannot be read: {error}") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private_key.public_key().public_bytes(*form) != public_key.public_bytes(*form):
        raise SandboxError(f"{key_file} is not the key of {certificate_file}")
    return LedgerIdentity(msp_id=msp_id, certificate=certificate, private_key=key)


def _only_file(folder: Path) -> Path:
    files = [file for file in folder.iterdir() if file.is_file()] if folder.is_dir() else []
    if len(files) != 1:
        raise SandboxError(f"{folder} has {len(files)} files; an MSP folder has exactly one there")
    return files[0]
