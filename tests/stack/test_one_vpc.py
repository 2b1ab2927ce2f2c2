"""Several deployments in one VPC, and a deployment into one that has endpoints, held against EC2's own rules."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
import yaml
from ec2 import LEDGER, Endpoint, Function, Refused, Rule, Vpc, admits
from stack_template import Template, aslist, of_type

from conftest import ROOT
from offchain_stack import NetworkSettings, OffChainNetworkStack, OffChainStack, Settings, SettingsError

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]
EXAMPLES = ROOT / "examples" / "settings"
ENVIRONMENTS = ("dev", "test", "prod")
SUBNETS = {f"subnet-0123456789abcdef{number}": f"rtb-0123456789abcdef{number}" for number in range(2)}
S3, SECRETS = (f"com.amazonaws.us-east-1.{service}" for service in ("s3", "secretsmanager"))
NETWORK = ROOT / "examples" / "network-stack.yaml"
Stacks = dict[str, Template]


def read(path: Path, **changes: Any) -> Settings:
    return Settings.from_values(yaml.safe_load(path.read_text("utf-8")) | changes, folder=path.parent)


def stacks(*settings: Settings, network: NetworkSettings | None = None) -> Callable[[cdk.App], None]:
    def build(app: cdk.App) -> None:
        if network:
            OffChainNetworkStack(app, network.stack_name, settings=network)
        for each in settings:
            OffChainStack(app, each.stack_name, settings=each)

    return build


def with_ids_of(vpc: Vpc, template: Template) -> Template:
    """The template with the ids of the endpoints that the network stack's outputs name in place of the example's."""
    found = {each.service: each for each in vpc.endpoints}
    secrets, ledger = found[SECRETS], found[LEDGER]
    text = json.dumps(template)
    for example, made in (("sg-0123456789abcdef0", secrets), ("sg-0123456789abcdef1", ledger)):
        text = text.replace(example, *made.groups)
    return json.loads(text)  # type: ignore[no-any-return]


def statements_of(functions: Iterable[Function], service: str) -> set[tuple[Function, str, str]]:
    """Every action on every resource of a service that the functions' roles allow, `??????` filled in."""
    return {
        (function.handler, action, str(resource).replace("??????", "AbCdEf"))  # type: ignore[misc]
        for function in functions
        for statement in function.statements
        if statement["Effect"] == "Allow"
        for action in aslist(statement["Action"])
        if action.startswith(f"{service}:")
        for resource in aslist(statement["Resource"])
    }


def require_all_reached(vpc: Vpc, functions: list[Function]) -> None:
    """Whatever the roles allow in S3 and Secrets Manager goes through: route, groups and policies."""
    assert functions
    for function in functions:
        s3 = statements_of([function], "s3")
        if s3:
            endpoint = vpc.endpoint_of(function, S3)
            assert endpoint
            assert vpc.reaches(function, "52.216.0.1/32", 443)
            assert not [each for each in s3 if not admits(endpoint.policy, *each[1:])], function.stack
        secrets = statements_of([function], "secretsmanager")
        if secrets:
            endpoint = vpc.endpoint_of(function, SECRETS)
            assert endpoint
            assert vpc.connects(function, endpoint, 443), (function.stack, function.handler)
            assert not [each for each in secrets if not admits(endpoint.policy, *each[1:])], function.stack
        if ".managedblockchain." in function.environment.get("FABRIC_NETWORK", ""):
            endpoint = vpc.endpoint_of(function, LEDGER)
            assert endpoint
            assert vpc.connects(function, endpoint, 30_003)


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Stacks:
    """The network stack and the three environments."""
    folder = tmp_path_factory.mktemp("environments")
    app = cdk.App(context={"aws:cdk:bundling-stacks": []}, outdir=str(folder))
    settings = [Settings.from_file(EXAMPLES / "environments" / f"{name}.yaml") for name in ENVIRONMENTS]
    stacks(*settings, network=NetworkSettings.from_file(NETWORK))(app)
    app.synth()
    return {path.name.split(".")[0]: json.loads(path.read_text()) for path in folder.glob("*.template.json")}


class TestTheEnvironments:
    def test_deploy_together_and_everything_is_reached(self, templates: Stacks) -> None:
        vpc = Vpc(SUBNETS)
        vpc.deploy(templates["OffChainNetwork"], "OffChainNetwork")
        functions = [
            function
            for name in ("OffChainDev", "OffChainTest", "OffChainProd")
            for function in vpc.deploy(with_ids_of(vpc, templates[name]), name)
        ]
        assert len(functions) == 18
        require_all_reached(vpc, functions)

    def test_each_makes_what_it_shares_with_none(self, templates: Stacks) -> None:
        for name in ("OffChainDev", "OffChainTest", "OffChainProd"):
            assert not of_type(templates[name], "AWS::EC2::VPCEndpoint")
        roles = [name for name, each in templates.items() if of_type(each, "AWS::ApiGateway::Account")]
        assert roles == ["OffChainDev"]

    def test_the_endpoints_admit_nobody_elses_bucket_or_secret(self, templates: Stacks) -> None:
        vpc = Vpc(SUBNETS)
        vpc.deploy(templates["OffChainNetwork"], "OffChainNetwork")
        policies = {each.service: each.policy for each in vpc.endpoints}
        foreign = "arn:aws:s3:::offchainstaging-storebucket4fbde984-abc/ngo-donor-images/x"
        assert not admits(policies[S3], "s3:PutObject", foreign)
        assert not admits(policies[S3], "s3:PutObject", "arn:aws:s3:::offchaindev-storebucket4fbde984-abc/other/x")
        secret = "arn:aws:secretsmanager:us-east-1:111122223333:secret:payroll-AbCdEf"
        assert not admits(policies[SECRETS], "secretsmanager:GetSecretValue", secret)
        for statement in policies[S3]["Statement"]:  # type: ignore[index]
            if any("*-storebucket" in each for each in aslist(statement["Resource"])):
                assert "aws:ResourceAccount" in statement["Condition"]["StringEquals"]

    def test_its_outputs_are_what_the_deployments_name(self, templates: Stacks) -> None:
        assert set(templates["OffChainNetwork"]["Outputs"]) == {
            *("SecretsManagerEndpointId", "SecretsManagerEndpointSecurityGroupId"),
            *("ManagedBlockchainEndpointId", "ManagedBlockchainEndpointSecurityGroupId"),
        }

    def test_two_that_make_their_own_endpoints_cannot(self, synthesize: Synthesize) -> None:
        made = {"s3Endpoint": "create", "secretsManagerEndpoint": "create"}
        settings = [read(EXAMPLES / "environments" / f"{name}.yaml", **made) for name in ("dev", "test")]
        templates = synthesize(stacks(*settings))
        vpc = Vpc(SUBNETS)
        vpc.deploy(templates["OffChainDev"], "OffChainDev")
        with pytest.raises(Refused, match="already has a route"):
            vpc.deploy(templates["OffChainTest"], "OffChainTest")


class TestTheOwnerIsADeployment:
    """A deployment that makes the endpoints admits others by its settings."""

    def test_a_second_deployment_is_let_in(self, synthesize: Synthesize) -> None:
        owner = read(
            EXAMPLES / "environments" / "prod.yaml",
            s3Endpoint="create",
            secretsManagerEndpoint="create",
            fabricEndpoint="create",
            admittedBuckets=["offchaintest-storebucket*"],
            admittedSecrets=["dev/fabricOrgs/org1/*"],
        )
        templates = synthesize(stacks(owner, read(EXAMPLES / "environments" / "test.yaml")))
        vpc = Vpc(SUBNETS)
        functions = vpc.deploy(templates["OffChainProd"], "OffChainProd")
        functions += vpc.deploy(with_ids_of(vpc, templates["OffChainTest"]), "OffChainTest")
        require_all_reached(vpc, functions)

    def test_security_groups_of_others_are_let_in(self, synthesize: Synthesize) -> None:
        owner = read(
            EXAMPLES / "environments" / "prod.yaml",
            s3Endpoint="create",
            secretsManagerEndpoint="create",
            fabricEndpoint="create",
            admittedSecurityGroupIds=["sg-00000000000000aaa"],
        )
        vpc = Vpc(SUBNETS)
        vpc.deploy(synthesize(stacks(owner))["OffChainProd"], "OffChainProd")
        vpc.allow(Rule(group="sg-00000000000000aaa", direction="out", protocol="-1", ports=(-1, -1), other="0.0.0.0/0"))
        other = Function(
            stack="Other",
            handler="other",
            groups=("sg-00000000000000aaa",),
            subnets=tuple(SUBNETS),
            statements=(),
            environment={},
        )
        by_service = {each.service: each for each in vpc.endpoints}
        assert vpc.connects(other, by_service[SECRETS], 443)
        assert vpc.connects(other, by_service[LEDGER], 30_001)

    def test_a_bucket_by_its_whole_name_may_be_anybodys(self, synthesize: Synthesize) -> None:
        settings = read(EXAMPLES / "workshop.yaml")
        statements = {
            resource: statement.get("Condition")
            for each in of_type(synthesize(stacks(settings))["OffChainDonors"], "AWS::EC2::VPCEndpoint").values()
            for statement in each["PolicyDocument"]["Statement"]
            if statement["Action"] == "s3:*"
            for resource in map(json.dumps, statement["Resource"])
        }
        assert len(statements) == 8
        for resource, condition in statements.items():
            assert bool(condition) == (":s3:::*" in resource)


class TestTheWorkshop:
    """The VPC as the workshop's own templates make it."""

    def vpc(self) -> Vpc:
        group, subnet = "sg-0123456789abcdef0", "subnet-0123456789abcdef0"
        vpc = Vpc({subnet: "rtb-0123456789abcdef0"})
        for service in (LEDGER, SECRETS):
            vpc.add(
                Endpoint(
                    id="vpce-workshop",
                    service=service,
                    kind="Interface",
                    where=frozenset({subnet}),
                    groups=frozenset({group}),
                    private_dns=True,
                )
            )
        return vpc

    def test_the_example_deploys_into_it_and_everything_is_reached(self, synthesize: Synthesize) -> None:
        template = synthesize(stacks(read(EXAMPLES / "workshop.yaml")))["OffChainDonors"]
        vpc = self.vpc()
        require_all_reached(vpc, vpc.deploy(template, "OffChainDonors"))

    def test_the_defaults_do_not(self, synthesize: Synthesize) -> None:
        settings = read(EXAMPLES / "workshop.yaml", secretsManagerEndpoint="create", fabricEndpoint="create")
        template = synthesize(stacks(settings))["OffChainDonors"]
        with pytest.raises(Refused, match="conflicting DNS domain"):
            self.vpc().deploy(template, "OffChainDonors")

    def test_its_client_machine_still_gets_its_packages(self, synthesize: Synthesize) -> None:
        template = synthesize(stacks(read(EXAMPLES / "workshop.yaml")))["OffChainDonors"]
        vpc = self.vpc()
        vpc.deploy(template, "OffChainDonors")
        (policy,) = [each.policy for each in vpc.endpoints if each.service == S3]
        for bucket in ("amazonlinux-2-repos-us-east-1", "us-east-1.managedblockchain", "org1-fabric-lambda"):
            assert admits(policy, "s3:GetObject", f"arn:aws:s3:::{bucket}/any/thing")


class TestNetworkSettings:
    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"s3Endpoint": "create"}, "offchain.s3Endpoint: OffChainTest makes one"),
            ({"secretsManagerEndpoint": "create"}, "offchain.secretsManagerEndpoint: OffChainTest makes one"),
            ({"vpcId": "vpc-0b"}, "offchain.vpcId: OffChainTest and OffChainDev differ"),
            ({"stackName": "OffChainDev"}, "offchain.stackName: OffChainDev is the name of two deployments"),
        ],
    )
    def test_deployments_that_do_not_fit_are_named(self, changes: dict[str, Any], says: str) -> None:
        dev = read(EXAMPLES / "environments" / "dev.yaml")
        with pytest.raises(SettingsError, match=says):
            NetworkSettings(deployments=[dev, read(EXAMPLES / "environments" / "test.yaml", **changes)])

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("deployments: []", "deployments: must have at least one"),
            ("deployment: [dev.yaml]", "deployments"),
            ("deployments: [absent.yaml]", "absent.yaml: No such file"),
            ("[", "offchainNetwork: "),
            ("", "offchainNetwork: "),
        ],
    )
    def test_a_file_that_is_wrong_is_named(self, text: str, says: str, tmp_path: Path) -> None:
        file = tmp_path / "network.yaml"
        file.write_text(text)
        with pytest.raises(SettingsError) as caught:
            NetworkSettings.from_file(file)
        assert any(says in line for line in str(caught.value).splitlines())

    def test_subnets_of_all_deployments_are_in_it(self, synthesize: Synthesize) -> None:
        other = read(
            EXAMPLES / "environments" / "test.yaml",
            availabilityZones=["us-east-1b", "us-east-1c"],
            subnetIds=["subnet-0123456789abcdef1", "subnet-0123456789abcdef2"],
            routeTableIds=["rtb-0123456789abcdef1", "rtb-0123456789abcdef2"],
        )
        network = NetworkSettings(deployments=[read(EXAMPLES / "environments" / "dev.yaml"), other])
        endpoints = of_type(synthesize(stacks(network=network))["OffChainNetwork"], "AWS::EC2::VPCEndpoint").values()
        (tables,) = [each["RouteTableIds"] for each in endpoints if each["VpcEndpointType"] == "Gateway"]
        (subnets,) = [each["SubnetIds"] for each in endpoints if each["VpcEndpointType"] == "Interface"]
        assert tables == [f"rtb-0123456789abcdef{number}" for number in range(3)]
        assert subnets == [f"subnet-0123456789abcdef{number}" for number in range(3)]
