"""FabricNetwork: the ledger, as the functions see it, and how they reach it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Required, TypedDict, Unpack

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from . import pem
from .connection_profile import ConnectionProfile
from .endpoint import Endpoint, tcp
from .keys import grant_key
from .managed_blockchain import (
    MANAGED_BLOCKCHAIN_PORTS,
    HyperledgerFabricNetwork,
    ManagedBlockchainLookup,
    fabric_interface_endpoint,
    managed_blockchain_tls_roots,
)
from .secret_arns import secret_arns
from .vpc_endpoints import admit, leads_to, require_alone
from .ways import HTTPS, Way, endpoint_peers, ways_to_nodes

SECRET_NAME_PATTERN = "dev/fabricOrgs/{member}/{user}/{part}"  # noqa: S105
"""The workshop's secret names: `part` is `signcert` for the certificate and `pk` for the private key."""

READ_SECRET = ["secretsmanager:GetSecretValue"]

_S3_LOCATION = re.compile(r"s3://((?:[a-z0-9.-]|\$\{Token\[[^\]]+\]\})+)/(.+)")


@dataclass(frozen=True, kw_only=True)
class FabricUser:
    """A Fabric identity.

    * `name`: what requests call it.
    * `certificate`, `private_key`: names or ARNs of secrets that hold plain PEM. They may be tokens, such as
      `Secret.from_secret_name_v2(...).secret_arn` or a name with a parameter in it. One that is a token as a whole, or
      begins with one, is of a secret in the stack's account and region.
    """

    name: str
    certificate: str
    private_key: str

    @classmethod
    def from_secret_names(cls, name: str, *, member: str, pattern: str = SECRET_NAME_PATTERN) -> "FabricUser":
        """A user whose secrets are named by `pattern`, with `{member}`, `{user}` and `{part}` filled in."""
        certificate, private_key = (pattern.format(member=member, user=name, part=part) for part in ("signcert", "pk"))
        return cls(name=name, certificate=certificate, private_key=private_key)


class ChaincodeOptions(TypedDict, total=False):
    """What a network takes however it is described.

    * `chaincode`: the chaincode's name; required.
    * `endorsements`: how many peers must agree; one by default.
    * `endorsing_organizations`: how many organisations the endorsing peers must be of, or which, by their MSP ids; by
      default those that the chaincode's endorsement policy asks for.
    * `secrets_key`: the customer key that encrypts the users' secrets; none by default.
    * `tls_roots_key`: the customer key that encrypts the TLS roots' object in S3; none by default.
    * `secrets_endpoint`: the Secrets Manager interface endpoint that the VPC has, whose security groups then let the
      functions through; none by default. Its policy must admit reading the users' secrets.
    """

    chaincode: Required[str]
    endorsements: int
    endorsing_organizations: int | Sequence[str] | None
    secrets_key: kms.IKey | None
    tls_roots_key: kms.IKey | None
    secrets_endpoint: ec2.IInterfaceVpcEndpoint | None


class FabricNetwork(Construct):
    """A channel of a Fabric network, the chaincode on it and the identities that the functions may use.

    * `msp_id`: the MSP id of the users' organisation (Managed Blockchain: the member id).
    * `channel`: the channel's name.
    * `chaincode`: the chaincode's name on it.
    * `peers`: all of them are asked to endorse.
    * `orderers`: asked in turn until one takes the transaction.
    * `endorsements`: how many peers must agree; one by default.
    * `endorsing_organizations`: how many organisations the endorsing peers must be of, or which, by their MSP ids. By
      default the functions ask the peers for the chaincode's endorsement policy (Fabric's service discovery), and every
      organisation of the peers must endorse if none of them tells it. What does not meet it is never ordered.
    * `tls_roots`: the CA certificates behind their TLS certificates, as PEM text or as `s3://bucket/key`. A Lambda
      environment holds 4 KB in all, so long chains go to S3, in the VPC's region because of its gateway endpoint.
    * `ports`: ranges of TCP ports, such as `[(7050, 7051)]`, where addresses are tokens; by default those of the
      addresses.
    * `users`: the Fabric users that a request may name; the first is the default.
    * `secrets_key`, `tls_roots_key`, `secrets_endpoint`: as `ChaincodeOptions` has them; none by default.
    * `vpc`: makes an interface endpoint for Secrets Manager there; by default none is made, for functions whose subnets
      reach Secrets Manager already. Its private DNS name takes over all Secrets Manager traffic of the VPC, and its
      policy admits reading these users' secrets only, and what `admit_secrets` adds.
    * `subnets`: where that endpoint is; by default the VPC's private ones.
    * `fabric_endpoint`: the interface endpoint by which the nodes are reached, whose security groups then let the
      functions through; none by default.

    Where less is to be typed: `from_connection_profile`, `from_managed_blockchain` and
    `from_hyperledger_fabric_network`.

    Exposes `users`, `secrets_endpoint` (made here or given; None without both), `fabric_endpoint`, and for functions of
    your own `ports`, `tls_roots_arn`, `identities_environment`, `ledger_environment`, `network_environment`,
    `ways_to_secrets` and `ways_to_ledger`. Raises ValueError naming the argument that is wrong.
    """

    @classmethod
    def from_connection_profile(
        cls,
        scope: Construct,
        id: str,
        *,
        path: str | Path,
        channel: str,
        users: Sequence[FabricUser],
        msp_id: str | None = None,
        orderers: Sequence[Endpoint] = (),
        tls_roots: str | None = None,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        fabric_endpoint: ec2.IInterfaceVpcEndpoint | None = None,
        **options: Unpack[ChaincodeOptions],
    ) -> "FabricNetwork":
        """A network as its connection profile describes it: peers, orderers, their TLS roots and the MSP id.

        * `path`: the profile's file, JSON or YAML.
        * `msp_id`: the MSP id of the users' organisation, if the profile has several and does not say which it is.
        * `orderers`: those of a profile that has none, such as the one that Fabric's test network writes.
        * `tls_roots`: `s3://bucket/key` in place of those in the profile, where they are too long for a Lambda
          environment, or PEM text; by default those in the profile. PEM text beside `orderers` is added to them.
        * `channel`, `users`, `vpc`, `subnets`, `fabric_endpoint`: as the constructor has them.
        * `options`: those of `ChaincodeOptions`.

        Raises ConnectionProfileError, a ValueError.
        """
        profile = ConnectionProfile.read(path, channel=channel, msp_id=msp_id, orderers=orderers, tls_roots=tls_roots)
        return cls(
            scope,
            id,
            channel=channel,
            msp_id=profile.msp_id,
            peers=profile.peers,
            orderers=profile.orderers,
            tls_roots=profile.tls_roots,
            users=users,
            vpc=vpc,
            subnets=subnets,
            fabric_endpoint=fabric_endpoint,
            **options,
        )

    @classmethod
    def from_managed_blockchain(
        cls,
        scope: Construct,
        id: str,
        *,
        network_id: str,
        member_id: str,
        node_ids: Sequence[str],
        channel: str,
        users: Sequence[FabricUser],
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection | None = None,
        fabric_endpoint: ec2.IInterfaceVpcEndpoint | None = None,
        create_fabric_endpoint: bool = True,
        create_secrets_endpoint: bool = True,
        log_retention: logs.RetentionDays = logs.RetentionDays.THREE_MONTHS,
        **options: Unpack[ChaincodeOptions],
    ) -> "FabricNetwork":
        """The network of an Amazon Managed Blockchain member: endpoints are looked up when the stack is deployed, the
        MSP id is the member's, the TLS chain is that of AWS for the region.

        * `network_id`, `member_id`: the ids that Managed Blockchain gave.
        * `node_ids`: the member's peer nodes to endorse at.
        * `channel`, `users`: as the constructor has them.
        * `vpc`: where interface endpoints are made.
        * `subnets`: where in it; by default its private ones.
        * `fabric_endpoint`: the member's interface endpoint, where the VPC has one; by default one is made.
        * `create_fabric_endpoint`: False where the nodes are reached without one known here; True by default.
        * `create_secrets_endpoint`: False where the functions' subnets reach Secrets Manager already; True by default,
          if `options` name no `secrets_endpoint`.
        * `log_retention`: how long the logs of the look-up are kept; three months by default.
        * `options`: those of `ChaincodeOptions`.
        """
        looked_up = ManagedBlockchainLookup(
            scope,
            f"{id}Lookup",
            network_id=network_id,
            member_id=member_id,
            node_ids=node_ids,
            log_retention=log_retention,
        )
        if fabric_endpoint is None and create_fabric_endpoint:
            fabric_endpoint = made = fabric_interface_endpoint(
                scope, f"{id}Endpoint", vpc=vpc, subnets=subnets, service_name=looked_up.vpc_endpoint_service_name
            )
            leads_to(made, network_id)
            require_alone(made, "fabric_endpoint", "Give that one.")
        return cls(
            scope,
            id,
            msp_id=member_id,
            peers=looked_up.peers,
            orderers=[looked_up.orderer],
            tls_roots=managed_blockchain_tls_roots(scope),
            ports=[MANAGED_BLOCKCHAIN_PORTS],
            fabric_endpoint=fabric_endpoint,
            channel=channel,
            users=users,
            vpc=vpc if create_secrets_endpoint and not options.get("secrets_endpoint") else None,
            subnets=subnets,
            **options,
        )

    @classmethod
    def from_hyperledger_fabric_network(
        cls,
        scope: Construct,
        id: str,
        *,
        network: HyperledgerFabricNetwork,
        channel: str,
        **options: Unpack[ChaincodeOptions],
    ) -> "FabricNetwork":
        """The network that a `HyperledgerFabricNetwork` of `cdklabs.cdk-hyperledger-fabric-network` makes: its nodes,
        its users with their secrets, its VPC and interface endpoint. Run the functions in `network.client.vpc`, which
        has endpoints for S3 (so `OffChainStore(keep_endpoint=True)`) and Secrets Manager already.

        Where that construct cannot enrol a user it leaves a random string in the user's secrets and says nothing; the
        functions log such a secret by name, and `python -m offchain_stack check` finds it.

        * `network`: the construct.
        * `channel`: the channel's name.
        * `options`: those of `ChaincodeOptions`.

        Raises ValueError where the network has no users.
        """
        users = [
            FabricUser(
                name=user.user_id,
                certificate=user.user_signed_cert_secret.secret_arn,
                private_key=user.user_private_key_secret.secret_arn,
            )
            for user in network.users
        ]
        return cls(
            scope,
            id,
            msp_id=network.member_id,
            peers=[Endpoint(address=node.endpoint, msp_id=network.member_id) for node in network.nodes],
            orderers=[Endpoint(address=network.orderer_endpoint)],
            tls_roots=managed_blockchain_tls_roots(scope),
            ports=[MANAGED_BLOCKCHAIN_PORTS],
            channel=channel,
            users=users,
            fabric_endpoint=network.client.vpc_endpoint,
            **options,
        )

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        msp_id: str,
        channel: str,
        chaincode: str,
        peers: Sequence[Endpoint],
        orderers: Sequence[Endpoint],
        tls_roots: str,
        users: Sequence[FabricUser],
        endorsements: int = 1,
        endorsing_organizations: int | Sequence[str] | None = None,
        ports: Sequence[tuple[int, int]] | None = None,
        secrets_key: kms.IKey | None = None,
        tls_roots_key: kms.IKey | None = None,
        secrets_endpoint: ec2.IInterfaceVpcEndpoint | None = None,
        vpc: ec2.IVpc | None = None,
        subnets: ec2.SubnetSelection | None = None,
        fabric_endpoint: ec2.IInterfaceVpcEndpoint | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.fabric_endpoint = fabric_endpoint
        if vpc and secrets_endpoint:
            raise ValueError("secrets_endpoint: leave out the vpc, which is where another one would be made")
        for name, value in (("peers", peers), ("orderers", orderers), ("users", users)):
            if not value:
                raise ValueError(f"{name}: at least one is needed")
        if not 1 <= endorsements <= len(peers):
            raise ValueError(f"endorsements: {endorsements} of {len(peers)} peers cannot agree")
        if endorsing_organizations is not None:
            _require_organizations(endorsing_organizations, peers)
        self.tls_roots_arn = s3_object_arn(self, tls_roots)
        """ARN of the S3 object with the TLS roots; None where they are PEM text."""
        if not self.tls_roots_arn:
            try:
                tls_roots = pem.tls_roots(tls_roots)
            except ValueError as error:
                raise ValueError(
                    f"tls_roots: {error}. Give PEM text, or a location such as 's3://bucket/tls-chain.pem'"
                ) from error
        if tls_roots_key and not self.tls_roots_arn:
            raise ValueError("tls_roots_key: is for tls_roots in S3; leave it out")
        self.users = tuple(users)
        self._secrets_key, self._tls_roots_key = secrets_key, tls_roots_key
        self._certificate_arns = self._arns("certificate", [user.certificate for user in users])
        self._private_key_arns = self._arns("private_key", [user.private_key for user in users])
        self.ports = sorted({*(ports or ()), *(ports for _, ports in ways_to_nodes([*peers, *orderers]))})
        """Ranges of TCP ports of the peers and orderers."""
        if not self.ports:
            raise ValueError("ports: needed where all addresses are tokens, such as [(7050, 7051)]")
        self.ways_to_ledger: list[Way] = (
            [(peer, each) for peer in endpoint_peers(fabric_endpoint) for each in self.ports]
            if fabric_endpoint
            else [*ways_to_nodes([*peers, *orderers]), *((ec2.Peer.any_ipv4(), each) for each in ports or ())]
        )
        """To whom a function connects for the ledger: the groups of `fabric_endpoint`, else each node."""
        self.identities_environment = {
            "FABRIC_IDENTITIES": json.dumps(
                {
                    "mspId": msp_id,
                    "users": {
                        user.name: {"certificate": user.certificate, "privateKey": user.private_key} for user in users
                    },
                }
            )
        }
        """Environment of a function that knows the identities."""
        self.ledger_environment = {"LEDGER": f"{msp_id}/{channel}/{chaincode}"}
        """Environment of a function that writes objects or settles them: the ledger that they belong to."""
        fabric: dict[str, Any] = {
            "channel": channel,
            "chaincode": chaincode,
            "peers": [peer.to_environment() for peer in peers],
            "orderers": [orderer.to_environment() for orderer in orderers],
            "tlsRoots": tls_roots,
            "endorsements": endorsements,
        }
        if endorsing_organizations is not None:
            fabric["endorsingOrganizations"] = endorsing_organizations
        self.network_environment = {"FABRIC_NETWORK": json.dumps(fabric)}
        """Environment of a function that talks to the ledger."""
        self.secrets_endpoint = secrets_endpoint
        self._own_secrets_endpoint: ec2.InterfaceVpcEndpoint | None = None
        if vpc:
            self.secrets_endpoint = self._own_secrets_endpoint = secrets_interface_endpoint(self, vpc, subnets)
            require_alone(
                self._own_secrets_endpoint, "vpc", "Leave the vpc out, and give that endpoint as secrets_endpoint."
            )
            admit(self._own_secrets_endpoint, READ_SECRET, [*self._certificate_arns, *self._private_key_arns])
        self.ways_to_secrets: list[Way] = [(peer, HTTPS) for peer in endpoint_peers(self.secrets_endpoint)]
        """To whom a function connects for the users' secrets: the endpoint's groups, where they are known."""

    def admit_secrets(self, secrets: Sequence[str]) -> None:
        """Let this account's principals read further `secrets` (names or ARNs; `*` stands for any characters) through
        the Secrets Manager endpoint made here: those of other deployments in the VPC. Raises ValueError if none was
        made."""
        if not self._own_secrets_endpoint:
            raise ValueError("secrets: no Secrets Manager endpoint is made here; its owner has to admit them")
        admit(self._own_secrets_endpoint, READ_SECRET, [arn for each in secrets for arn in secret_arns(self, each)])

    def grant_read_certificates(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` read the users' certificates, not their keys."""
        return self._grant_read(grantee, self._certificate_arns)

    def grant_read_identities(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let `grantee` read the users' certificates and private keys: to sign in their name."""
        return self._grant_read(grantee, [*self._certificate_arns, *self._private_key_arns])

    def grant_read_tls_roots(self, grantee: iam.IGrantable) -> None:
        """Let `grantee` read the TLS roots where they are in S3."""
        if self.tls_roots_arn:
            iam.Grant.add_to_principal(grantee=grantee, actions=["s3:GetObject"], resource_arns=[self.tls_roots_arn])
        if self._tls_roots_key:
            grant_key(self._tls_roots_key, grantee, "kms:Decrypt", service="s3")

    def allow_secrets_from(self, client: ec2.IPeer) -> None:
        """Let `client`, such as a function's security group, connect to `secrets_endpoint`, if there is one."""
        if self.secrets_endpoint:
            for group in self.secrets_endpoint.connections.security_groups:
                # In the client's stack where it is another one: the endpoint's must not depend on it.
                group.add_ingress_rule(client, ec2.Port.HTTPS, None, True)

    def allow_ledger_from(self, client: ec2.IPeer) -> None:
        """Let `client`, such as a function's security group, connect to the nodes through `fabric_endpoint`, if there
        is one."""
        if self.fabric_endpoint:
            for group in self.fabric_endpoint.connections.security_groups:
                for ports in self.ports:
                    group.add_ingress_rule(client, tcp(ports), None, True)

    def _grant_read(self, grantee: iam.IGrantable, arns: Sequence[str]) -> iam.Grant:
        if self._secrets_key:
            grant_key(self._secrets_key, grantee, "kms:Decrypt", service="secretsmanager")
        return iam.Grant.add_to_principal(grantee=grantee, actions=READ_SECRET, resource_arns=list(arns))

    def _arns(self, name: str, secrets: Sequence[str]) -> list[str]:
        try:
            return [arn for secret in secrets for arn in secret_arns(self, secret)]
        except ValueError as error:
            raise ValueError(f"users: {name}: {error}") from error


def _require_organizations(wanted: int | Sequence[str], peers: Sequence[Endpoint]) -> None:
    """Raises ValueError if the peers cannot be of so many organisations, or of these."""
    known = {peer.msp_id for peer in peers}
    most = len(peers) if None in known else len(known)
    if isinstance(wanted, int):
        if not 1 <= wanted <= most:
            raise ValueError(f"endorsing_organizations: the peers are not of {wanted} organisations")
        return
    if isinstance(wanted, str) or not wanted or len(set(wanted)) != len(wanted):
        raise ValueError("endorsing_organizations: neither a number nor different MSP ids, such as ['Org1MSP']")
    missing = [msp_id for msp_id in wanted if msp_id not in known]
    if len(wanted) > most or (missing and None not in known):
        raise ValueError(f"endorsing_organizations: no peer is of {', '.join(missing or wanted)}")


def s3_object_arn(scope: Construct, location: str) -> str | None:
    """ARN of an object given as `s3://bucket/key`; None for anything else."""
    if not (found := _S3_LOCATION.fullmatch(location)):
        return None
    return cdk.Stack.of(scope).format_arn(
        service="s3", region="", account="", resource=found[1], resource_name=found[2]
    )


def secrets_interface_endpoint(
    scope: Construct, vpc: ec2.IVpc, subnets: ec2.SubnetSelection | None
) -> ec2.InterfaceVpcEndpoint:
    """An interface endpoint to Secrets Manager, closed until its security group lets somebody in."""
    group = ec2.SecurityGroup(
        scope, "EndpointSecurityGroup", vpc=vpc, description="Secrets Manager endpoint", allow_all_outbound=False
    )
    return ec2.InterfaceVpcEndpoint(
        scope,
        "SecretsManagerEndpoint",
        vpc=vpc,
        service=ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
        subnets=subnets,
        open=False,
        security_groups=[group],
    )
