"""CloudFormation's intrinsic functions, resolved into the names that things have in the sandbox."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from .errors import SandboxError

NO_VALUE = object()
"""What `AWS::NoValue` resolves to: the property that holds it is left out."""

_NAME_PROPERTIES = {
    "AWS::S3::Bucket": "BucketName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::ApiGateway::RestApi": "Name",
    "AWS::ApiGateway::Model": "Name",
    "AWS::ApiGateway::Stage": "StageName",
    "AWS::IAM::Role": "RoleName",
    "AWS::SecretsManager::Secret": "Name",
}


class Resolver:
    """Resolves values of one template. `resources` maps a logical id to its resource as the template has it."""

    def __init__(self, template: Mapping[str, Any], *, region: str, account: str, stack_name: str) -> None:
        self.resources: Mapping[str, Any] = template.get("Resources", {})
        self._parameters: Mapping[str, Any] = template.get("Parameters", {})
        self._conditions: Mapping[str, Any] = template.get("Conditions", {})
        self._region, self._account = region, account
        self._pseudo: dict[str, Any] = {
            "AWS::Region": region,
            "AWS::AccountId": account,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::StackName": stack_name,
            "AWS::StackId": f"arn:aws:cloudformation:{region}:{account}:stack/{stack_name}/sandbox",
            "AWS::NotificationARNs": [],
            "AWS::NoValue": NO_VALUE,
        }
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Join": self._join,
            "Fn::Sub": self._sub,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::If": self._if,
            "Fn::FindInMap": lambda argument: self._find_in_map(argument, template.get("Mappings", {})),
            "Fn::Equals": lambda argument: self.resolve(argument[0]) == self.resolve(argument[1]),
            "Fn::Not": lambda argument: not self.resolve(argument[0]),
            "Fn::And": lambda argument: all(map(self.resolve, argument)),
            "Fn::Or": lambda argument: any(map(self.resolve, argument)),
            "Condition": lambda name: self.resolve(self._conditions[name]),
        }

    def resolve(self, value: Any) -> Any:
        """`value` with every intrinsic replaced. Raises SandboxError that names an intrinsic, a resource or an
        attribute that the sandbox does not know."""
        if isinstance(value, list):
            return [part for part in map(self.resolve, value) if part is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name in self._functions and (name != "Condition" or isinstance(argument, str)):
                return self._functions[name](argument)
            if name.startswith("Fn::"):
                raise SandboxError(f"the sandbox does not know CloudFormation's {name}, used as {value!r}")
        resolved = {key: self.resolve(part) for key, part in value.items()}
        return {key: part for key, part in resolved.items() if part is not NO_VALUE}

    def of_type(self, resource_type: str) -> dict[str, dict[str, Any]]:
        """The resources of one type: logical id to its properties as the template has them."""
        return {
            logical_id: resource.get("Properties", {})
            for logical_id, resource in self.resources.items()
            if resource["Type"] == resource_type
        }

    def name(self, logical_id: str) -> str:
        """The name of a resource: the one the template gives it, else one made from its logical id."""
        resource = self.resources[logical_id]
        named = _NAME_PROPERTIES.get(resource["Type"])
        given = self.resolve(resource.get("Properties", {}).get(named)) if named else None
        return str(given or (f"sandbox-{logical_id.lower()}"[:63] if named == "BucketName" else logical_id))

    def arn(self, logical_id: str) -> str:
        """The ARN of a resource."""
        kind, name = self.resources[logical_id]["Type"], self.name(logical_id)
        properties = self.resources[logical_id].get("Properties", {})
        regional = f"{self._region}:{self._account}"
        match kind:
            case "AWS::S3::Bucket":
                return f"arn:aws:s3:::{name}"
            case "AWS::Lambda::Function":
                return f"arn:aws:lambda:{regional}:function:{name}"
            case "AWS::Lambda::Version" | "AWS::Lambda::Alias":
                function = self.resolve(properties["FunctionName"])
                function = function if function.startswith("arn:") else f"arn:aws:lambda:{regional}:function:{function}"
                return f"{function}:{self.resolve(properties.get('Name', '1'))}"
            case "AWS::StepFunctions::StateMachine":
                return f"arn:aws:states:{regional}:stateMachine:{name}"
            case "AWS::Logs::LogGroup":
                return f"arn:aws:logs:{regional}:log-group:{name}:*"
            case "AWS::IAM::Role":
                return f"arn:aws:iam::{self._account}:role/{name}"
            case "AWS::KMS::Key":
                return f"arn:aws:kms:{regional}:key/{name}"
            case "AWS::SecretsManager::Secret":
                return f"arn:aws:secretsmanager:{regional}:secret:{name}"
        raise SandboxError(f"the sandbox knows no ARN for {logical_id}, a {kind}")

    def _resource(self, logical_id: str) -> Mapping[str, Any]:
        if logical_id not in self.resources:
            raise SandboxError(
                f"the template refers to {logical_id!r}, which is neither a resource nor a parameter of it"
            )
        resource: Mapping[str, Any] = self.resources[logical_id]
        return resource

    def _ref(self, name: str) -> Any:
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            if "Default" not in self._parameters[name]:
                raise SandboxError(f"the template's parameter {name} has no default value")
            return self._parameters[name]["Default"]
        by_arn = ("AWS::StepFunctions::StateMachine", "AWS::SecretsManager::Secret", "AWS::Lambda::Version")
        return self.arn(name) if self._resource(name)["Type"] in (*by_arn, "AWS::Lambda::Alias") else self.name(name)

    def _get_att(self, argument: Any) -> Any:
        logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
        kind = self._resource(logical_id)["Type"]
        if attribute == "Arn":
            return self.arn(logical_id)
        if (kind, attribute) == ("AWS::ApiGateway::RestApi", "RootResourceId"):
            return f"{self.name(logical_id)}/"
        if (kind, attribute) == ("AWS::StepFunctions::StateMachine", "Name"):
            return self.name(logical_id)
        raise SandboxError(f"the sandbox does not know Fn::GetAtt {logical_id}.{attribute}, of a {kind}")

    def _join(self, argument: Any) -> str:
        separator, parts = argument
        return str(separator).join(map(str, self.resolve(parts)))

    def _sub(self, argument: Any) -> str:
        text, names = (argument, {}) if isinstance(argument, str) else argument

        def value(match: re.Match[str]) -> str:
            name = match[1]
            if name.startswith("!"):
                return f"${{{name[1:]}}}"
            if name in names:
                return str(self.resolve(names[name]))
            return str(self._get_att(name) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", value, text)

    def _select(self, argument: Any) -> Any:
        index, parts = argument
        return self.resolve(parts)[int(self.resolve(index))]

    def _split(self, argument: Any) -> list[str]:
        separator, text = argument
        return str(self.resolve(text)).split(separator)

    def _if(self, argument: Any) -> Any:
        condition, yes, no = argument
        return self.resolve(yes if self.resolve(self._conditions[condition]) else no)

    def _find_in_map(self, argument: Any, mappings: Mapping[str, Any]) -> Any:
        name, first, second = map(self.resolve, argument)
        return mappings[name][first][second]
