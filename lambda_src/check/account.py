"""AWS: credentials, region, the Managed Blockchain member, the bucket and the keys."""

from collections.abc import Iterator, Mapping
from typing import Any

from look_up_network import lookup
from shared import aws

from .finding import AWS_FAILURES, Finding, Mistake, aws_code, aws_words, error, ok, warning


def region() -> str:
    """The region that the checks, and the functions later, work in. Raises NoRegionError where there is none."""
    return str(aws.client("secretsmanager").meta.region_name)


def check_account(account: str | None) -> Finding:
    """Whether there are credentials, for `account` where the settings name one, and a region."""
    try:
        region()  # STS alone does without one
        caller = aws.client("sts").get_caller_identity()["Account"]
    except (*AWS_FAILURES, ValueError) as failure:
        return error(
            "AWS",
            f"credentials and region are not usable: {aws_words(failure)}",
            "Log in (aws sso login, AWS_PROFILE or AWS_ACCESS_KEY_ID) and name a region (offchain.region or "
            "AWS_DEFAULT_REGION).",
        )
    if account not in (None, caller):
        return error(
            "offchain.account",
            f"is {account}, and the credentials are of account {caller}",
            "Take the credentials of the account to deploy to.",
        )
    return ok("AWS", f"account {caller}, region {region()}")


def identity() -> tuple[str, str]:
    """Partition and account of the credentials."""
    _, partition, _, _, account, _ = aws.client("sts").get_caller_identity()["Arn"].split(":", 5)
    return partition, account


def look_up(subject: str, properties: Mapping[str, Any]) -> tuple[dict[str, list[dict[str, str]]], str]:
    """The endpoints of a Managed Blockchain member as `FABRIC_NETWORK` has them: `{"peers", "orderers"}`; and the name
    of the service that a VPC endpoint leads to. Raises Mistake."""
    try:
        found = lookup.look_up(properties)
    except (lookup.NotUsable, *AWS_FAILURES) as failure:
        raise Mistake(
            subject,
            aws_words(failure),
            "Give the ids that the Managed Blockchain console shows for this account and region.",
        ) from failure
    peers = [f"Peer{number}" for number in range(len(properties["NodeIds"]))]
    nodes = {
        "peers": [{"endpoint": found[f"{peer}Endpoint"], "mspId": properties["MemberId"]} for peer in peers],
        "orderers": [{"endpoint": found["OrdererEndpoint"]}],
    }
    return nodes, found["VpcEndpointServiceName"]


def require_region(subject: str, bucket: str) -> None:
    """Raises Mistake where `bucket` is not in the region: the functions reach S3 by a gateway endpoint, which leads to
    their own region only. Nothing where S3 does not tell."""
    s3 = aws.client("s3")
    try:
        answer = s3.head_bucket(Bucket=bucket)
    except AWS_FAILURES as failure:
        answer = getattr(failure, "response", {})
    there = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("x-amz-bucket-region", region())
    if there != region():
        raise Mistake(
            subject,
            f"bucket {bucket} is in {there}, and the functions' way to S3 leads to {region()} only",
            f"Use a bucket in {region()}.",
        )


def check_bucket(subject: str, bucket: str) -> Iterator[Finding]:
    """Whether the bucket exists, is in the region, keeps versions and lets them be deleted; and whose key encrypts
    it."""
    s3 = aws.client("s3")
    try:
        require_region(subject, bucket)
        s3.head_bucket(Bucket=bucket)
        versioning = s3.get_bucket_versioning(Bucket=bucket)
    except Mistake as mistake:
        yield mistake.finding
        return
    except AWS_FAILURES as failure:
        if aws_code(failure) in ("404", "NoSuchBucket"):
            yield error(subject, "does not exist", "Create it, or leave bucketName out to have one made.")
        else:
            yield error(
                subject,
                f"cannot be examined: {aws_words(failure)}",
                "Is it this account's? Then check with credentials that have s3:ListBucket and s3:GetBucketVersioning.",
            )
        return
    if versioning.get("Status") != "Enabled":
        yield error(
            subject,
            "does not keep versions, and a failed request deletes its own version of an object",
            f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled",
        )
    elif versioning.get("MFADelete") == "Enabled":
        yield error(
            subject, "deletes versions only with MFA, which no function has", "Turn MFA delete off, or use another."
        )
    else:
        yield ok(subject, "exists and keeps versions")
    if key := _customer_key(bucket):
        yield check_key(subject, key)
        yield warning(
            subject,
            f"is encrypted with {key}, on which the stack grants nothing, since it does not make this bucket",
            "Let the key's policy admit the functions' roles for kms:Decrypt and kms:GenerateDataKey.",
        )


def _customer_key(bucket: str) -> str | None:
    """The KMS key that a bucket names for its encryption; None for S3's own keys, and where S3 does not tell."""
    try:
        answer = aws.client("s3").get_bucket_encryption(Bucket=bucket)
    except AWS_FAILURES:
        return None
    for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]:
        key: str = rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID", "")
        if key and not key.endswith("alias/aws/s3"):
            return key
    return None


def check_key(subject: str, key: str) -> Finding:
    """Whether the KMS key is there and enabled."""
    try:
        state = aws.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"]
    except AWS_FAILURES as failure:
        if "AccessDenied" in aws_code(failure):
            return warning(
                subject,
                f"these credentials may not look at {key}",
                "Check with credentials that have kms:DescribeKey, or look at its policy.",
            )
        return error(subject, f"key {key}: {aws_words(failure)}", "Give the ARN of a key of this account and region.")
    if state != "Enabled":
        return error(subject, f"key {key} is {state}", "Enable the key, or name another.")
    return ok(subject, f"key {key} is there and enabled")
