"""A picture of the architecture, made from the template's resources, what they refer to and what their roles allow.

Functions with the same sources are one node, and so are state machines that call the same functions: record types are
told apart in the text of a node, so that the picture of several is as large as that of one.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from . import mermaid
from .functions import FUNCTION, function_name, record_type, variables
from .permissions import allowed, uses_of_bucket
from .starts import MACHINE, starts
from .state_machines import title
from .template import Template, text

_PREFACE = (
    "Made from the synthesized template by `make docs`. Functions are named by the folders of their sources. Arrows to "
    "the bucket say what the roles allow."
)

_CALLERS = {
    "AWS_IAM": "IAM (SigV4)",
    "COGNITO_USER_POOLS": "Cognito user pool",
    "CUSTOM": "Lambda authorizer",
    "NONE": "anyone",
}


def architecture(template: Template) -> str:
    """A Markdown page with the picture."""
    return f"# Architecture\n\n{_PREFACE}\n\n{picture(template)}\n"


def picture(template: Template) -> str:
    """The flowchart alone."""
    return _Picture(template).drawn()


class _Picture:
    def __init__(self, template: Template) -> None:
        self._template = template
        self._starts = starts(template)
        self._arrows: dict[tuple[str, str], dict[str, None]] = {}
        self._functions: dict[str, list[str]] = {}
        self._machines: dict[tuple[str, ...], list[str]] = {}
        for machine, properties in template.of_type(MACHINE).items():
            called = template.references(properties["DefinitionString"], FUNCTION)
            self._machines.setdefault(tuple(function_name(template, each) for each in called), []).append(machine)
            for function in called:
                self._functions.setdefault(function_name(template, function), []).append(function)

    def drawn(self) -> str:
        machines = list(self._machine_nodes())
        signing = [name for name in self._functions if self._has_ledger(name)]
        functions = _group("signing", "with the ledger", list(self._function_nodes(signing, arrows_from="signing")))
        functions += self._function_nodes([name for name in self._functions if name not in signing])
        outer, targets = list(self._outer_nodes()), list(self._target_nodes())
        return mermaid.flowchart(
            "LR",
            [
                *outer,
                *_group("machines", "Step Functions", machines),
                *_group("functions", "Lambda functions in the VPC", functions),
                *targets,
                *(mermaid.edge(source, target, labels) for (source, target), labels in self._arrows.items()),
            ],
        )

    def _arrow(self, source: str, target: str, *labels: str) -> None:
        self._arrows.setdefault((source, target), {}).update(dict.fromkeys(labels))

    def _machine_nodes(self) -> Iterator[str]:
        for called, machines in self._machines.items():
            titles = [title(each) for each in machines]
            node = mermaid.identifier(f"run_{titles[0]}")
            properties = [self._template.resources[each]["Properties"] for each in machines]
            kinds = sorted({each.get("StateMachineType", "STANDARD") for each in properties})
            yield f'{node}["{mermaid.lines(*titles, *kinds)}"]'
            for start in [start for each in machines for start in self._starts.get(each, ())]:
                if _is_method(start):
                    self._arrow("caller", "api", *self._callers())
                    self._arrow("api", node, start)
                else:
                    self._arrow(mermaid.identifier(start), node)
            for function in called:
                self._arrow(node, mermaid.identifier(function))
            self._arrow_to_bucket(node, [each["RoleArn"] for each in properties])

    def _function_nodes(self, names: Iterable[str], *, arrows_from: str = "") -> Iterator[str]:
        """Nodes of functions; those that are grouped reach ledger and identities as one, `arrows_from`."""
        for name in names:
            node, functions = mermaid.identifier(name), self._functions[name]
            types = {each["name"]: None for function in functions if (each := record_type(self._template, function))}
            yield f'{node}["{mermaid.lines(name, ", ".join(types) if len(types) > 1 else "")}"]'
            roles = [self._template.resources[each]["Properties"]["Role"] for each in functions]
            if self._has_ledger(name):
                self._arrow(arrows_from or node, "ledger")
            if any(
                action == "secretsmanager:GetSecretValue"
                for each in roles
                for action, _ in allowed(self._template, each)
            ):
                self._arrow(arrows_from or node, "identities")
            self._arrow_to_bucket(node, roles)

    def _has_ledger(self, name: str) -> bool:
        return any("FABRIC_NETWORK" in variables(self._template, each) for each in self._functions[name])

    def _arrow_to_bucket(self, node: str, roles: Iterable[Any]) -> None:
        each = [uses_of_bucket(self._template, role, bucket) for role in roles for bucket in self._buckets()]
        if uses := list(dict.fromkeys(use for found in each for use in found)):
            self._arrow(node, "bucket", ", ".join(uses))

    def _buckets(self) -> list[Any]:
        """What functions have as `S3_BUCKET`."""
        functions = [each for functions in self._functions.values() for each in functions]
        found = [variables(self._template, each).get("S3_BUCKET") for each in functions]
        return list({text(each): each for each in found if each}.values())

    def _callers(self) -> list[str]:
        found = set()
        for method in self._template.of_type("AWS::ApiGateway::Method").values():
            if method["Integration"]["Type"] == "AWS":
                key = " and API key" if method.get("ApiKeyRequired") else ""
                found.add(_CALLERS[method.get("AuthorizationType", "NONE")] + key)
        return sorted(found)

    def _outer_nodes(self) -> Iterator[str]:
        if ("caller", "api") in self._arrows:
            yield 'caller(["caller"])'
            yield 'api["API Gateway"]'
        for schedule in sorted({start for each in self._starts.values() for start in each if not _is_method(start)}):
            yield f'{mermaid.identifier(schedule)}(["{schedule}"])'

    def _target_nodes(self) -> Iterator[str]:
        for target, named, service in (
            ("bucket", "S3 bucket", "s3"),
            ("identities", "Secrets Manager:<br/>Fabric identities", "secretsmanager"),
            ("ledger", "Fabric peers<br/>and orderers", "managedblockchain"),
        ):
            if any(to == target for _, to in self._arrows):
                yield f'{target}[("{mermaid.lines(named, self._way_to(service))}")]'

    def _way_to(self, service: str) -> str:
        """The VPC endpoint to a service, where the template has one."""
        for endpoint in self._template.of_type("AWS::EC2::VPCEndpoint").values():
            if f".{service}" in text(endpoint["ServiceName"]):
                return f"({endpoint['VpcEndpointType'].lower()} endpoint)"
        return ""


def _is_method(start: str) -> bool:
    return " /" in start


def _group(name: str, title: str, nodes: Iterable[str]) -> list[str]:
    return [f'subgraph {name}["{title}"]', *(f"    {node}" for node in nodes), "end"]
