"""Whether a method and the upload function behind it bind callers alike: else every caller is anyone, or nobody."""

import aws_cdk as cdk
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IConstruct

from .callers import Callers
from .functions import UploadFunction
from .workflow import CreateWorkflow

_NOT_COMPARED = (
    "callers: not compared with those of the upload function behind state_machine, which is of no CreateWorkflow in "
    "this app. Give its UploadFunction the same: without them every caller may name every Fabric user."
)


def require_same_callers(scope: Construct, state_machine: sfn.IStateMachine, callers: Callers | None) -> None:
    """Raises ValueError if the upload function of `state_machine` binds callers in another way than `callers`. Warns at
    synth, at `scope`, if there are callers and that function is not known."""
    upload_function = _upload_function(state_machine)
    if upload_function is None:
        if callers:
            cdk.Annotations.of(scope).add_warning_v2("offchain-stack:callersNotCompared", _NOT_COMPARED)
    elif upload_function.callers != callers:
        theirs = "has others" if upload_function.callers else "has none"
        raise ValueError(f"callers: the UploadFunction behind state_machine {theirs}; give both the same, or none")


def _upload_function(state_machine: sfn.IStateMachine) -> UploadFunction | None:
    workflow: IConstruct | None = state_machine.node.scope
    made: IConstruct | None = workflow.upload_function.node.scope if isinstance(workflow, CreateWorkflow) else None
    return made if isinstance(made, UploadFunction) else None
