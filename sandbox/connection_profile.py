"""A Fabric network that is not ours: read from its common connection profile and an MSP folder."""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from offchain_stack import ConnectionProfile, ConnectionProfileError, Endpoint, pem

from .errors import SandboxError
from .ledger import LedgerIdentity, Network, Node

_PUBLIC = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
_LEFT_BEHIND = re.compile(
    r"^[.#]|~$|\.(?:bak|backup|old|orig|save|sw[a-p]|tmp)$|^(?:desktop\.ini|thumbs\.db|icon\r)$", re.IGNORECASE
)
"""Names of files that file managers and editors leave beside others."""


def read(
    profile: Path,
    *,
    msp: Path,
    channel: str,
    chaincode: str,
    msp_id: str | None = None,
    orderers: Sequence[str] = (),
    tls_roots: Path | None = None,
) -> Network:
    """The network of a connection profile (version 1.0.0, JSON or YAML) with the identity in an MSP folder.

    What the profile leaves out: `msp_id`, the identity's organisation; `orderers`, each `host:port` or
    `host:port=name in its certificate`; `tls_roots`, a file with their CA certificates.

    Raises SandboxError that names the file and the field, or the argument, that is wrong.
    """
    try:
        described = ConnectionProfile.read(
            profile,
            channel=channel,
            msp_id=msp_id,
            orderers=[_orderer(text) for text in orderers],
            tls_roots=_tls_roots(tls_roots) if tls_roots else None,
        )
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


def _orderer(text: str) -> Endpoint:
    address, _, tls_hostname = text.partition("=")
    try:
        return Endpoint(address=address.removeprefix("grpcs://"), tls_hostname=tls_hostname or None)
    except ValueError as error:
        raise SandboxError(f"--orderer {text}: {error}") from error


def _tls_roots(file: Path) -> str:
    try:
        return pem.tls_roots(_bytes(file))
    except ValueError as error:
        raise SandboxError(f"--tls-roots {file} {error}") from error


def _node(endpoint: Endpoint) -> Node:
    return Node(endpoint=endpoint.address, tls_hostname=endpoint.tls_hostname, msp_id=endpoint.msp_id)


def identity(msp: Path, *, msp_id: str) -> LedgerIdentity:
    """The certificate in the `signcerts/` of an MSP folder and its key in `keystore/`, whatever else is there.

    Raises SandboxError if there is none, or more than one.
    """
    folder = next((each for each in (msp, msp / "msp") if (each / "signcerts").is_dir()), None)
    if folder is None:
        raise SandboxError(f"{msp} is not an MSP folder: give one with signcerts/ and keystore/, such as user/msp")
    certificates = _usable(folder / "signcerts", _certificate)
    keys = _usable(folder / "keystore", _private_key)
    pairs = {
        (certificate, key): certificate_file
        for certificate_file, (certificate, public_key) in certificates.items()
        for key, its_public_key in keys.values()
        if public_key == its_public_key
    }
    if not pairs:
        raise SandboxError(f"{_listed(keys)} is not the key of {_listed(certificates)}")
    if len(pairs) > 1:
        raise SandboxError(
            f"{_listed(pairs.values())} each have a key in {folder / 'keystore'}: leave one of them there"
        )
    ((certificate, key),) = pairs
    return LedgerIdentity(msp_id=msp_id, certificate=certificate, private_key=key)


def _usable(folder: Path, read: Callable[[Path], tuple[str, bytes]]) -> dict[Path, tuple[str, bytes]]:
    """What `read` makes of the files in a folder, without those that it raises NotUsable for, unless all are so."""
    found, refused = {}, []
    for file in _files(folder):
        try:
            found[file] = read(file)
        except pem.NotUsable as error:
            refused.append(f"{error.source} {error.what}" + (f". {error.mend}" if error.mend == pem.CONVERT else ""))
    if not found:
        raise SandboxError("; ".join(refused) or f"{folder} has no file")
    return found


def _files(folder: Path) -> list[Path]:
    """Without what file managers and editors leave, unless there is nothing else."""
    files = sorted(file for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
    return [file for file in files if not _LEFT_BEHIND.search(file.name)] or files


def _certificate(file: Path) -> tuple[str, bytes]:
    """The certificate as PEM, and its public key."""
    text = pem.certificate(_bytes(file), str(file))
    return text, x509.load_pem_x509_certificate(text.encode()).public_key().public_bytes(*_PUBLIC)


def _private_key(file: Path) -> tuple[str, bytes]:
    """The private key as PEM, and its public key."""
    text = pem.private_key(_bytes(file), str(file))
    try:
        return text, load_pem_private_key(text.encode(), None).public_key().public_bytes(*_PUBLIC)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise pem.NotUsable(str(file), "holds a private key that cannot be read", "") from error


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SandboxError(f"{file} cannot be read: {error.strerror}") from error


def _listed(files: Iterable[Path]) -> str:
    return ", ".join(map(str, files))
