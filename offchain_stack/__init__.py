"""AWS CDK constructs that keep data in Amazon S3 and its proof on Hyperledger Fabric.

Each is usable alone in a stack of your own:

    from offchain_stack import OffChainStore

    OffChainStore(self, "Store", vpc=vpc)
"""

from .access import Access
from .api import DonorApi, RecordApi
from .batches import SweepWorkflow, VerifyAllWorkflow
from .callers import Callers
from .connection_profile import ConnectionProfile, ConnectionProfileError
from .endpoint import Endpoint
from .existing_method import ExistingMethod
from .fabric import ChaincodeOptions, FabricNetwork, FabricUser
from .function import FunctionOptions
from .functions import (
    ChaincodeFunction,
    QueryFunction,
    SweepFunction,
    UploadFunction,
    VerifyAllFunction,
    VerifyFunction,
)
from .monitoring import AlarmThresholds, OffChainMonitoring
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
    "FunctionOptions",
    "LedgerField",
    "OffChainApi",
    "OffChainMonitoring",
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
