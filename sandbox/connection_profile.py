"""A Fabric network that is not ours: read from its common connection profile and an MSP folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from .errors import SandboxError
from .ledger import LedgerIdentity, Network, Node


def read(profile: Path, *, msp: Path, channel: str, chaincode: str) -> Network:
    """The network of a connection profile (version 1.0.0, JSON or YAML) with the identity in an MSP folder.

    Raises SandboxError that names the file and the field that is wrong.
    """
    return Network(
        channel=channel,
        chaincode=chaincode,
        identity=identity(msp, msp_id=_Profile(profile).msp_id()),
        **_Profile(profile).nodes(channel),
    )


def identity(msp: Path, *, msp_id: str) -> LedgerIdentity:
    """Certificate and key of an MSP folder: one file each in `signcerts/` and `keystore/`."""
    certificate_file, key_file = _only_file(msp / "signcerts"), _only_file(msp / "keystore")
    certificate, key = certificate_file.read_text("utf-8"), key_file.read_text("utf-8")
    try:
        public_key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    except ValueError as error:
        raise SandboxError(f"{certificate_file} is no certificate in PEM") from error
    try:
        private_key = load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError) as error:
        raise SandboxError(f"{key_file} is no private key in PEM without a password") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private_key.public_key().public_bytes(*form) != public_key.public_bytes(*form):
        raise SandboxError(f"{key_file} is not the key of {certificate_file}")
    return LedgerIdentity(msp_id=msp_id, certificate=certificate, private_key=key)


def _only_file(folder: Path) -> Path:
    files = [file for file in folder.iterdir() if file.is_file()] if folder.is_dir() else []
    if len(files) != 1:
        raise SandboxError(f"{folder} has {len(files)} files; an MSP folder has exactly one there")
    return files[0]


class _Profile:
    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            text = file.read_text("utf-8")
            value = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
        except OSError as error:
            raise SandboxError(f"{file}: {error.strerror}") from error
        except (ValueError, yaml.YAMLError) as error:
            raise SandboxError(f"{file} is neither JSON nor YAML: {error}") from error
        if not isinstance(value, dict):
            raise self._wrong("", "is no connection profile")
        self._value: dict[str, Any] = value

    def msp_id(self) -> str:
        """The MSP id of the client's organization."""
        organizations = self._section("organizations")
        client = self._value.get("client") or {}
        name = client.get("organization") if isinstance(client, dict) else None
        if name is None and len(organizations) == 1:
            name = next(iter(organizations))
        if name is None:
            raise self._wrong("client.organization", "is missing, and there are several organizations")
        if name not in organizations:
            raise self._wrong("client.organization", f"names {name!r}, which is not in organizations")
        msp_id = (organizations[name] or {}).get("mspid")
        if not isinstance(msp_id, str) or not msp_id:
            raise self._wrong(f"organizations.{name}.mspid", "is missing")
        return msp_id

    def nodes(self, channel: str) -> dict[str, Any]:
        """The channel's peers and orderers, and the TLS roots of all of them."""
        channels = self._value.get("channels")
        if channels is None:
            peers, orderers = list(self._section("peers")), list(self._section("orderers"))
        else:
            found = channels.get(channel) if isinstance(channels, dict) else None
            if found is None:
                raise self._wrong(f"channels.{channel}", "is missing: is --channel right?")
            peers = [
                name for name, roles in (found.get("peers") or {}).items() if (roles or {}).get("endorsingPeer", True)
            ]
            orderers = found.get("orderers") or []
            for field, names in (("peers", peers), ("orderers", orderers)):
                if not names:
                    raise self._wrong(f"channels.{channel}.{field}", "is empty")
        roots = {
            self._roots(kind, name): None
            for kind, names in (("peers", peers), ("orderers", orderers))
            for name in names
        }
        return {
            "peers": tuple(self._node("peers", name) for name in peers),
            "orderers": tuple(self._node("orderers", name) for name in orderers),
            "tls_roots": "\n".join(roots),
        }

    def _section(self, name: str) -> Mapping[str, Any]:
        section = self._value.get(name)
        if not isinstance(section, dict) or not section:
            raise self._wrong(name, "is missing or empty")
        return section

    def _entry(self, kind: str, name: str) -> Mapping[str, Any]:
        entry = self._section(kind).get(name)
        if not isinstance(entry, dict):
            raise self._wrong(f"{kind}.{name}", "is missing")
        return entry

    def _node(self, kind: str, name: str) -> Node:
        entry, field = self._entry(kind, name), f"{kind}.{name}.url"
        scheme, _, endpoint = str(entry.get("url", "")).partition("://")
        if scheme == "grpc":
            raise self._wrong(field, "is without TLS, and the chaincode function speaks only TLS: give grpcs://")
        host, _, port = endpoint.rstrip("/").rpartition(":")
        if scheme != "grpcs" or not host or not port.isdigit():
            raise self._wrong(field, "is no address such as grpcs://host:7051")
        options = entry.get("grpcOptions") or {}
        hostname = options.get("ssl-target-name-override") or options.get("hostnameOverride")
        return Node(endpoint=f"{host}:{port}", tls_hostname=hostname)

    def _roots(self, kind: str, name: str) -> str:
        field, roots = f"{kind}.{name}.tlsCACerts", self._entry(kind, name).get("tlsCACerts")
        pem, path = (roots.get("pem"), roots.get("path")) if isinstance(roots, dict) else (None, None)
        if isinstance(pem, list):
            pem = "\n".join(pem)
        if pem is None and isinstance(path, str):
            file = self._file.parent / path
            try:
                pem = file.read_text("utf-8")
            except OSError as error:
                raise self._wrong(f"{field}.path", f"cannot be read: {file}: {error.strerror}") from error
        if not isinstance(pem, str) or "BEGIN CERTIFICATE" not in pem:
            raise self._wrong(field, "has no certificate, neither as pem nor by path")
        return pem.strip()

    def _wrong(self, field: str, what: str) -> SandboxError:
        return SandboxError(f"{self._file}: {field} {what}" if field else f"{self._file} {what}")
