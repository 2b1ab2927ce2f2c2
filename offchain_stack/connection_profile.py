"""Fabric's common connection profile: the file in which a network's operators describe it to clients.

The format has no schema that all tools keep to. What is read here is what the test network, Fablo, Microfab,
minifabric, the operators for Kubernetes, IBM's console and the documentation of the SDKs for Node, Go and Java write.
"""

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from . import pem
from .endpoint import Endpoint
from .mistakes import found, one_line, place
from .plain_file import read_plain

_TLS_NAMES = (
    "ssl-target-name-override",
    "grpc.ssl_target_name_override",
    "hostnameOverride",
    "overrideAuthority",
    "grpc.default_authority",
)
"""The options that name the host in a node's certificate, each as one SDK writes it."""
_FOR_ALL = "_default"
_STANZA = (
    '"orderers": {"orderer.example.com": {"url": "grpcs://orderer.example.com:7050", '
    '"tlsCACerts": {"path": "orderer-tls-ca.pem"}}}'
)
_SEVERAL = (
    'is missing, and there are several organizations, {}: add "client": {{"organization": "<one of these>"}} to the '
    "profile, or give mspId (in the sandbox: --msp-id) beside it"
)


class ConnectionProfileError(ValueError):
    """A connection profile cannot be used: one line that names the file, the field and what is wrong with it."""


@dataclass(frozen=True, kw_only=True)
class ConnectionProfile:
    """What a connection profile says of one channel, for a client of one organisation.

    * `msp_id`: the MSP id of the organisation.
    * `peers`: the channel's endorsing ones, of all organisations.
    * `orderers`: the channel's.
    * `tls_roots`: the CA certificates of all nodes, as PEM text or as `s3://bucket/key`.
    """

    msp_id: str
    peers: tuple[Endpoint, ...]
    orderers: tuple[Endpoint, ...]
    tls_roots: str

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        channel: str,
        msp_id: str | None = None,
        orderers: Sequence[Endpoint] = (),
        tls_roots: str | None = None,
    ) -> "ConnectionProfile":
        """Read the file at `path`, JSON or YAML; paths in it are relative to it, and `${NAME}` in them is the
        environment's. A channel that is not in it is as `_default` says. A profile, or a channel in it, that names no
        nodes has all.

        * `msp_id`: the client's organisation, if the profile has several and does not say which one it is.
        * `orderers`: those of a profile that has none.
        * `tls_roots`: in place of the certificates in the profile. PEM text beside `orderers` is added to them, as the
          profile has only its peers' own.

        Raises ConnectionProfileError.
        """
        profile = _Profile(_open(Path(path)))
        peers = profile.peers(channel)
        own_orderers = profile.orderers(channel, needed=not orderers)
        if orderers and own_orderers:
            raise profile.orderers_twice()
        nodes = [*peers, *own_orderers]
        return cls(
            msp_id=profile.msp_id(msp_id),
            peers=tuple(replace(_endpoint(peer), msp_id=profile.msp_id_of(peer.name)) for peer in peers),
            orderers=tuple(orderers) or tuple(map(_endpoint, own_orderers)),
            tls_roots=_all_roots(nodes, tls_roots, added=bool(orderers)),
        )


@dataclass(frozen=True)
class _Field:
    """A value in a profile, and where it is. What an empty field holds counts as absent, as generators leave one."""

    file: Path
    path: tuple[str | int, ...]
    value: Any

    @property
    def name(self) -> str:
        return str(self.path[-1])

    def get(self, *names: str) -> "_Field":
        """The first of these that is there and not empty, whatever its case and punctuation; else as if it were empty.
        Raises ConnectionProfileError if this is not an object."""
        there = {_plain(str(key)): (key, value) for key, value in reversed(list(self._mapping().items()))}
        for name in names:
            key, value = there.get(_plain(name), (name, None))
            if value not in (None, "", [], {}):
                return _Field(self.file, (*self.path, key), value)
        return _Field(self.file, (*self.path, names[0]), None)

    def entries(self) -> dict[str, "_Field"]:
        """The fields of an object by their names, in their order."""
        return {str(key): _Field(self.file, (*self.path, key), value) for key, value in self._mapping().items()}

    def items(self) -> Iterator["_Field"]:
        """The values of a list."""
        if not isinstance(self.value, list | None):
            raise self.wrong(f"must be a list, not {found(self.value)}")
        for number, value in enumerate(self.value or ()):
            yield _Field(self.file, (*self.path, number), value)

    def text(self) -> str:
        """Empty if it is absent."""
        if not isinstance(self.value, str | None):
            raise self.wrong(f"must be a text, not {found(self.value)}")
        return (self.value or "").strip()

    def flag(self, *, default: bool) -> bool:
        if not isinstance(self.value, bool | None):
            raise self.wrong(f"must be true or false, not {found(self.value)}")
        return default if self.value is None else self.value

    def wrong(self, what: str) -> ConnectionProfileError:
        where = f"{self.file}: {place(self.path)}" if self.path else str(self.file)
        return ConnectionProfileError(one_line(f"{where} {what}"))

    def _mapping(self) -> Mapping[Any, Any]:
        if not isinstance(self.value, dict | None):
            raise self.wrong(f"must be an object, not {found(self.value)}")
        return self.value or {}


def _open(file: Path) -> _Field:
    try:
        value = read_plain(file.read_bytes())
    except OSError as error:
        raise ConnectionProfileError(one_line(f"{file}: {error.strerror}")) from error
    except ValueError as error:
        raise ConnectionProfileError(one_line(f"{file} {error}")) from error
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else "empty" if value is None else "a text"
        raise _Field(file, (), None).wrong(
            f"is {kind}, not a connection profile, which is an object with organizations, peers and orderers"
        )
    return _Field(file, (), value)


class _Profile:
    def __init__(self, root: _Field) -> None:
        self._root = root
        self._organizations = root.get("organizations").entries()

    def msp_id(self, given: str | None) -> str:
        """The MSP id of the client's organization, or the `given` one if the profile does not say which that is."""
        if given is not None and not self._organizations:
            return given
        name = self._client_organization()
        if name is None:
            return self._one_of_several(given)
        field = self._organizations[name].get("mspid")
        if not field.value:
            raise field.wrong("is missing")
        if given not in (None, field.text()):
            raise field.wrong(
                f"is {field.text()}, and mspId beside the profile is {given}: leave that out, or correct it"
            )
        return field.text()

    def _client_organization(self) -> str | None:
        """The name of the client's organization; None if it could be one of several."""
        if not self._organizations:
            raise self._root.get("organizations").wrong("is missing or empty")
        field = self._root.get("client").get("organization")
        if name := field.text():
            if name not in self._organizations:
                there = _listed(self._organizations)
                raise field.wrong(f"names {name!r}, which is not in organizations; there is {there}")
            return name
        # The orderers' organization has no peers.
        with_peers = [name for name, each in self._organizations.items() if each.get("peers").value]
        several = with_peers or list(self._organizations)
        return several[0] if len(several) == 1 else None

    def _one_of_several(self, given: str | None) -> str:
        known = {name: each.get("mspid").text() for name, each in self._organizations.items()}
        if given in known.values():
            return str(given)
        names = ", ".join(f"{name} ({msp_id})" for name, msp_id in known.items())
        if given is not None:
            raise self._root.get("organizations").wrong(f"has none with the MSP id {given}; there is {names}")
        raise self._root.get("client").get("organization").wrong(_SEVERAL.format(names))

    def msp_id_of(self, peer: str) -> str | None:
        """The MSP id of the organization that lists a peer; None if that is not certain."""
        listed = {name: [each.text() for each in of.get("peers").items()] for name, of in self._organizations.items()}
        its = [name for name, peers in listed.items() if peer in peers]
        # Fablo lists the peers of all organisations under the client's, which is then the only one.
        if len(its) != 1 or (len(listed) == 1 and len({_domain(each) for each in listed[its[0]]}) > 1):
            return None
        return self._organizations[its[0]].get("mspid").text() or None

    def peers(self, channel: str) -> list[_Field]:
        """The channel's endorsing peers."""
        there = self._nodes("peers")
        if not there:
            raise self._root.get("peers").wrong("is missing or empty")
        members = self._members(channel, "peers")
        named = {name: of for name, of in members.items() if of.get("endorsingPeer").flag(default=True)}
        if members and not named:
            raise self._root.get("channels").wrong(
                f"has no endorsing peer for {channel}: set endorsingPeer of one to true"
            )
        return [self._node("peers", name, of) for name, of in (named or there).items()]

    def orderers(self, channel: str, *, needed: bool) -> list[_Field]:
        """The channel's orderers; none if the profile has none, which is an error if they are `needed`."""
        there = self._nodes("orderers")
        members = self._members(channel, "orderers")
        if there:
            return [self._node("orderers", name, of) for name, of in (members or there).items()]
        if needed:
            raise self._root.get("orderers").wrong(
                f"is missing, and transactions are sent to one: add {_STANZA} to the profile, or give orderers (in the "
                "sandbox: --orderer) beside it"
            )
        return []

    def orderers_twice(self) -> ConnectionProfileError:
        return self._root.get("orderers").wrong(
            "is there, and orderers are given beside the profile: leave one of them out"
        )

    def _members(self, channel: str, kind: str) -> dict[str, _Field]:
        """The names that the channel lists, each with what is said of it there."""
        channels = self._root.get("channels").entries()
        if not channels:
            return {}
        of = channels.get(channel) or channels.get(_FOR_ALL)
        if of is None:
            missing = _Field(self._root.file, ("channels", channel), None)
            raise missing.wrong(f"is missing; there is {_listed(channels)}")
        members = of.get(kind)
        if not members.value and _FOR_ALL in channels:
            members = channels[_FOR_ALL].get(kind)
        return _named(members)

    def _nodes(self, kind: str) -> dict[str, _Field]:
        """Without what the SDK for Go takes as the options of all."""
        return {name: node for name, node in self._root.get(kind).entries().items() if name != _FOR_ALL}

    def _node(self, kind: str, name: str, named_by: _Field) -> _Field:
        nodes = self._nodes(kind)
        if name not in nodes:
            raise named_by.wrong(f"names {name!r}, which is not in {kind}; there is {_listed(nodes)}")
        return nodes[name]


def _named(members: _Field) -> dict[str, _Field]:
    """The names in an object, or in a list of names, or of objects that each have one."""
    if isinstance(members.value, dict):
        return members.entries()
    each = [
        {item.value: replace(item, value=None)} if isinstance(item.value, str) else item.entries()
        for item in members.items()
    ]
    return {name: said for names in each for name, said in names.items()}


def _endpoint(node: _Field) -> Endpoint:
    url = node.get("url")
    if not url.value:
        raise url.wrong("is missing: give an address such as grpcs://host:7051")
    scheme, separator, address = url.text().rpartition("://")
    insecure = node.get("grpcOptions").get("allow-insecure").flag(default=False)
    # The SDK for Go takes an address alone.
    if scheme.lower() == "grpc" or (insecure and not separator):
        raise url.wrong("is without TLS, and the functions speak only TLS: turn it on at the node, and give grpcs://")
    tls_hostname = _tls_hostname(node)
    try:
        if separator and scheme.lower() != "grpcs":
            raise ValueError(scheme)
        return Endpoint(address=address.rstrip("/"), tls_hostname=tls_hostname)
    except ValueError as error:
        raise url.wrong(f"is no address such as grpcs://host:7051, but {found(url.value)}") from error


def _tls_hostname(node: _Field) -> str | None:
    field = node.get("grpcOptions").get(*_TLS_NAMES)
    # Microfab writes it with the port.
    hostname = re.sub(r":\d+$", "", field.text())
    if not re.fullmatch(r"[\w.*-]*", hostname, re.ASCII):
        raise field.wrong(f"is no host's name, but {found(field.value)}")
    return hostname or None


def _all_roots(nodes: Sequence[_Field], given: str | None, *, added: bool) -> str:
    if given is not None and not (added and "-----BEGIN" in given):
        return given
    roots = [_roots(node) for node in nodes] + ([given] if given else [])
    return pem.tls_roots("\n".join(dict.fromkeys(each.strip() for each in roots)))


def _roots(node: _Field) -> str:
    """The CA certificates of a node."""
    field = node.get("tlsCACerts")
    by_value, by_path = field.get("pem"), field.get("path")
    if by_value.value:
        return _certificates(field, "\n".join(_plain_pem(each) for each in _texts(by_value)))
    if by_path.value:
        names = [name for each in _texts(by_path) for name in each.split(",")]
        return "\n".join(_of_file(by_path, name.strip()) for name in names)
    raise field.wrong("has no certificate, neither as pem nor by path")


def _texts(field: _Field) -> list[str]:
    return [each.text() for each in field.items()] if isinstance(field.value, list) else [field.text()]


def _plain_pem(text: str) -> str:
    """PEM, which may have been encoded once more, as JSON of Go's bytes is."""
    if "-----" in text:
        return text
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        return text
    return decoded if "-----BEGIN" in decoded else text


def _of_file(field: _Field, name: str) -> str:
    file = field.file.parent / os.path.expanduser(os.path.expandvars(name))
    try:
        stored = file.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        unset = re.findall(r"\$\{?\w+\}?", str(file))
        hint = f"; {unset[0]} is not set in this environment" if unset else ""
        raise field.wrong(f"cannot be read: {file}: {reason}{hint}") from error
    return _certificates(field, stored)


def _certificates(field: _Field, stored: str | bytes) -> str:
    try:
        return pem.tls_roots(stored)
    except ValueError as error:
        raise field.wrong(str(error)) from error


def _domain(host: str) -> str:
    return host.partition(".")[2]


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "none"


def _plain(name: str) -> str:
    """A key without what SDKs write in different ways."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
