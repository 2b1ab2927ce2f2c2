"""AWS CDK constructs that keep data in Amazon S3 and its proof on Hyperledger Fabric.

Each is usable alone in a stack of your own:

    from offchain_stack import OffChainStore

    OffChainStore(self, "Store", vpc=vpc)
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

# CDK's JavaScript prints a banner about each Node version that has reached its end of life, but not about this one. It
# reads this when `aws_cdk` is first imported.
os.environ.setdefault("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "20")

if TYPE_CHECKING:
    from .access import Access
    from .api import DonorApi, RecordApi
    from .batches import SweepWorkflow, VerifyAllWorkflow
    from .callers import Callers
    from .connection_profile import ConnectionProfile, ConnectionProfileError
    from .endpoint import Endpoint
    from .existing_method import ExistingMethod
    from .fabric import ChaincodeOptions, FabricNetwork, FabricUser
    from .function import FunctionLimits, FunctionOptions
    from .functions import (
        ChaincodeFunction,
        QueryFunction,
        SweepFunction,
        UploadFunction,
        VerifyAllFunction,
        VerifyFunction,
    )
    from .monitoring import AlarmThresholds, OffChainMonitoring
    from .network_settings import NetworkSettings
    from .network_stack import OffChainNetworkStack
    from .read_workflow import ReadWorkflow
    from .record_type import DONOR, LedgerField, RecordType
    from .records import OffChainRecords
    from .rest_api import OffChainApi
    from .settings import Settings, SettingsError
    from .stack import OffChainStack
    from .store import OffChainStore
    from .workflow import CreateWorkflow

__all__ = [
    "DONOR",
    "Access",
    "AlarmThresholds",
    "Callers",
    "ChaincodeFunction",
    "ChaincodeOptions",
    "ConnectionProfile",
    "ConnectionProfileError",
    "CreateWorkflow",
    "DonorApi",
    "Endpoint",
    "ExistingMethod",
    "FabricNetwork",
    "FabricUser",
    "FunctionLimits",
    "FunctionOptions",
    "LedgerField",
    "NetworkSettings",
    "OffChainApi",
    "OffChainMonitoring",
    "OffChainNetworkStack",
    "OffChainRecords",
    "OffChainStack",
    "OffChainStore",
    "QueryFunction",
    "ReadWorkflow",
    "RecordApi",
    "RecordType",
    "Settings",
    "SettingsError",
    "SweepFunction",
    "SweepWorkflow",
    "UploadFunction",
    "VerifyAllFunction",
    "VerifyAllWorkflow",
    "VerifyFunction",
]

_MODULES = {
    "DONOR": "record_type",
    "Access": "access",
    "AlarmThresholds": "monitoring",
    "Callers": "callers",
    "ChaincodeFunction": "functions",
    "ChaincodeOptions": "fabric",
    "ConnectionProfile": "connection_profile",
    "ConnectionProfileError": "connection_profile",
    "CreateWorkflow": "workflow",
    "DonorApi": "api",
    "Endpoint": "endpoint",
    "ExistingMethod": "existing_method",
    "FabricNetwork": "fabric",
    "FabricUser": "fabric",
    "FunctionLimits": "function",
    "FunctionOptions": "function",
    "LedgerField": "record_type",
    "NetworkSettings": "network_settings",
    "OffChainApi": "rest_api",
    "OffChainMonitoring": "monitoring",
    "OffChainNetworkStack": "network_stack",
    "OffChainRecords": "records",
    "OffChainStack": "stack",
    "OffChainStore": "store",
    "QueryFunction": "functions",
    "ReadWorkflow": "read_workflow",
    "RecordApi": "api",
    "RecordType": "record_type",
    "Settings": "settings",
    "SettingsError": "settings",
    "SweepFunction": "functions",
    "SweepWorkflow": "batches",
    "UploadFunction": "functions",
    "VerifyAllFunction": "functions",
    "VerifyAllWorkflow": "batches",
    "VerifyFunction": "functions",
}
"""Where each name is. It is loaded when it is first used: CDK, which most of them need, takes seconds."""


def __getattr__(name: str) -> Any:
    if name in _MODULES.values():
        return importlib.import_module(f".{name}", __name__)
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
