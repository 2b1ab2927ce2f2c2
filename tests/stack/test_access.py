"""Who may call an API: authorizers, API keys, a web ACL, and the policy of a private API."""

import json
from collections.abc import Callable
from typing import Any

import aws_cdk as cdk
import jsii
import pytest
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cognito as cognito
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from stack_template import Template, flat, of_type, only
from test_records import INVOICE

from offchain_stack import DONOR, Access, OffChainApi, RecordApi

Synthesize = Callable[[Callable[[cdk.App], None]], dict[str, Template]]

POOL = "arn:aws:cognito-idp:us-east-1:111122223333:userpool/us-east-1_AbCdEfGhI"
WEB_ACL = "arn:aws:wafv2:us-east-1:111122223333:regional/webacl/offchain/1234abcd-12ab-34cd-56ef-1234567890ab"
THROTTLE = apigateway.ThrottleSettings(rate_limit=5, burst_limit=10)


def cognito_authorizer(stack: cdk.Stack) -> apigateway.IAuthorizer:
    pool = cognito.UserPool.from_user_pool_arn(stack, "Pool", POOL)
    return apigateway.CognitoUserPoolsAuthorizer(stack, "PoolAuthorizer", cognito_user_pools=[pool])


def handler(stack: cdk.Stack) -> lambda_.IFunction:
    return lambda_.Function.from_function_attributes(
        stack,
        "Handler",
        function_arn="arn:aws:lambda:us-east-1:111122223333:function:authorizer",
        same_environment=True,
    )


def token_authorizer(stack: cdk.Stack) -> apigateway.IAuthorizer:
    return apigateway.TokenAuthorizer(stack, "TokenAuthorizer", handler=handler(stack))


def request_authorizer(stack: cdk.Stack) -> apigateway.IAuthorizer:
    sources = [apigateway.IdentitySource.header("Authorization"), apigateway.IdentitySource.context("httpMethod")]
    return apigateway.RequestAuthorizer(
        stack, "RequestAuthorizer", handler=handler(stack), identity_sources=sources, results_cache_ttl=None
    )


def machine(stack: cdk.Stack, name: str) -> sfn.IStateMachine:
    existing = stack.node.try_find_child(name)
    arn = f"arn:aws:states:us-east-1:111122223333:stateMachine:{name}"
    return existing or sfn.StateMachine.from_state_machine_arn(stack, name, arn)  # type: ignore[return-value]


def records(stack: cdk.Stack, api: OffChainApi, record_type: Any = DONOR, **props: Any) -> RecordApi:
    return RecordApi(
        stack,
        f"{record_type.name}s",
        api=api,
        record_type=record_type,
        state_machine=machine(stack, "Create"),
        read_state_machine=machine(stack, "Read"),
        **props,
    )


def endpoints(stack: cdk.Stack, *ids: str) -> list[ec2.IVpcEndpoint]:
    return [
        ec2.InterfaceVpcEndpoint.from_interface_vpc_endpoint_attributes(stack, each, vpc_endpoint_id=each, port=443)
        for each in ids
    ]


def methods(template: Template) -> dict[str, Any]:
    """Each method's properties, by its operation's name."""
    return {each["OperationName"]: each for each in of_type(template, "AWS::ApiGateway::Method").values()}


@pytest.fixture
def synthesized(synthesize: Synthesize) -> Callable[[Callable[[cdk.Stack], Any]], Template]:
    def synthesized(build: Callable[[cdk.Stack], Any]) -> Template:
        return synthesize(lambda app: build(cdk.Stack(app, "Foreign")))["Foreign"]

    return synthesized


Synthesized = Callable[[Callable[[cdk.Stack], Any]], Template]
OPERATIONS = {"CreateDonor", "ReadDonor", "ListDonors", "ReadTransaction"}
OPERATIONS |= {"CreateInvoice", "ReadInvoice", "ListInvoices"}


class TestAuthorizers:
    def test_callers_sign_by_default(self, synthesized: Synthesized) -> None:
        template = synthesized(lambda stack: records(stack, OffChainApi(stack, "Api")))
        made = methods(template)
        assert len(made) == 4
        for each in made.values():
            assert each["AuthorizationType"] == "AWS_IAM"
            assert not {"AuthorizerId", "AuthorizationScopes", "ApiKeyRequired"} & each.keys()

    @pytest.mark.parametrize(
        ("authorizer", "scopes", "kind"),
        [
            (cognito_authorizer, (), "COGNITO_USER_POOLS"),
            (cognito_authorizer, ("records/write", "records/all"), "COGNITO_USER_POOLS"),
            (token_authorizer, (), "CUSTOM"),
            (request_authorizer, (), "CUSTOM"),
        ],
    )
    def test_one_authorizer_serves_every_method_of_all_record_types(
        self, synthesized: Synthesized, authorizer: Any, scopes: tuple[str, ...], kind: str
    ) -> None:
        def build(stack: cdk.Stack) -> None:
            api = OffChainApi(stack, "Api", access=Access(authorizer=authorizer(stack), scopes=scopes))
            records(stack, api)
            records(stack, api, INVOICE)

        template = synthesized(build)
        (name,) = of_type(template, "AWS::ApiGateway::Authorizer")
        (rest_api,) = of_type(template, "AWS::ApiGateway::RestApi")
        assert only(template, "AWS::ApiGateway::Authorizer")["RestApiId"] == {"Ref": rest_api}
        made = methods(template)
        assert made.keys() == OPERATIONS
        for each in made.values():
            assert (each["AuthorizationType"], each["AuthorizerId"]) == (kind, {"Ref": name})
            assert tuple(each.get("AuthorizationScopes", ())) == scopes

    @pytest.mark.parametrize("authorizer", [token_authorizer, request_authorizer])
    def test_a_lambda_authorizer_may_be_invoked_for_itself_alone(
        self, synthesized: Synthesized, authorizer: Any
    ) -> None:
        template = synthesized(
            lambda stack: records(stack, OffChainApi(stack, "Api", access=Access(authorizer=authorizer(stack))))
        )
        (name,) = of_type(template, "AWS::ApiGateway::Authorizer")
        (rest_api,) = of_type(template, "AWS::ApiGateway::RestApi")
        permission = only(template, "AWS::Lambda::Permission")
        assert permission["Principal"] == "apigateway.amazonaws.com"
        assert flat(permission["SourceArn"]).endswith(f":<{rest_api}>/authorizers/<{name}>")

    @pytest.mark.parametrize("first", [DONOR, INVOICE])
    def test_a_record_type_may_have_callers_of_its_own_and_transactions_are_the_apis(
        self, synthesized: Synthesized, first: Any
    ) -> None:
        def build(stack: cdk.Stack) -> None:
            api = OffChainApi(stack, "Api")
            own = {INVOICE: {"access": Access(authorizer=cognito_authorizer(stack))}}
            for each in (first, *({DONOR, INVOICE} - {first})):
                grants = records(stack, api, each, **own.get(each, {}))
                role = iam.Role(stack, f"{each.name}Reader", assumed_by=iam.AccountRootPrincipal())
                grants.grant_read(role)

        template = synthesized(build)
        kinds = {name: each["AuthorizationType"] for name, each in methods(template).items()}
        assert kinds == {name: "COGNITO_USER_POOLS" if "Invoice" in name else "AWS_IAM" for name in OPERATIONS}
        policies = {name: json.dumps(each) for name, each in of_type(template, "AWS::IAM::Policy").items()}
        for record_type in (DONOR, INVOICE):
            (policy,) = [text for name, text in policies.items() if name.startswith(f"{record_type.name}Reader")]
            assert "/GET/transactions/*" in policy

    def test_an_api_made_for_the_records_has_their_access(self, synthesized: Synthesized) -> None:
        def build(stack: cdk.Stack) -> None:
            access = Access(authorizer=cognito_authorizer(stack))
            made = RecordApi(
                stack,
                "Donors",
                state_machine=machine(stack, "Create"),
                read_state_machine=machine(stack, "Read"),
                access=access,
            )
            assert made.access == access

        kinds = {each["AuthorizationType"] for each in methods(synthesized(build)).values()}
        assert kinds == {"COGNITO_USER_POOLS"}

    def test_an_authorizer_on_an_imported_api(self, synthesized: Synthesized) -> None:
        def build(stack: cdk.Stack) -> None:
            rest_api = apigateway.RestApi.from_rest_api_attributes(
                stack, "Theirs", rest_api_id="abc123", root_resource_id="root1"
            )
            access = Access(authorizer=token_authorizer(stack), api_key_required=True)
            RecordApi(stack, "Donors", state_machine=machine(stack, "Create"), rest_api=rest_api, access=access)

        template = synthesized(build)
        assert only(template, "AWS::ApiGateway::Authorizer")["RestApiId"] == "abc123"
        assert methods(template)["CreateDonor"]["ApiKeyRequired"] is True

    def test_scopes_that_nobody_would_look_at_are_refused(self) -> None:
        stack = cdk.Stack()
        for authorizer in (None, token_authorizer(stack)):
            with pytest.raises(ValueError, match=r"^scopes: "):
                Access(authorizer=authorizer, scopes=("records/write",))

    def test_an_authorizer_that_would_leave_the_methods_open_is_refused(self) -> None:
        @jsii.implements(apigateway.IAuthorizer)
        class Open:
            authorizer_id = "abc"
            authorization_type = None

        with pytest.raises(ValueError, match=r"^authorizer: "):
            Access(authorizer=Open())


class TestApiKeys:
    def plan(self, stack: cdk.Stack) -> OffChainApi:
        quota = apigateway.QuotaSettings(limit=1_000, period=apigateway.Period.DAY)
        return OffChainApi(
            stack, "Api", usage_plan=apigateway.UsagePlanProps(throttle=THROTTLE, quota=quota, name="partners")
        )

    def test_every_method_needs_a_key_whatever_a_record_types_own_access(self, synthesized: Synthesized) -> None:
        def build(stack: cdk.Stack) -> None:
            api = self.plan(stack)
            records(stack, api)
            records(stack, api, INVOICE, access=Access(authorizer=token_authorizer(stack)))

        template = synthesized(build)
        made = methods(template)
        assert made.keys() == OPERATIONS
        assert all(each["ApiKeyRequired"] is True for each in made.values())
        assert made["CreateDonor"]["AuthorizationType"] == "AWS_IAM"
        (rest_api,) = of_type(template, "AWS::ApiGateway::RestApi")
        (stage,) = of_type(template, "AWS::ApiGateway::Stage")
        assert only(template, "AWS::ApiGateway::UsagePlan") == {
            "UsagePlanName": "partners",
            "ApiStages": [{"ApiId": {"Ref": rest_api}, "Stage": {"Ref": stage}, "Throttle": {}}],
            "Throttle": {"RateLimit": 5, "BurstLimit": 10},
            "Quota": {"Limit": 1_000, "Period": "DAY"},
        }

    def test_a_key_stays_what_it_is_whichever_others_there_are(self, synthesized: Synthesized) -> None:
        def made(*keys: str) -> dict[str, Any]:
            def build(stack: cdk.Stack) -> None:
                api = self.plan(stack)
                records(stack, api)
                for key in keys:
                    api.add_api_key(key, name=f"{key.lower()}-1", description=f"For {key}")

            template = synthesized(build)
            return of_type(template, "AWS::ApiGateway::ApiKey") | of_type(template, "AWS::ApiGateway::UsagePlanKey")

        two = made("Acme", "Bolt")
        assert len(two) == 4
        assert made("Bolt", "Acme") == two
        assert made("Bolt").items() < two.items()
        (acme, _), (bolt, _) = sorted((name, each) for name, each in two.items() if "Name" in each)
        assert two[acme] == {"Name": "acme-1", "Description": "For Acme", "Enabled": True}
        assert {each["KeyId"]["Ref"] for each in two.values() if "KeyId" in each} == {acme, bolt}

    def test_what_is_wrong_is_named(self) -> None:
        stack = cdk.Stack()
        with pytest.raises(ValueError, match=r"^usage_plan: "):
            OffChainApi(stack, "Without").add_api_key("Acme")
        stages = [apigateway.UsagePlanPerApiStage(api=apigateway.RestApi(stack, "Other"))]
        with pytest.raises(ValueError, match=r"^usage_plan: api_stages "):
            OffChainApi(stack, "Api", usage_plan=apigateway.UsagePlanProps(api_stages=stages))


class TestWebAcl:
    def test_looks_at_the_stages_requests(self, synthesized: Synthesized) -> None:
        template = synthesized(lambda stack: records(stack, OffChainApi(stack, "Api", web_acl_arn=WEB_ACL)))
        association = only(template, "AWS::WAFv2::WebACLAssociation")
        (rest_api,) = of_type(template, "AWS::ApiGateway::RestApi")
        (stage,) = of_type(template, "AWS::ApiGateway::Stage")
        assert association["WebACLArn"] == WEB_ACL
        assert flat(association["ResourceArn"]) == (
            f"arn:<AWS::Partition>:apigateway:<AWS::Region>::/restapis/<{rest_api}>/stages/<{stage}>"
        )

    @pytest.mark.parametrize(
        "arn",
        [
            "offchain",
            WEB_ACL.replace("regional", "global"),
            "arn:aws:waf-regional:us-east-1:111122223333:webacl/1234abcd",
        ],
    )
    def test_what_is_no_regional_web_acl_is_refused(self, arn: str) -> None:
        with pytest.raises(ValueError, match=r"^web_acl_arn: "):
            OffChainApi(cdk.Stack(), "Api", web_acl_arn=arn)


def private(stack: cdk.Stack, **props: Any) -> OffChainApi:
    return OffChainApi(stack, "Api", vpc_endpoints=endpoints(stack, "vpce-0a", "vpce-0b"), **props)


class TestPrivateApi:
    @pytest.mark.parametrize("authorizer", [None, cognito_authorizer, token_authorizer])
    def test_admits_the_endpoints_alone(self, synthesized: Synthesized, authorizer: Any) -> None:
        def build(stack: cdk.Stack) -> None:
            records(stack, private(stack, access=Access(authorizer=authorizer and authorizer(stack))))

        rest_api = only(synthesized(build), "AWS::ApiGateway::RestApi")
        ids = ["vpce-0a", "vpce-0b"]
        assert rest_api["EndpointConfiguration"] == {"Types": ["PRIVATE"], "VpcEndpointIds": ids}
        allow, deny = rest_api["Policy"]["Statement"]
        common = {"Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
        assert deny == common | {
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Condition": {"StringNotEquals": {"aws:SourceVpce": ids}},
        }
        principal = allow.pop("Principal")
        assert allow == common | {"Effect": "Allow", "Condition": {"StringEquals": {"aws:SourceVpce": ids}}}
        if authorizer:
            assert principal == {"AWS": "*"}
        else:
            # An Allow for everybody would stand in for the rights that grant_create gives.
            assert flat(principal["AWS"]) == "arn:<AWS::Partition>:iam::<AWS::AccountId>:root"

    def test_a_public_api_has_no_policy(self, synthesized: Synthesized) -> None:
        template = synthesized(lambda stack: records(stack, OffChainApi(stack, "Api")))
        rest_api = only(template, "AWS::ApiGateway::RestApi")
        assert rest_api["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
        assert "Policy" not in rest_api

    @pytest.mark.parametrize("make", [private, lambda stack, **props: OffChainApi(stack, "Api", **props)])
    def test_a_policy_of_ones_own_takes_the_place(self, synthesized: Synthesized, make: Any) -> None:
        own = iam.PolicyStatement(
            principals=[iam.ArnPrincipal("arn:aws:iam::444455556666:role/partner")],
            actions=["execute-api:Invoke"],
            resources=["execute-api:/*/POST/donors"],
        )
        policy = iam.PolicyDocument(statements=[own])
        template = synthesized(lambda stack: records(stack, make(stack, resource_policy=policy)))
        (statement,) = only(template, "AWS::ApiGateway::RestApi")["Policy"]["Statement"]
        assert statement["Principal"] == {"AWS": "arn:aws:iam::444455556666:role/partner"}

    def test_a_changed_endpoint_is_deployed(self, synthesized: Synthesized) -> None:
        """A resource policy holds from the next deployment on."""

        def deployment(endpoint: str) -> str:
            template = synthesized(
                lambda stack: records(stack, OffChainApi(stack, "Api", vpc_endpoints=endpoints(stack, endpoint)))
            )
            (name,) = of_type(template, "AWS::ApiGateway::Deployment")
            return name

        assert deployment("vpce-0a") == deployment("vpce-0a")
        assert deployment("vpce-0a") != deployment("vpce-0b")

    def test_what_is_wrong_is_named(self) -> None:
        stack = cdk.Stack()
        with pytest.raises(ValueError, match=r"^vpc_endpoints: "):
            OffChainApi(stack, "None", vpc_endpoints=[])
        with pytest.raises(ValueError, match=r"^access: the policy of a private API"):
            records(stack, private(stack), access=Access(authorizer=token_authorizer(stack)))
