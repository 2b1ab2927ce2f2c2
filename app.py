"""Reads the settings and makes one OffChainStack, or the network stack of several."""

import sys

from offchain_stack import NetworkSettings, OffChainNetworkStack, OffChainStack, Settings, SettingsError

# isort: split
# After offchain_stack, which keeps CDK from warning of each Node version that it does not support any more.
import aws_cdk as cdk

app = cdk.App()
try:
    if shared := app.node.try_get_context("offchainNetwork"):
        network = NetworkSettings.from_file(shared)
        OffChainNetworkStack(app, network.stack_name, settings=network)
    else:
        settings = Settings.from_context(app.node)
        OffChainStack(app, settings.stack_name, settings=settings)
except SettingsError as error:
    sys.exit(str(error))
app.synth()
