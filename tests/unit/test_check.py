"""What is examined before deploying: each finding provoked on moto and the Fabric emulation."""

import datetime
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import boto3
import grpc
import pytest
from botocore.exceptions import ClientError
from check import connection
from check.deployment import REGION, Deployment
from check.examination import examine
from check.finding import quoted
from check.placement import Placement
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from shared import aws
from shared.identities import Identity

from sandbox.fabric.msp import CertificateAuthority
from tests.unit.deployment import ledger_environment, store_identity
from tests.unit.fabric_fixtures import Fabric, client_identity, fabric, fabric_of_module

__all__ = ["fabric", "fabric_of_module"]

MEMBER, OTHER_MEMBER = (f"m-{letter * 26}" for letter in "AB")
ORIGINS = {name: f"offchain.{name}" for name in ("peers", "orderers", "tlsRoots")}
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def deployment(fabric: Fabric, aws_emulation: None) -> Deployment:
    """A deployment with nothing to be found fault with."""
    store_identity(fabric.identity)
    environment = ledger_environment(fabric)
    document = {
        "environment": environment,
        "recordTypes": [environment["RECORD_TYPE"]],
        "settings": ORIGINS,
        "keys": {},
        "connect": False,
    }
    return Deployment.from_json(json.dumps(document | dict.fromkeys(("lookUp", "account", "region", "bucket"))))


def lines(deployment: Deployment, **changes: Any) -> list[str]:
    return [str(finding) for finding in examine(replace(deployment, **changes))]


def wrong(deployment: Deployment, **changes: Any) -> list[str]:
    """The lines of what is not ok."""
    return [line for line in lines(deployment, **changes) if not line.startswith(("ok ", "skipped "))]


def the_only(found: list[str], *parts: str) -> str:
    """The one line, which has all of `parts`."""
    (line,) = found
    for part in parts:
        assert part in line
    return line


def network(deployment: Deployment, **changes: Any) -> dict[str, Any]:
    return deployment.network | changes


def pem(key: Any, password: str | None = None) -> str:
    encryption = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def self_signed(key: Any) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=90))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def store(secret: str, value: str | bytes) -> None:
    field = "SecretBinary" if isinstance(value, bytes) else "SecretString"
    aws.client("secretsmanager").put_secret_value(SecretId=secret, **{field: value})


def test_nothing_is_wrong(deployment: Deployment) -> None:
    found = lines(deployment)
    assert not wrong(deployment)
    assert found[0] == "ok       AWS: account 123456789012, region us-east-1."
    assert (
        "skipped  user/signcert: whether the certificate is of MSP Org1MSP is for a peer to say. Use --connect."
        in found
    )
    assert any(line.startswith("ok       offchain.tlsRoots: TLS root CN=tlsca.fabric-emulation") for line in found)


def test_an_aws_that_is_not_usable_leaves_the_rest_to_be_checked(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    aws.client.cache_clear()
    roots = f"s3://{REGION}.managedblockchain/tls.pem"
    found = lines(
        deployment, network=network(deployment, tlsRoots=roots), bucket="a-bucket", keys={"offchain.kmsKeyArn": "arn"}
    )
    aws.client.cache_clear()
    assert found[0].startswith(
        "ERROR    AWS: credentials and region are not usable: You must specify a region. Log in "
    )
    assert [line.partition(":")[0] for line in found[1:5]] == [
        "skipped  offchain.users lambdaUser",
        "skipped  offchain.bucketName a-bucket",
        "skipped  offchain.kmsKeyArn",
        "skipped  offchain.tlsRoots",
    ]
    assert found[5] == f"ok       offchain.peers {deployment.network['peers'][0]['endpoint']}: 127.0.0.1 resolves."


def test_the_vpc_and_the_alarms_topic_are_examined(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    placement = Placement(
        vpc_id="vpc-0123456789abcdef0",
        stack="OffChainStack",
        subnets=(),
        s3="create",
        secrets="create",
        fabric=None,
        groups=(),
        interfaces=6,
        dns_servers=(),
        prefix_list=None,
    )
    given = {"placement": placement, "alarm_topic": "arn:aws:sns:eu-west-1:123456789012:on-call"}
    topic, vpc = wrong(deployment, **given)
    assert topic.startswith("ERROR    offchain.alarmTopicArn: is a topic in eu-west-1")
    assert vpc.startswith("ERROR    offchain.vpcId vpc-0123456789abcdef0: does not exist")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    aws.client.cache_clear()
    found = lines(deployment, **given)
    aws.client.cache_clear()
    assert "skipped  offchain.alarmTopicArn: not checked without AWS." in found
    assert "skipped  offchain.vpcId vpc-0123456789abcdef0: not checked without AWS." in found


def test_another_account(deployment: Deployment) -> None:
    the_only(wrong(deployment, account="999999999999"), "ERROR    offchain.account: is 999999999999", "123456789012")


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (b"binary", "holds a text that is no PEM"),
        (b"\x30\x82\x01\x0a\xff", "holds bytes that are no text, not PEM"),
        ('{"signcert": "-----BEGIN"}', "holds JSON, not PEM"),
        ("-----BEGIN CERTIFICATE----- MIIC", "holds damaged PEM"),
        ("nRk7)sW2", "cdk-hyperledger-fabric-network leaves a random text"),
        ("-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----", "holds a certificate that cannot be read"),
    ],
)
def test_a_secret_that_is_no_certificate(deployment: Deployment, value: str | bytes, what: str) -> None:
    store("user/signcert", value)
    line = the_only(wrong(deployment), "ERROR    user/signcert: ", what)
    assert "TUlJ" not in line
    assert "nRk7" not in line


def test_a_private_key_in_a_certificates_secret_is_an_error_whatever_else_it_holds(
    fabric: Fabric, deployment: Deployment
) -> None:
    identity = fabric.identity
    wallet = {"credentials": {"certificate": identity.certificate, "privateKey": identity.private_key}}
    for text in (
        identity.certificate + identity.private_key,
        identity.private_key.replace("\n", " ") + identity.certificate.replace("\n", " "),
        json.dumps(wallet),
    ):
        store("user/signcert", text)
        first, *others = wrong(deployment)
        assert first.startswith("ERROR    user/signcert: holds a private key, which whoever may read certificates ")
        assert "Revoke the certificate, enrol the user again" in first
        assert len(others) == ("wallet" in text or text.startswith("{"))
        assert not any(line in first for line in identity.private_key.splitlines())


def test_a_chain_and_a_form_that_python_alone_reads_are_well(fabric: Fabric, deployment: Deployment) -> None:
    store("user/signcert", fabric.emulation.tls_roots_pem + fabric.identity.certificate.replace("\n", "\u00a0\r"))
    store("user/pk", '"' + fabric.identity.private_key.replace("\n", "\\n") + '"')
    assert not wrong(deployment, connect=True)


def test_secrets_that_cannot_be_read(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    users = {"ada": {"certificate": "no/signcert", "privateKey": "user/pk"}}
    the_only(wrong(deployment, users=users), "ERROR    no/signcert: no such secret", "Enrol the user")

    def denied(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "not you."}}, "GetSecretValue")

    monkeypatch.setattr(aws.client("secretsmanager"), "get_secret_value", denied)
    found = wrong(deployment)
    assert found[0].startswith("ERROR    user/signcert: cannot be read: AccessDeniedException: not you. Check with ")
    assert len(found) == 2


@pytest.mark.parametrize(
    ("begins", "ends", "line"),
    [
        (-40, -1, "ERROR    user/signcert: the certificate expired on "),
        (-40, 29, "warning  user/signcert: the certificate expires on "),
        (1, 90, "ERROR    user/signcert: the certificate is not valid before "),
    ],
)
def test_validity(fabric: Fabric, deployment: Deployment, begins: int, ends: int, line: str) -> None:
    not_before, not_after = (NOW + datetime.timedelta(days=days) for days in (begins, ends))
    store_identity(client_identity(fabric.emulation, not_before=not_before, not_after=not_after))
    the_only(wrong(deployment), line)


def test_secrets_encrypted_with_a_key_of_their_own(fabric: Fabric, deployment: Deployment) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]
    aws.client("secretsmanager").update_secret(SecretId="user/pk", KmsKeyId=key["KeyId"])
    the_only(wrong(deployment), f"warning  user/pk: is encrypted with {key['Arn']}", "Name this key as secretsKeyArn.")
    assert not wrong(deployment, keys={"offchain.secretsKeyArn": key["Arn"]})
    aws.client("secretsmanager").update_secret(SecretId="user/pk", KmsKeyId="alias/aws/secretsmanager")
    assert not wrong(deployment)


def test_keys_that_cannot_sign(fabric: Fabric, deployment: Deployment) -> None:
    key = serialization.load_pem_private_key(fabric.identity.private_key.encode(), None)
    for text, what in (
        (pem(key, "secret"), "the private key is encrypted"),
        ("-----BEGIN PRIVATE KEY-----\nTUlJ\n-----END PRIVATE KEY-----", "the private key cannot be read"),
        (pem(key) + pem(ec.generate_private_key(ec.SECP256R1())), "holds several private keys"),
        (pem(ec.generate_private_key(ec.SECP521R1())), "not on a curve that Fabric takes"),
        (fabric.identity.certificate, "holds a CERTIFICATE, not a PRIVATE KEY"),
        (
            client_identity(fabric.emulation).private_key,
            "is not the private key of the certificate in user/signcert",
        ),
    ):
        store("user/pk", text)
        the_only(wrong(deployment), "ERROR    user/pk: ", what)


def test_a_certificate_of_another_kind_of_key(deployment: Deployment) -> None:
    key = rsa.generate_private_key(65537, 2048)
    store("user/signcert", self_signed(key))
    store("user/pk", pem(key))
    found = wrong(deployment)
    assert "not of an elliptic curve key" in found[0]
    assert "not on a curve" in found[1]


@pytest.mark.parametrize(("member", "level"), [(MEMBER, "ok"), (OTHER_MEMBER, "ERROR")])
def test_the_ca_of_a_managed_blockchain_member(deployment: Deployment, member: str, level: str) -> None:
    authority = CertificateAuthority.create(f"ca.{member.lower()}")
    store_identity(_issued(authority))
    (line,) = [line for line in lines(deployment, msp_id=MEMBER) if "of the CA" in line]
    assert line.startswith(f"{level:<7}  user/signcert: the certificate is of the CA of {member}")


def _issued(authority: CertificateAuthority) -> Identity:
    certificate, key = authority.issue("ada", role="client")
    return Identity(msp_id=MEMBER, certificate=certificate, private_key=key)


def test_tls_roots_that_are_no_certificates(deployment: Deployment) -> None:
    text = "-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----"
    found = lines(deployment, network=network(deployment, tlsRoots=text), connect=True)
    (line,) = [line for line in found if line.startswith("ERROR")]
    assert line.startswith("ERROR    offchain.tlsRoots: holds a certificate that cannot be read. Give the CA ")
    assert "skipped  --connect: no node is reached without TLS roots." in found


def test_tls_roots_that_vouch_for_nothing(deployment: Deployment) -> None:
    authority = CertificateAuthority.create("a CA")
    day = datetime.timedelta(days=1)
    past, _ = authority.issue("past", not_before=NOW - 2 * day, not_after=NOW - day)
    future, _ = authority.issue("future", not_before=NOW + day)
    leaf, _ = authority.issue("leaf")
    bare = self_signed(ec.generate_private_key(ec.SECP256R1()))

    def found(*roots: str) -> list[str]:
        lines = wrong(deployment, network=network(deployment, tlsRoots="".join(roots)))
        return [line.replace("  offchain.tlsRoots: TLS root", "").partition(" on ")[0] for line in lines]

    assert found(past) == ["ERROR   CN=past expired"]
    assert found(future)[0].startswith("ERROR   CN=future is not valid before ")
    assert found(past, authority.pem) == ["warning CN=past expired"]
    for root, name in ((leaf, "leaf"), (bare, "self")):
        assert found(root)[0].startswith(f"warning CN={name} is no CA certificate")


def test_tls_roots_in_s3(fabric: Fabric, deployment: Deployment, bucket: Any) -> None:
    def found(key: str, name: str = bucket.name) -> list[str]:
        return wrong(deployment, network=network(deployment, tlsRoots=f"s3://{name}/{key}"))

    bucket.put_object(Key="tls.pem", Body=fabric.emulation.tls_roots_pem)
    bucket.put_object(Key="binary", Body=b"\x30\x82\xff\xfe\x80")
    bucket.put_object(Key="lenient", Body=fabric.emulation.tls_roots_pem.replace("\n", "\r").encode("utf-16"))
    bucket.put_object(Key="with a key", Body=(fabric.emulation.tls_roots_pem + fabric.identity.private_key).encode())
    assert not found("tls.pem")
    assert not found("lenient")
    the_only(found("with a key"), "ERROR    offchain.tlsRoots: a private key is among the TLS roots")
    the_only(found("absent.pem"), "ERROR    offchain.tlsRoots: s3://offchain-test/absent.pem cannot be read: NoSuchKey")
    the_only(found("binary"), "s3://offchain-test/binary: holds ", "PEM")
    far = boto3.resource("s3", region_name="eu-west-1").Bucket("far-away")
    far.create(CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    the_only(found("tls.pem", far.name), "is in eu-west-1", "leads to us-east-1 only", "Use a bucket in us-east-1.")


def test_the_regions_own_tls_roots(fabric: Fabric, deployment: Deployment) -> None:
    published = boto3.resource("s3").Bucket("us-east-1.managedblockchain")
    published.create()
    published.put_object(Key="tls.pem", Body=fabric.emulation.tls_roots_pem)
    assert not wrong(deployment, network=network(deployment, tlsRoots=f"s3://{REGION}.managedblockchain/tls.pem"))


def test_a_bucket(deployment: Deployment, bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(name: str = bucket.name) -> list[str]:
        return wrong(deployment, bucket=name)

    assert not found()
    the_only(found("no-such-bucket"), "ERROR    offchain.bucketName no-such-bucket: does not exist")
    bucket.Versioning().suspend()
    the_only(found(), "does not keep versions", "aws s3api put-bucket-versioning --bucket offchain-test ")
    s3 = aws.client("s3")
    with monkeypatch.context() as patch:
        patch.setattr(s3, "get_bucket_versioning", lambda **_: {"Status": "Enabled", "MFADelete": "Enabled"})
        the_only(found(), "only with MFA")

    def denied(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "403", "Message": "Forbidden"}}, "HeadBucket")

    monkeypatch.setattr(s3, "head_bucket", denied)
    the_only(found(), "cannot be examined: 403: Forbidden", "Is it this account's?")


def test_a_bucket_with_a_key_of_its_own(deployment: Deployment, bucket: Any) -> None:
    kms, s3 = aws.client("kms"), aws.client("s3")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    encryption = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket=bucket.name, ServerSideEncryptionConfiguration={"Rules": [encryption]})
    the_only(
        wrong(deployment, bucket=bucket.name), f"warning  offchain.bucketName {bucket.name}: is encrypted with {key}"
    )


def test_keys(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    kms = aws.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    keys = {"offchain.secretsKeyArn": key}
    assert not wrong(deployment, keys=keys)
    kms.disable_key(KeyId=key.rpartition("/")[2])
    the_only(wrong(deployment, keys=keys), "ERROR    offchain.secretsKeyArn: ", "is Disabled. Enable the key")
    absent = f"{key[:-36]}00000000-0000-0000-0000-000000000000"
    the_only(
        wrong(deployment, keys={"offchain.kmsKeyArn": absent}), "ERROR    offchain.kmsKeyArn: ", "NotFoundException"
    )

    def denied(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeKey")

    monkeypatch.setattr(kms, "describe_key", denied)
    the_only(wrong(deployment, keys=keys), "warning  offchain.secretsKeyArn: these credentials may not look at")


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """A DNS that knows no host in .com, and an endpoint there."""
    known = socket.getaddrinfo

    def resolve(host: Any, *arguments: Any, **options: Any) -> Any:
        if str(host).endswith(".com"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return [{"endpoint": "nowhere.example.com:7051"}]


def test_endpoints_on_managed_blockchain(deployment: Deployment, nowhere: object) -> None:
    properties = {"NetworkId": "n-X", "MemberId": "m-X", "NodeIds": ["nd-X"]}
    the_only(
        wrong(deployment, look_up=properties),
        "ERROR    offchain.managedBlockchain: Network not found by Managed Blockchain (networkId n-X)",
    )
    client = boto3.client("managedblockchain")
    configuration = {"Fabric": {"AdminUsername": "admin", "AdminPassword": "Password123"}}
    made = client.create_network(
        Name="net",
        Framework="HYPERLEDGER_FABRIC",
        FrameworkVersion="1.2",
        FrameworkConfiguration={"Fabric": {"Edition": "STARTER"}},
        VotingPolicy={"ApprovalThresholdPolicy": {"ThresholdPercentage": 50, "ThresholdComparator": "GREATER_THAN"}},
        MemberConfiguration={
            "Name": "member1",
            "FrameworkConfiguration": configuration,
            "LogPublishingConfiguration": {},
        },
    )
    place = {"NetworkId": made["NetworkId"], "MemberId": made["MemberId"]}
    node = client.create_node(
        **place,
        NodeConfiguration={
            "InstanceType": "bc.t3.small",
            "AvailabilityZone": "us-east-1a",
            "LogPublishingConfiguration": {},
        },
    )["NodeId"]
    found = lines(deployment, look_up=place | {"NodeIds": [node]})
    assert "ok       offchain.managedBlockchain: endpoints of network, member and nodes are found." in found
    assert any(line.startswith(f"warning  offchain.peers {node.lower()}.") for line in found)
    assert any(line.startswith("warning  offchain.orderers orderer.n-") for line in found)


def test_a_node_that_is_named_twice(deployment: Deployment) -> None:
    peers = deployment.network["peers"]
    found = wrong(deployment, network=network(deployment, orderers=[*deployment.network["orderers"], peers[1]]))
    the_only(found, f"ERROR    offchain.peers {peers[1]['endpoint']}: is named more than once")


def test_a_name_that_does_not_resolve(deployment: Deployment, nowhere: list[dict[str, str]]) -> None:
    changed = network(deployment, peers=nowhere)
    what = (
        "offchain.peers nowhere.example.com:7051: nowhere.example.com does not resolve here: Name or service not known"
    )
    the_only(wrong(deployment, network=changed), f"warning  {what}", "From outside of the network's VPC that may be so")
    the_only(
        wrong(deployment, network=changed, connect=True),
        "ERROR    offchain.peers nowhere.example.com:7051: no connection: Name or service not known",
    )
    found = wrong(deployment, network=changed | {"tlsRoots": "-----BEGIN CERTIFICATE-----"}, connect=True)
    assert f"ERROR    {what}" in found[1]


def test_everything_is_reached(fabric: Fabric, deployment: Deployment) -> None:
    height = fabric.emulation.height
    found = lines(deployment, connect=True)
    assert not [line for line in found if not line.startswith("ok ")]
    for peer in fabric.emulation.peers:
        assert f"ok       offchain.peers {peer.endpoint}: knows lambdaUser of Org1MSP on channel mychannel." in found
        runs = (
            f"ok       offchain.chaincode ngo: runs at peer {peer.endpoint}, where queryDonor for lambdaUser refuses "
        )
        assert any(line.startswith(runs) for line in found)
    for orderer in fabric.emulation.orderers:
        newest = "gives lambdaUser the newest block of channel mychannel"
        assert f"ok       offchain.orderers {orderer.endpoint}: {newest}." in found
    assert fabric.emulation.height == height


def by_level(found: list[str], level: str) -> list[str]:
    return [line.removeprefix(f"{level:<7}  ") for line in found if line.startswith(level)]


def test_each_record_types_read_function_is_asked(deployment: Deployment) -> None:
    (donor,) = deployment.record_types
    ngo = replace(donor, read_function="queryNGO")
    found = [
        line for line in lines(deployment, record_types=(donor, ngo), connect=True) if "offchain.chaincode" in line
    ]
    for function in ("queryDonor", "queryNGO"):
        assert len([line for line in found if f"where {function} for" in line]) == len(found) / 2 > 0


def test_a_channel_that_is_not_there(deployment: Deployment) -> None:
    found = wrong(deployment, network=network(deployment, channel="other"), connect=True)
    assert len(found) == 4
    assert found[0].startswith("ERROR    offchain.channel: peer 127.0.0.1:")
    assert found[0].endswith(
        "has not joined other. Join the peer to it (peer channel join), or name the channel that it has."
    )
    assert "offchain.channel: orderer 127.0.0.1:" in found[2]
    assert "does not serve other" in found[2]


def test_a_user_that_the_channel_does_not_know(fabric: Fabric, deployment: Deployment) -> None:
    users = dict(deployment.users) | {"peer": {"certificate": "peer/signcert", "privateKey": "peer/pk"}}
    stranger = _issued(CertificateAuthority.create("ca.elsewhere"))
    for name, text in (("peer/signcert", stranger.certificate), ("peer/pk", stranger.private_key)):
        aws.client("secretsmanager").create_secret(Name=name, SecretString=text)
    found = lines(deployment, users=users, connect=True)
    assert len(by_level(found, "ERROR")) == 4
    for node, line in zip(("peer", "peer", "orderer", "orderer"), by_level(found, "ERROR"), strict=True):
        assert line.startswith(f"offchain.users peer: {node} 127.0.0.1:")
        assert "refuses it as a client of Org1MSP" in line
    assert sum("knows lambdaUser" in line for line in found) == 2


def test_a_user_that_may_not_read(fabric: Fabric, deployment: Deployment) -> None:
    store_identity(client_identity(fabric.emulation, role="orderer"))
    found = wrong(deployment, connect=True)
    assert "access denied for [GetChainInfo][mychannel]" in found[0]


def test_a_certificate_that_peers_find_expired(fabric: Fabric, deployment: Deployment) -> None:
    store_identity(client_identity(fabric.emulation, not_after=NOW - datetime.timedelta(hours=1)))
    found = wrong(deployment, connect=True)
    assert "proposal client identity expired" in found[1]


def test_a_chaincode_that_is_not_there_or_does_not_run(fabric: Fabric, deployment: Deployment) -> None:
    found = wrong(deployment, network=network(deployment, chaincode="other"), connect=True)
    assert len(found) == 2
    assert found[0].startswith("ERROR    offchain.chaincode other: peer 127.0.0.1:")
    assert "does not have it on channel mychannel" in found[0]
    fabric.emulation.chaincode_down(True)
    found = wrong(deployment, connect=True)
    assert "cannot run it: error in simulation: failed to execute transaction" in found[0]


def test_a_chaincode_that_leaves_refusals_unanswered(
    fabric: Fabric, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.4)
    fabric.emulation.peers[0].shim = "2.4.2"
    the_only(
        wrong(deployment, users=dict(deployment.users) | {"again": deployment.users["lambdaUser"]}, connect=True),
        f"warning  offchain.chaincode ngo: peer {fabric.emulation.peers[0].endpoint} has it, but queryDonor gave no ",
    )


def test_an_orderer_without_a_leader(fabric: Fabric, deployment: Deployment) -> None:
    fabric.emulation.orderers[0].stop()
    fabric.emulation.orderers[0].start()
    line = the_only(wrong(deployment, connect=True), "refuses: SERVICE_UNAVAILABLE. Is it well, with a leader elected?")
    assert line.startswith(f"ERROR    offchain.orderers {fabric.emulation.orderers[0].endpoint}: ")


def test_nodes_that_are_not_reached(fabric: Fabric, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    stopped, frozen = fabric.emulation.peers[0], fabric.emulation.orderers[0]
    stopped.stop()
    frozen.freeze()
    first, second = wrong(deployment, connect=True)
    assert f"ERROR    offchain.peers {stopped.endpoint}: no connection: Connection refused" in first
    assert f"ERROR    offchain.orderers {frozen.endpoint}: no TLS handshake within 0.5 s" in second


def test_certificates_that_do_not_fit(fabric: Fabric, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 1.0)
    peers = [deployment.network["peers"][0] | {"tlsHostname": "peer0.example.com"}]
    line = the_only(
        wrong(deployment, network=network(deployment, peers=peers), connect=True),
        "its certificate is not of peer0.example.com but of localhost, 127.0.0.1. Set the node's tlsHostname",
    )
    assert line.startswith(f"ERROR    offchain.peers {fabric.emulation.peers[0].endpoint}: ")
    others = CertificateAuthority.create("another").pem
    found = wrong(deployment, network=network(deployment, tlsRoots=others), connect=True)
    assert len(found) == 4
    assert "its certificate is not of the TLS roots: " in found[0]


def test_peers_and_orderers_mixed_up(deployment: Deployment) -> None:
    peers, orderers = ([deployment.network[kind][0]] for kind in ("peers", "orderers"))
    first, second = wrong(deployment, network=network(deployment, peers=orderers, orderers=peers), connect=True)
    assert "does not answer: UNIMPLEMENTED" in first
    assert "Is this a Fabric peer" in first
    assert "does not answer: UNIMPLEMENTED" in second
    assert "Is this a Fabric orderer" in second


@pytest.fixture
def plain_server() -> Iterator[str]:
    """The address of a server that takes connections, speaks no TLS and closes them."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                with client:
                    client.recv(1)
                    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_a_port_without_tls(deployment: Deployment, plain_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 1.0)
    found = wrong(deployment, network=network(deployment, peers=[{"endpoint": plain_server}]), connect=True)
    the_only(found, f"ERROR    offchain.peers {plain_server}: no TLS handshake: ")


def test_a_node_that_asks_for_a_client_certificate(
    fabric: Fabric, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 1.0)
    authority = CertificateAuthority.create("tls")
    certificate, key = authority.issue("localhost", server=True)
    server = grpc.server(ThreadPoolExecutor())
    credentials = grpc.ssl_server_credentials(
        [(key.encode(), certificate.encode())], authority.pem.encode(), require_client_auth=True
    )
    peers = [{"endpoint": f"127.0.0.1:{server.add_secure_port('127.0.0.1:0', credentials)}"}]
    server.start()
    roots = authority.pem + fabric.emulation.tls_roots_pem
    found = wrong(deployment, network=network(deployment, peers=peers, tlsRoots=roots), connect=True)
    server.stop(None)
    the_only(found, "ERROR    offchain.peers ", "does it do without client certificates?")


def test_nobody_to_ask_as(deployment: Deployment) -> None:
    found = lines(deployment, users={}, connect=True)
    assert "skipped  offchain.users: no user's certificate and key can be shown to peers and orderers." in found
    assert sum("is reached" in line for line in found) == 4


def test_no_words_of_others_show_a_certificate(fabric: Fabric) -> None:
    certificate = fabric.identity.certificate
    said = quoted(f"creator [{certificate.encode().hex()}]\n{''.join(certificate.splitlines()[1:-1])} is not known.")
    assert said == "creator [[...]] [...] is not known"
    assert len(quoted("word " * 1000)) < 310
