"""The settings of the network stack: which deployments share a VPC, and what else its endpoints admit."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import with_config

from .mistakes import Mistakes, one_line
from .model import MODEL, IfGiven, Many, described, read
from .plain_file import read_plain
from .setting_types import BucketNames, FilePath, SecretNames, SecurityGroupId, StackName
from .settings import Settings, SettingsError

_EXAMPLE = "deployments: [dev.yaml, test.yaml]"


@with_config(MODEL)
@dataclass(frozen=True, kw_only=True)
class _File:
    stack_name: Annotated[StackName, described("Name of the stack", "OffChainNetwork")] = "OffChainNetwork"
    deployments: Annotated[
        Many[FilePath],
        described("Settings files of the deployments in the VPC, relative to this file", ["dev.yaml", "test.yaml"]),
    ]
    admitted_buckets: IfGiven[Many[BucketNames]] = None
    admitted_secrets: IfGiven[Many[SecretNames]] = None
    admitted_security_group_ids: IfGiven[Many[SecurityGroupId]] = None


@dataclass(frozen=True, kw_only=True)
class NetworkSettings:
    """The settings of `OffChainNetworkStack`.

    * `deployments`: those of each deployment in the VPC. They keep their endpoints: `s3Endpoint` is `keep`, and
      `secretsManagerEndpoint` and `fabricEndpoint` are `keep` or name the endpoints.
    * `stack_name`: `OffChainNetwork` by default.
    * `admitted_buckets`, `admitted_secrets`, `admitted_security_group_ids`: as in `Settings`; none by default.

    Raises SettingsError.
    """

    deployments: Sequence[Settings]
    stack_name: str = "OffChainNetwork"
    admitted_buckets: Sequence[str] = ()
    admitted_secrets: Sequence[str] = ()
    admitted_security_group_ids: Sequence[str] = ()

    def __post_init__(self) -> None:
        if mistakes := list(self._mistakes()):
            raise SettingsError("\n".join(mistakes))

    @classmethod
    def from_file(cls, path: str | Path) -> "NetworkSettings":
        """Read a file, JSON or YAML: the settings above with names in camelCase, and as deployments the paths of their
        own settings files. Raises SettingsError."""
        file = Path(path)
        try:
            given = read(_File, read_plain(file.read_bytes()))
        except OSError as error:
            raise SettingsError(f"offchainNetwork: {path}: {error.strerror}") from error
        except Mistakes as error:
            lines = [one_line(f"offchainNetwork: {path}: {each}, such as {_EXAMPLE}") for each in error.mistakes]
            raise SettingsError("\n".join(lines)) from error
        except ValueError as error:
            raise SettingsError(one_line(f"offchainNetwork: {path}: {error}, such as {_EXAMPLE}")) from error
        values = {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}
        deployments = [Settings.from_file(file.parent / each) for each in given.deployments]
        return cls(**{name: value for name, value in values.items() if value} | {"deployments": deployments})

    def _mistakes(self) -> Iterator[str]:
        first, *others = self.deployments
        names = [each.stack_name for each in self.deployments]
        for name in sorted({each for each in names if names.count(each) > 1}):
            yield f"offchain.stackName: {name} is the name of two deployments; give each its own"
        for each in others:
            differ = f"{each.stack_name} and {first.stack_name} differ"
            for setting, name in (("vpc_id", "vpcId"), ("account", "account"), ("region", "region")):
                if getattr(each, setting) != getattr(first, setting):
                    yield f"offchain.{name}: {differ}; a network stack is of one VPC"
            if bool(each.subnet_ids) != bool(first.subnet_ids):
                yield f"offchain.subnetIds: {differ}; name them in all or in none"
        for each in self.deployments:
            yield from _made_twice(each)


def _made_twice(settings: Settings) -> Iterator[str]:
    """The endpoints that a deployment would make beside those of the network stack."""
    endpoints = {"s3Endpoint": settings.s3_endpoint, "secretsManagerEndpoint": settings.secrets_manager_endpoint}
    if settings.managed_blockchain:
        endpoints["fabricEndpoint"] = settings.fabric_endpoint
    for name, value in endpoints.items():
        if value == "create":
            yield f"offchain.{name}: {settings.stack_name} makes one, and so does the network stack; set it to keep"
