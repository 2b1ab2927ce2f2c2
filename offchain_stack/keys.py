"""Rights to use a customer's KMS key."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms


def grant_key(key: kms.IKey, grantee: iam.IGrantable, *actions: str, service: str) -> iam.Grant:
    """Let `grantee` use `key`, or the key behind an alias, for `actions` such as `kms:Decrypt`, but only by way of
    `service` ("s3" or "secretsmanager") in the key's region. The key's policy must leave it to IAM, as by default."""
    stack = cdk.Stack.of(key)
    # China's names end with ".cn".
    conditions = {"StringLike": {"kms:ViaService": f"{service}.{stack.region}.amazonaws.com*"}}
    arn = key.key_arn
    if (alias := getattr(key, "alias_name", None)) is not None:
        # A policy that names an alias admits nothing.
        arn = stack.format_arn(service="kms", resource="key", resource_name="*")
        conditions["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": alias}
    return iam.Grant.add_to_principal(
        grantee=grantee, actions=list(actions), resource_arns=[arn], conditions=conditions
    )
