"""What a secret in AWS Secrets Manager holds."""

from botocore.exceptions import ClientError

from . import aws, pem

CURRENT = "AWSCURRENT"
"""The version of a secret that is in use, and not the one before."""


def stored(secret: str, version: str = CURRENT) -> pem.Stored:
    """What `secret` (a name or an ARN) holds. Raises NotUsable where there is none, and botocore's errors."""
    try:
        answer = aws.client("secretsmanager").get_secret_value(SecretId=secret, VersionStage=version)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise pem.NotUsable(
            secret, "no such secret in this account and region, or it has no value", f"Create it. {pem.ENROL}"
        ) from error
    held: pem.Stored = answer["SecretString"] if "SecretString" in answer else answer["SecretBinary"]
    return held
