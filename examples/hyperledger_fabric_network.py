"""A network that `cdklabs.cdk-hyperledger-fabric-network` makes, and the create flow in its VPC, in one stack.

Needs the optional package: pip install "offchain-stack[managed-blockchain]". For a network that was deployed with it
before 2024: its own functions are on Node.js 14, which Lambda makes no new functions for.
"""

from offchain_stack import (
    ChaincodeFunction,
    CreateWorkflow,
    DonorApi,
    FabricNetwork,
    OffChainStore,
    SweepFunction,
    SweepWorkflow,
    UploadFunction,
)

import aws_cdk as cdk
from cdklabs.cdk_hyperledger_fabric_network import HyperledgerFabricNetwork, HyperledgerFabricUserProps


def build(app: cdk.App) -> cdk.Stack:
    stack = cdk.Stack(app, "Example", env=cdk.Environment(account="111122223333", region="us-east-1"))
    managed = HyperledgerFabricNetwork(
        stack,
        "Managed",
        network_name="donations",
        member_name="charity",
        users=[HyperledgerFabricUserProps(user_id="lambdaUser", affilitation="charity")],
    )
    vpc = managed.client.vpc
    network = FabricNetwork.from_hyperledger_fabric_network(
        stack, "Network", network=managed, channel="mychannel", chaincode="ngo"
    )
    # That VPC has its endpoints already.
    store = OffChainStore(stack, "Store", vpc=vpc, keep_endpoint=True)
    upload = UploadFunction(stack, "Upload", vpc=vpc, bucket=store.bucket, network=network)
    chaincode = ChaincodeFunction(stack, "Chaincode", vpc=vpc, network=network)
    workflow = CreateWorkflow(
        stack,
        "Workflow",
        upload_function=upload.function,
        chaincode_function=chaincode.function,
        bucket=store.bucket,
    )
    sweep = SweepFunction(stack, "SweepFunction", vpc=vpc, bucket=store.bucket, network=network)
    SweepWorkflow(stack, "Sweep", sweep_function=sweep.function)
    DonorApi(stack, "Api", state_machine=workflow.state_machine)
    return stack


if __name__ == "__main__":
    example = cdk.App()
    build(example)
    example.synth()
