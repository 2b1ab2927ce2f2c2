"""Structured logs: one JSON line an entry, with the Lambda request id and the submission's ids, never with content."""

from aws_lambda_powertools import Logger

logger = Logger(service="offchain-stack")
