"""Reads the settings and makes one OffChainStack."""

import sys

import aws_cdk as cdk

from offchain_stack import OffChainStack, Settings, SettingsError

app = cdk.App()
try:
    settings = Settings.from_context(app.node)
except SettingsError as error:
    sys.exit(str(error))
OffChainStack(app, settings.stack_name, settings=settings)
app.synth()
