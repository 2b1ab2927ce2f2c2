"""Mistakes that people make in a settings file: each is one line that names the file, the setting and the mend."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
import yaml

from conftest import ROOT
from offchain_stack import OffChainStack, Settings, SettingsError

RIGHT = {
    "vpcId": "vpc-0123456789abcdef0",
    "availabilityZones": "[us-east-1a, us-east-1b]",
    "subnetIds": "[subnet-0123456789abcdef0, subnet-0123456789abcdef1]",
    "routeTableIds": "[rtb-0123456789abcdef0, rtb-0123456789abcdef0]",
    "mspId": "Org1MSP",
    "channel": "mychannel",
    "chaincode": "ngo",
    "peers": '["peer0.org1.example.com:7051"]',
    "orderers": '["orderer.example.com:7050"]',
    "tlsRoots": "s3://chains/tls.pem",
    "users": "[lambdaUser]",
    "member": "org1",
}
"""The lines of a file without a mistake."""

NETWORK = ("mspId", "peers", "orderers", "tlsRoots")
SUBNETS = ("availabilityZones", "subnetIds", "routeTableIds")
POOL = "arn:aws:cognito-idp:us-east-1:111122223333:userpool/us-east-1_AbCdEfGhI"
MEMBER = "{networkId: n-ABC, memberId: m-ABC, nodeIds: [nd-ABC]}"
KEY = "-----BEGIN EC PRIVATE KEY-----\\nMHcCAQEEIB0123456789\\n-----END EC PRIVATE KEY-----"
INVOICE = {
    "name": "Invoice",
    "identifyingField": "invoiceNumber",
    "ledgerFields": [{"name": "invoiceNumber", "maxLength": 40}],
    "dataField": "document",
    "contentTypes": ["application/pdf"],
    "createFunction": "createInvoice",
    "readFunction": "queryInvoice",
    "listFunction": "queryAllInvoices",
}


def lines(*without: str, **given: str) -> str:
    """A file that is right but for the settings `without` and those that are `given`."""
    return "".join(f"{name}: {text}\n" for name, text in (RIGHT | given).items() if name not in without)


def invoice(**changes: Any) -> str:
    """A file with invoices beside donors, which have `changes`; None takes a key away."""
    values = {key: value for key, value in (INVOICE | changes).items() if value is not None}
    return lines(recordTypes=json.dumps(["donors", values]))


# What is wrong; the file; what the line says after the file's name, which begins with the setting, in parts.
IN_A_SETTING: dict[str, tuple[str, tuple[str, ...]]] = {
    # Names
    "an abbreviation in capitals": (lines() + "mspID: a", ("offchain.mspID: there is no such setting", "mean mspId?")),
    "a name as in Python": (
        lines() + "alarm_topic_arn: a",
        ("offchain.alarm_topic_arn: ", "Did you mean alarmTopicArn?"),
    ),
    "a name as on the command line": (
        lines() + "offchain.account: a",
        ("offchain.offchain.account: ", "mean account?"),
    ),
    "a name that is like none": (
        lines() + "colour: red",
        ("offchain.colour: there is no such", "known are stackName,"),
    ),
    "a number as a name": (lines() + "7: red", ("offchain.7: there is no such setting; known are stackName, vpcId",)),
    "a name of several lines": (lines() + '"a\\nb": red', ('offchain."a\\nb": there is no such setting',)),
    # Missing
    "no VPC": (lines("vpcId"), ("offchain.vpcId: missing. ", 'such as "vpc-')),
    "nothing behind the name": (lines(channel=""), ("offchain.channel: wrong: has no value", 'such as "mychannel"')),
    "nothing behind an optional name": (
        lines(account=""),
        ("offchain.account: wrong: has no value", "leave the name out"),
    ),
    "a network without TLS roots": (lines("tlsRoots"), ("offchain.tlsRoots: missing. ", "PEM text or an S3 location")),
    "a user by name without a member": (
        lines("member"),
        ("offchain.member: missing, and the secrets of user 'lambdaUser'",),
    ),
    "one of the three lists of subnets": (lines("routeTableIds"), ("offchain.routeTableIds: missing. ", "rtb-")),
    "a VPC to look up without its region": (
        lines(*SUBNETS, account='"111122223333"'),
        ("offchain.region: missing. Region to deploy to; needed to look the VPC up",),
    ),
    # Types
    "an account without quotes": (
        lines(account="111122223333"),
        ("offchain.account: wrong: must be a text, not 111122223333; put it in quotes", 'such as "111122223333"'),
    ),
    "an account that YAML reads as octal": (
        lines(account="001122334455"),
        ("offchain.account: wrong: must be a text, not ", "; put it in quotes"),
    ),
    "a word that YAML reads as a boolean": (
        lines(member="no"),
        ("offchain.member: wrong: must be a text, not false; put it in quotes", 'such as "member1"'),
    ),
    "a text for a list": (lines(users="lambdaUser"), ('offchain.users: wrong: must be a list, not "lambdaUser"',)),
    "a list for a text": (
        lines(channel="[mychannel]"),
        ('offchain.channel: wrong: must be a text, not ["mychannel"]',),
    ),
    "a number in quotes": (lines(noncurrentDays='"30"'), ('noncurrentDays: wrong: must be a whole number, not "30"',)),
    "a fraction": (lines(noncurrentDays="1.5"), ("offchain.noncurrentDays: wrong: must be a whole number, not 1.5",)),
    "no number": (lines(endorsements=".nan"), ("offchain.endorsements: wrong: must be a whole number, not NaN",)),
    "true for a choice": (
        lines(s3Endpoint="true"),
        ("offchain.s3Endpoint: wrong: must be 'create' or 'keep', not true",),
    ),
    "an empty list": (lines(users="[]"), ("offchain.users: wrong: must have at least one, not []", '["lambdaUser"]')),
    "a list that has itself": (lines(users="&a [*a]"), ("offchain: wrong: must be plain values", "Circular reference")),
    # Values
    "a choice that is misspelt": (
        lines(s3Endpoint="kep"),
        ("offchain.s3Endpoint: wrong: ", 'not "kep"; did you mean keep?'),
    ),
    "a choice that there is not": (
        lines(monitoring="full"),
        ("monitoring: wrong: must be 'create' or 'none', not \"full\"",),
    ),
    "a subnet for a VPC": (lines(vpcId="subnet-0123"), ('vpcId: wrong: must match vpc-[0-9a-f]+, not "subnet-0123"',)),
    "one wrong subnet": (
        lines(subnetIds="[subnet-0a, vpc-0b]"),
        ('offchain.subnetIds[1]: wrong: must match subnet-[0-9a-f]+, not "vpc-0b". Example: "subnet-',),
    ),
    "a channel with capitals": (lines(channel="MyChannel"), ("offchain.channel: wrong: must match", 'not "MyChannel"')),
    "an underscore in the stack's name": (lines(stackName="off_chain"), ("offchain.stackName: wrong: must match",)),
    "a place for a region": (
        lines(region="Frankfurt"),
        ("region: wrong: must match", 'not "Frankfurt"', '"us-east-1"'),
    ),
    "a bucket with capitals": (lines(bucketName="My_Bucket"), ("bucketName: wrong: must match", 'not "My_Bucket"')),
    "a bucket's name that is an address": (
        lines(bucketName="10.0.0.1"),
        ("bucketName: wrong: '10.0.0.1' has the form",),
    ),
    "a short name for a bucket": (lines(bucketName="ab"), ("bucketName: wrong: must have 3 characters or more",)),
    "too long": (lines(urlExpiresMinutes="61"), ("urlExpiresMinutes: wrong: must be 60 or less, not 61", "at most 60")),
    "not at all": (lines(noncurrentDays="0"), ("noncurrentDays: wrong: must be 1 or more, not 0. Days until",)),
    "a queue for a topic": (
        lines(alarmTopicArn="arn:aws:sqs:us-east-1:111122223333:on-call"),
        ("offchain.alarmTopicArn: wrong: must match arn:", "arn:aws:sns:us-east-1:111122223333:on-call"),
    ),
    "a pool's id for its ARN": (
        lines(userPoolArn="us-east-1_AbCdEfGhI"),
        ("offchain.userPoolArn: wrong: must match arn:",),
    ),
    "a file for TLS roots": (
        lines(tlsRoots="tls.pem"),
        ("offchain.tlsRoots: wrong: holds a text that is no PEM", "PEM text or an S3 location"),
    ),
    "a key for TLS roots": (
        lines(tlsRoots=f'"{KEY}"'),
        ("offchain.tlsRoots: wrong: holds a private key", "take it out"),
    ),
    "a key for a secret's name": (
        lines(users=f'[{{name: a, certificate: b, privateKey: "{KEY}"}}]'),
        ("offchain.users[0].privateKey: wrong: must match", "not <not shown>"),
    ),
    "a key as a name": (lines() + f'"{KEY}": a', ("<a private key>", "there is no such setting")),
    "no such field in the secrets' names": (
        lines(secretNamePattern='"dev/{user}/{part}/{kind}"'),
        ("secretNamePattern: wrong: 'dev/{user}/{part}/{kind}' has {kind}; there are {member}, {user} and {part}",),
    ),
    "secrets that share a name": (
        lines(secretNamePattern='"dev/{user}"'),
        ("secretNamePattern: wrong: 'dev/{user}' has no {part}, so that different secrets would have one name",),
    ),
    "a brace too many in the secrets' names": (
        lines(secretNamePattern='"{user}/{part}/{"'),
        ("offchain.secretNamePattern: wrong: '{user}/{part}/{' has braces that are not in pairs",),
    ),
    # Nodes
    "a peer without a port": (
        lines(peers="[peer0.org1.example.com]"),
        ("offchain.peers[0]: wrong: 'peer0.org1.example.com' is not host:port",),
    ),
    "a peer with a scheme": (
        lines(peers='["grpcs://peer0:7051"]'),
        ("offchain.peers[0]: wrong: 'grpcs://peer0:7051' is not host:port",),
    ),
    "a port that there is not": (
        lines(peers='["peer0:7051", {endpoint: "peer1:99999"}]'),
        ("offchain.peers[1].endpoint: wrong: 'peer1:99999' is not host:port",),
    ),
    "a peer without its endpoint": (
        lines(peers="[{tlsHostname: a}]"),
        ("offchain.peers[0].endpoint: missing", "Example: "),
    ),
    "a key of a peer that there is not": (
        lines(peers='[{endpoint: "peer0:7051", tlsHostName: a}]'),
        (
            "offchain.peers[0].tlsHostName: there is no such key; known are endpoint, tlsHostname, mspId. ",
            "Did you mean tlsHostname?",
        ),
    ),
    "a number for a peer": (
        lines(peers="[7051]"),
        ("peers[0]: wrong: must be a text or an object with endpoint, tlsH",),
    ),
    "one orderer, not a list": (lines(orderers='"orderer:7050"'), ("offchain.orderers: wrong: must be a list",)),
    "the same peer twice": (
        lines(peers='["a:1", {endpoint: "a:1"}]'),
        ("peers: wrong: 'a:1' is there twice; give each once",),
    ),
    "the same user twice": (lines(users="[a, a]"), ("offchain.users: wrong: 'a' is there twice; give each once",)),
    "a user without secrets": (lines(users="[{name: a, certificate: b}]"), ("offchain.users[0].privateKey: missing",)),
    "an id in small letters": (
        lines(*NETWORK, managedBlockchain="{networkId: n-abc, memberId: m-ABC, nodeIds: [nd-ABC]}"),
        ('offchain.managedBlockchain.networkId: wrong: must match n-[A-Z0-9]+, not "n-abc". Example: "n-ABC',),
    ),
    "a member without nodes": (
        lines(*NETWORK, managedBlockchain="{networkId: n-ABC, memberId: m-ABC}"),
        ("offchain.managedBlockchain.nodeIds: missing. Example: [",),
    ),
    # Settings that do not go together
    "two networks": (
        lines(*NETWORK, managedBlockchain=MEMBER, connectionProfile="org1.yaml"),
        ("offchain.connectionProfile: contradicts managedBlockchain: give one of them",),
    ),
    "peers beside a profile": (
        lines("mspId", "orderers", "tlsRoots", connectionProfile="org1.yaml"),
        ("offchain.peers: contradicts connectionProfile, which says it: leave one of them out",),
    ),
    "an endpoint of Managed Blockchain without it": (
        lines(fabricEndpoint="keep"),
        ("offchain.fabricEndpoint: is for managedBlockchain only",),
    ),
    "three subnets in two zones": (
        lines(subnetIds="[subnet-0a, subnet-0b, subnet-0c]", routeTableIds="[rtb-0a, rtb-0a, rtb-0a]"),
        ("offchain.subnetIds: 3 subnets cannot be spread evenly over 2 availabilityZones",),
    ),
    "one route table for two subnets": (
        lines(routeTableIds="[rtb-0a]"),
        ("offchain.routeTableIds: 1 given for 2 subnetIds; name one for each",),
    ),
    "more endorsements than peers": (
        lines(endorsements="2"),
        ("offchain.endorsements: 1 peers cannot give that many",),
    ),
    "scopes without a pool": (lines(userPoolScopes="[a/b]"), ("offchain.userPoolScopes: is for userPoolArn only",)),
    "a claim without a pool": (lines(callers="{claim: sub}"), ("offchain.callers: a claim needs userPoolArn",)),
    "principals beside a pool": (
        lines(userPoolArn=POOL, callers="{principals: {lambdaUser: ['arn:aws:iam::111122223333:role/a']}}"),
        ("offchain.callers: callers of userPoolArn are no IAM principals; give a claim",),
    ),
    "a principal of an unknown user": (
        lines(callers="{principals: {auditor: ['arn:aws:iam::111122223333:role/a']}}"),
        ("offchain.callers: 'auditor' is not one of users",),
    ),
    "every principal": (
        lines(callers="{principals: {lambdaUser: ['*']}}"),
        ("offchain.callers.principals: wrong: '*' of 'lambdaUser' is no role, user or session without wildcards",),
    ),
    "callers by something else": (
        lines(callers="{header: a}"),
        ("callers: wrong: must be an object with claim, principals",),
    ),
    "a claim that cannot be": (
        lines(userPoolArn=POOL, callers='{claim: "it\'s"}'),
        ("offchain.callers.claim: wrong: ",),
    ),
    "a usage plan without a burst": (
        lines(usagePlan="{apiKeys: [acme], rateLimit: 1}"),
        ("offchain.usagePlan.burstLimit: missing. Example: 10",),
    ),
    "an API key twice": (
        lines(usagePlan="{apiKeys: [acme, acme], rateLimit: 1, burstLimit: 1}"),
        ("offchain.usagePlan.apiKeys: wrong: 'acme' is there twice",),
    ),
    # Record types
    "a record type that there is not": (
        lines(recordTypes="[donor]"),
        ("recordTypes[0]: wrong: must be 'donors', not \"donor\"",),
    ),
    "a record type's name in small letters": (
        invoice(name="invoice"),
        ("offchain.recordTypes[1].name: wrong: 'invoice' must be letters and digits, such as 'Invoice'",),
    ),
    "a record type's key that there is not": (
        invoice(keyprefix="a/"),
        ("offchain.recordTypes[1].keyprefix: there is no such key; known are name, path, ", "Did you mean keyPrefix?"),
    ),
    "a record type without its data": (
        invoice(dataField=None),
        ('offchain.recordTypes[1].dataField: missing. Example: "document"',),
    ),
    "a field without a length": (
        invoice(ledgerFields=[{"name": "invoiceNumber"}]),
        ("offchain.recordTypes[1].ledgerFields[0].maxLength: missing. Example: 40",),
    ),
    "a pattern that means different things": (
        invoice(ledgerFields=[{"name": "invoiceNumber", "maxLength": 9, "pattern": "^a.*$"}]),
        ("offchain.recordTypes[1].ledgerFields[0].pattern: wrong: '^a.*$' must be made of what means the same",),
    ),
    "an identifying field that there is not": (
        invoice(identifyingField="number"),
        ("offchain.recordTypes[1].identifyingField: wrong: 'number' is not one of ledgerFields ['invoiceNumber']",),
    ),
    "a field with a meaning of its own": (
        invoice(ledgerFields=[*INVOICE["ledgerFields"], {"name": "caller", "maxLength": 9}]),
        ("offchain.recordTypes[1].ledgerFields: wrong: 'caller' has a meaning of its own; choose another name",),
    ),
    "a media type that there is not": (
        invoice(contentTypes=["image/jpg"]),
        (
            "offchain.recordTypes[1].contentTypes[0]: wrong: must be 'image/png', ",
            'not "image/jpg"; did you mean image/jpeg?',
        ),
    ),
    "more data than passes": (
        invoice(maxDataBytes=1_000_000),
        ("offchain.recordTypes[1].maxDataBytes: wrong: 1000000 bytes in base64", "pass through Step Functions"),
    ),
    "a prefix within another's": (
        invoice(keyPrefix="ngo-donor-images/invoices/"),
        ("offchain.recordTypes: the keyPrefix 'ngo-donor-images/invoices/' of Invoice is within", "choose prefixes"),
    ),
    "two with one prefix": (
        invoice(keyPrefix="ngo-donor-images/"),
        ("offchain.recordTypes: the keyPrefix 'ngo-donor-images/' of Donor is within 'ngo-donor-images/' of Invoice",),
    ),
    "two with one path": (invoice(path="donors", keyPrefix="a/"), ("recordTypes: wrong: 'donors' is there twice",)),
    "an error code that means something": (
        invoice(notFoundError="Forbidden"),
        ("offchain.recordTypes[1].notFoundError: wrong: 'Forbidden' means the same for every record type; choose",),
    ),
}

# What is wrong; the file; what the line says after "offchainSettings: " and the file's name.
IN_THE_FILE: dict[str, tuple[bytes, str]] = {
    "a setting twice": (b"mspId: a\nmspId: b", " has the key 'mspId' twice; leave one of them out (line 2, column 1)"),
    "a key twice within": (b"peers: [{endpoint: a, endpoint: b}]", " has the key 'endpoint' twice; leave one of them"),
    "a key twice in JSON": (
        b'{\n\t"mspId": "a",\n\t"mspId": "b"}',
        " has the key 'mspId' twice; leave one of them out",
    ),
    "a tab among spaces": (
        b"a:\n  b: 1\n\tc: 2",
        " is neither JSON nor YAML: ",
    ),
    "no end of a list": (b"users: [a", " is neither JSON nor YAML: while parsing a flow sequence"),
    "a line too far to the right": (
        b"mspId: a\n channel: b",
        " is neither JSON nor YAML: mapping values are not allowed",
    ),
    "a tag": (b"mspId: !Ref Msp", " is neither JSON nor YAML: could not determine a constructor for the tag '!Ref'"),
    "a set": (b"users: !!set {a}", " is neither JSON nor YAML: could not determine a constructor for the tag"),
    "an anchor that there is not": (b"users: *others", " is neither JSON nor YAML: found undefined alias 'others'"),
    "two documents": (b"a: 1\n---\nb: 2", " is neither JSON nor YAML: expected a single document"),
    "no text": (b"mspId: \xff", " is not text in UTF-8: invalid start byte, at position 7; save it as such"),
    "a zero byte": (b"mspId: a\x00", " is not text in UTF-8: special characters are not allowed, at position 8"),
    "nested without end": (b"[" * 3_000, " is nested too deeply"),
    "nothing": (b"", " holds no settings, such as mspId: Org1MSP"),
    "only a comment": (b"# mspId: a", " holds no settings, such as mspId: Org1MSP"),
    "a list": (b"- mspId: a", " holds no settings, such as mspId: Org1MSP"),
    "only a name": (b"mspId", " holds no settings, such as mspId: Org1MSP"),
    "what is for cdk.json": (
        b'{"context": {"offchain": {}}}',
        ": context is for cdk.json; here each setting is at the top",
    ),
    "the object of cdk.json": (
        b"offchain:\n  mspId: a",
        ": offchain is for cdk.json; here each setting is at the top level",
    ),
}


def refusal(file: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.from_file(file)
    (line,) = str(caught.value).splitlines()
    assert "MHcCAQEE" not in line
    return line


def test_the_lines_without_a_mistake_are_right(tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    for text in (lines(), invoice()):
        file.write_text(text)
        assert Settings.from_file(file).channel == "mychannel"


@pytest.mark.parametrize(("text", "parts"), IN_A_SETTING.values(), ids=IN_A_SETTING)
def test_a_mistake_is_one_line(text: str, parts: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(text)
    line = refusal(file)
    assert line.startswith(f"{file}: offchain")
    for part in parts:
        assert part in line


@pytest.mark.parametrize(("data", "says"), IN_THE_FILE.values(), ids=IN_THE_FILE)
def test_a_file_that_is_no_settings_is_one_line(data: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    file.write_bytes(data)
    assert refusal(file).startswith(f"offchainSettings: {file}{says}")


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.yaml") == (
        f"offchainSettings: {tmp_path}/absent.yaml: No such file or directory, such as settings/test.yaml"
    )
    assert refusal(tmp_path).startswith(f"offchainSettings: {tmp_path}: Is a directory")


def test_there_are_fifty_at_least() -> None:
    assert len(IN_A_SETTING) + len(IN_THE_FILE) > 100


def test_all_are_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(
        lines(
            "vpcId",
            "tlsRoots",
            channel="MyChannel",
            peers="[peer0, 7]",
            s3Endpoint="kep",
            colour="red",
            routeTableIds="[rtb-0a]",
            userPoolScopes="[a]",
            recordTypes=json.dumps(["donors", INVOICE | {"name": "invoice", "createFunction": "f()"}]),
        )
    )
    with pytest.raises(SettingsError) as caught:
        Settings.from_file(file)
    said = str(caught.value).splitlines()
    assert all(line.startswith(f"{file}: offchain.") for line in said)
    assert {line.removeprefix(f"{file}: offchain.").partition(": ")[0] for line in said} == {
        *("vpcId", "tlsRoots", "channel", "peers[0]", "peers[1]", "s3Endpoint", "colour", "routeTableIds"),
        *("userPoolScopes", "recordTypes[1].name", "recordTypes[1].createFunction"),
    }


def test_dates_and_what_json_allows_are_read(tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(lines(mspId="2026-11-29"))
    assert Settings.from_file(file).msp_id == "2026-11-29"
    file.write_text(json.dumps(yaml.safe_load(lines()), indent="\t"))
    assert Settings.from_file(file).msp_id == "Org1MSP"
    file.write_bytes(lines().encode("utf-16"))
    assert Settings.from_file(file).msp_id == "Org1MSP"
    file.write_text("defaults: &d {endpoint: 'a:1', tlsHostname: b}\n" + lines(peers="[{<<: *d, tlsHostname: c}]"))
    assert refusal(file).startswith(f"{file}: offchain.defaults: there is no such setting")


# The whole way: the app, the sandbox and the check, each in a process of its own.


def run(command: list[str | Path], context: dict[str, Any], folder: Path) -> tuple[int, str, str]:
    environment = os.environ | {"CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": str(folder / "cdk.out")}
    run = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return run.returncode, run.stdout, run.stderr


LOOKED_UP = lines(*SUBNETS, account='"111122223333"', region="us-east-1")
LOOK_UP = (
    "vpc-provider:account=111122223333:filter.vpc-id=vpc-0123456789abcdef0:region=us-east-1:"
    "returnAsymmetricSubnets=true"
)
PUBLIC_ONLY = {
    "vpcId": "vpc-0123456789abcdef0",
    "vpcCidrBlock": "10.0.0.0/16",
    "availabilityZones": [],
    "subnetGroups": [
        {
            "name": "Public",
            "type": "Public",
            "subnets": [
                {
                    "subnetId": "subnet-0a",
                    "cidr": "10.0.0.0/24",
                    "availabilityZone": "us-east-1a",
                    "routeTableId": "rtb-0",
                }
            ],
        }
    ],
}
"""What CDK's look-up says of the workshop's VPC."""

PLAIN_GRPC = """
organizations: {Org1: {mspid: Org1MSP}}
peers: {a: {url: "grpc://a:1", tlsCACerts: {path: ROOTS}}}
orderers: {b: {url: "grpcs://b:1", tlsCACerts: {path: ROOTS}}}
"""
THROUGH_SYNTH: dict[str, tuple[str, str]] = {
    "a wrong value": (lines(channel="My Channel"), "{file}: offchain.channel: wrong: must match"),
    "no such file": ("", "offchainSettings: {file} holds no settings"),
    "a prefix within another's": (
        invoice(keyPrefix="ngo-donor-images/a/"),
        "{file}: offchain.recordTypes: the keyPrefix",
    ),
    "no such profile": (
        lines(*NETWORK, connectionProfile="absent.yaml"),
        "offchain.connectionProfile: {folder}/absent.yaml: No such file or directory",
    ),
    "a profile without TLS": (
        lines(*NETWORK, connectionProfile="plain.yaml"),
        "offchain.connectionProfile: {folder}/plain.yaml: peers.a.url is without TLS",
    ),
    "a profile without orderers": (
        lines(*NETWORK, connectionProfile="without-orderers.yaml"),
        "offchain.connectionProfile: {folder}/without-orderers.yaml: orderers is missing, and transactions are sent",
    ),
    "orderers beside a profile that has some": (
        lines("mspId", "peers", "tlsRoots", connectionProfile="plain.yaml", channel="mychannel"),
        "offchain.connectionProfile: {folder}/plain.yaml: orderers is there, and orderers are given beside the profile",
    ),
    "only public subnets": (LOOKED_UP, "offchain.vpcId: vpc-0123456789abcdef0 has only public subnets"),
    "more than a function's environment holds": (
        lines(users=str([f"user{number}" for number in range(40)])),
        "offchain.tlsRoots, users, callers or recordTypes: together ",
    ),
}


def context_of(text: str, folder: Path) -> dict[str, Any]:
    (folder / "test.yaml").write_text(text)
    plain = PLAIN_GRPC.replace("ROOTS", str(ROOT / "examples/settings/networks/tls/org1.pem"))
    (folder / "plain.yaml").write_text(plain)
    (folder / "without-orderers.yaml").write_text(plain.replace("orderers: ", "others: "))
    return {"offchainSettings": str(folder / "test.yaml"), "aws:cdk:bundling-stacks": [], LOOK_UP: PUBLIC_ONLY}


@pytest.mark.parametrize(("text", "line"), THROUGH_SYNTH.values(), ids=THROUGH_SYNTH)
def test_what_a_construct_refuses_is_an_error_of_the_settings(text: str, line: str, tmp_path: Path) -> None:
    app = cdk.App(context=context_of(text, tmp_path), outdir=str(tmp_path / "cdk.out"))
    with pytest.raises(SettingsError) as caught:
        OffChainStack(app, "Stack", settings=Settings.from_context(app.node))
    (said,) = str(caught.value).splitlines()
    assert said.startswith(line.format(file=tmp_path / "test.yaml", folder=tmp_path))


@pytest.mark.long
@pytest.mark.parametrize(("text", "line"), THROUGH_SYNTH.values(), ids=THROUGH_SYNTH)
def test_synth_ends_in_one_line(text: str, line: str, tmp_path: Path) -> None:
    code, _, stderr = run(["app.py"], context_of(text, tmp_path), tmp_path)
    (said,) = stderr.splitlines()
    assert code == 1
    assert said.startswith(line.format(file=tmp_path / "test.yaml", folder=tmp_path))


@pytest.mark.long
def test_synth_says_all_of_them(tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(lines("vpcId", channel="My Channel", s3Endpoint="kep"))
    code, _, stderr = run(["app.py"], {"offchainSettings": str(file)}, tmp_path)
    assert code == 1
    assert [line.split(": ")[1] for line in stderr.splitlines()] == [
        "offchain.vpcId",
        "offchain.channel",
        "offchain.s3Endpoint",
    ]


def test_a_key_that_cdk_json_has_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    values = json.dumps(yaml.safe_load(lines()))[1:-1]
    Path("cdk.json").write_text(f'{{"context": {{"offchain": {{"mspId": "Other", {values}}}}}}}')
    context = json.loads(Path("cdk.json").read_text())["context"]
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(cdk.App(context=context).node)
    assert str(caught.value) == "cdk.json has the key 'mspId' twice; leave one of them out"


def test_a_key_that_the_command_line_has_twice(context: dict[str, Any]) -> None:
    value = '[{"endpoint": "a:1", "endpoint": "b:1"}]'
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(cdk.App(context=context | {"offchain.peers": value}).node)
    assert str(caught.value) == "offchain.peers has the key 'endpoint' twice; leave one of them out"


@pytest.mark.parametrize("file", [7, "", ["a"]])
def test_a_settings_file_that_is_no_path(file: Any, context: dict[str, Any]) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_context(cdk.App(context=context | {"offchainSettings": file}).node)
    assert str(caught.value).startswith("offchainSettings: ")
    assert str(caught.value).endswith(", such as settings/test.yaml")


@pytest.mark.long
def test_the_check_says_each_in_a_line(tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(lines(channel="My Channel", s3Endpoint="kep"))
    code, stdout, stderr = run(["-m", "offchain_stack", "check", "--settings", str(file)], {}, tmp_path)
    assert code == 1
    assert [line.split(": ")[1] for line in stdout.splitlines()] == ["offchain.channel", "offchain.s3Endpoint"]
    assert all(line.startswith("ERROR    ") for line in stdout.splitlines())
    assert not stderr


@pytest.mark.long
@pytest.mark.parametrize("command", ["up", "demo"])
def test_the_sandbox_says_it_in_a_line(command: str, tmp_path: Path) -> None:
    file = tmp_path / "test.yaml"
    file.write_text(lines(channel="My Channel"))
    code, stdout, stderr = run(["-m", "sandbox", command, "--settings", str(file)], {}, tmp_path)
    assert code == 1
    (line,) = [line for line in (stdout + stderr).splitlines() if "offchain." in line]
    assert f"app.py could not be synthesized: {file}: offchain.channel: wrong: must match" in line
    assert "Traceback" not in stdout + stderr
