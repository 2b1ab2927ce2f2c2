"""Fabric's common connection profile: the file in which a network's operators describe it to clients."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from . import pem
from .endpoint import Endpoint


class ConnectionProfileError(ValueError):
    """A connection profile cannot be used: one line that names the file, the field and what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class ConnectionProfile:
    """What a connection profile (version 1.0.0) says of one channel, for a client of one organisation.

    * `msp_id`: the MSP id of the organisation.
    * `peers`: the channel's endorsing ones, of all organisations.
    * `orderers`: the channel's.
    * `tls_roots`: the CA certificates of all nodes, as PEM text.
    """

    msp_id: str
    peers: tuple[Endpoint, ...]
    orderers: tuple[Endpoint, ...]
    tls_roots: str

    @classmethod
    def read(cls, path: str | Path, *, channel: str) -> "ConnectionProfile":
        """Read the file at `path`, JSON or YAML; paths in it are relative to it. A profile without `channels` has all
        its nodes in every channel. Raises ConnectionProfileError."""
        profile = _Profile(Path(path))
        peers, orderers = profile.members(channel)
        roots = [profile.roots("peers", name) for name in peers]
        roots += [profile.roots("orderers", name) for name in orderers]
        return cls(
            msp_id=profile.msp_id(),
            peers=tuple(replace(profile.endpoint("peers", name), msp_id=profile.msp_id_of(name)) for name in peers),
            orderers=tuple(profile.endpoint("orderers", name) for name in orderers),
            tls_roots=pem.tls_roots("\n".join(dict.fromkeys(each.strip() for each in roots))),
        )


class _Profile:
    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            text = file.read_text("utf-8")
            value = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
        except OSError as error:
            raise ConnectionProfileError(f"{file}: {error.strerror}") from error
        except (ValueError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise ConnectionProfileError(f"{file} is neither JSON nor YAML: {reason}") from error
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

    def msp_id_of(self, peer: str) -> str | None:
        """The MSP id of the organization that lists a peer; None if none does."""
        organizations = [each for each in self._section("organizations").values() if isinstance(each, dict)]
        found = (each.get("mspid") for each in organizations if peer in (each.get("peers") or ()))
        return next((msp_id for msp_id in found if isinstance(msp_id, str)), None)

    def members(self, channel: str) -> tuple[list[str], list[str]]:
        """The names of the channel's endorsing peers and of its orderers."""
        channels = self._value.get("channels")
        if channels is None:
            return list(self._section("peers")), list(self._section("orderers"))
        found = channels.get(channel) if isinstance(channels, dict) else None
        if not isinstance(found, dict):
            known = ", ".join(channels) if isinstance(channels, dict) else ""
            raise self._wrong(f"channels.{channel}", f"is missing; there is {known or 'none'}")
        roles: Iterable[tuple[str, Any]] = (found.get("peers") or {}).items()
        peers = [name for name, its in roles if (its or {}).get("endorsingPeer", True)]
        orderers = list(found.get("orderers") or [])
        for field, names in (("peers", peers), ("orderers", orderers)):
            if not names:
                raise self._wrong(f"channels.{channel}.{field}", "is empty")
        return peers, orderers

    def endpoint(self, kind: str, name: str) -> Endpoint:
        entry, field = self._entry(kind, name), f"{kind}.{name}.url"
        scheme, _, address = str(entry.get("url", "")).partition("://")
        if scheme == "grpc":
            raise self._wrong(field, "is without TLS, and the functions speak only TLS: give grpcs://")
        options = entry.get("grpcOptions") or {}
        hostname = options.get("ssl-target-name-override") or options.get("hostnameOverride")
        try:
            if scheme != "grpcs":
                raise ValueError
            return Endpoint(address=address.rstrip("/"), tls_hostname=hostname)
        except ValueError as error:
            raise self._wrong(field, "is no address such as grpcs://host:7051") from error

    def roots(self, kind: str, name: str) -> str:
        field, roots = f"{kind}.{name}.tlsCACerts", self._entry(kind, name).get("tlsCACerts")
        text, path = (roots.get("pem"), roots.get("path")) if isinstance(roots, dict) else (None, None)
        if isinstance(text, list):
            text = "\n".join(map(str, text))
        stored: str | bytes | None = text if isinstance(text, str) else None
        if text is None and isinstance(path, str):
            field, file = f"{field}.path", self._file.parent / path
            try:
                stored = file.read_bytes()
            except OSError as error:
                raise self._wrong(field, f"cannot be read: {file}: {error.strerror}") from error
        if stored is None:
            raise self._wrong(field, "has no certificate, neither as pem nor by path")
        try:
            return pem.tls_roots(stored)
        except ValueError as error:
            raise self._wrong(field, str(error)) from error

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

    def _wrong(self, field: str, what: str) -> ConnectionProfileError:
        return ConnectionProfileError(f"{self._file}: {field} {what}" if field else f"{self._file} {what}")
