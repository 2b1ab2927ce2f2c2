"""A custom resource of CloudFormation: a function of ours behind CDK's provider framework."""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import custom_resources as cr
from constructs import Construct

from .acknowledgements import acknowledge
from .log_group import kept_log_group
from .packaging import RUNTIME, code
from .trust import lambda_service


class CustomResourceProvider(Construct):
    """The function `lambda_src/<source>` as on-event handler, and the framework in front of it, each with a role that
    may do what it needs and nothing else. What the handler itself needs is added to `function_role`.

    Exposes `function`, `function_role`, `log_group`, `provider`, `provider_role` and `provider_log_group`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        source: str,
        exclude: Sequence[str],
        description: str,
        timeout: cdk.Duration,
        log_retention: logs.RetentionDays,
        environment: Mapping[str, str] | None = None,
        memory_size: int = 256,
    ) -> None:
        super().__init__(scope, id)
        self.log_group = kept_log_group(self, "Logs", retention=log_retention)
        self.function_role = iam.Role(self, "FunctionRole", assumed_by=lambda_service(self))
        self.log_group.grant_write(self.function_role)
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=RUNTIME,
            architecture=lambda_.Architecture.X86_64,
            handler=f"{source}.handler.handler",
            code=code(source, exclude=exclude),
            description=description,
            environment=dict(environment or {}),
            memory_size=memory_size,
            timeout=timeout,
            role=self.function_role.without_policy_updates(),
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
        )
        self.function.node.add_dependency(self.function_role)
        acknowledge(self.function, {"L1": "Python 3.13 is supported until 2029; as the other functions."})
        self.provider_log_group = kept_log_group(self, "ProviderLogs", retention=log_retention)
        self.provider_role = iam.Role(self, "ProviderRole", assumed_by=lambda_service(self))
        self.provider_role.add_to_policy(
            iam.PolicyStatement(
                actions=["lambda:GetFunction", "lambda:InvokeFunction"], resources=[self.function.function_arn]
            )
        )
        self.provider_log_group.grant_write(self.provider_role)
        self.provider = cr.Provider(
            self,
            "Provider",
            on_event_handler=self.function,
            # CDK would grant each of the function's versions, too.
            framework_on_event_role=self.provider_role.without_policy_updates(),
            log_group=self.provider_log_group,
        )
        self.provider.node.add_dependency(self.provider_role)
