"""OffChainStore: the bucket for the data, and the way to it from the VPC."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct, IConstruct

from .acknowledgements import acknowledge
from .keys import grant_key
from .record_type import DONOR, RecordType
from .vpc_endpoints import admit, admit_buckets, require_alone, warn_of_tables_not_chosen

_WRITE_ACTIONS = ["s3:GetObject", "s3:PutObject"]
"""To HEAD an object, which tells a writer whose version lies under the key, S3 asks for the right to GET it."""
_READ_ACTIONS = ["s3:GetObject", "s3:GetObjectVersion"]
_SWEEP_ACTIONS = [
    "s3:DeleteObjectVersion",
    "s3:GetObjectVersion",
    "s3:GetObjectVersionTagging",
    "s3:PutObjectVersionTagging",
]
OBJECT_ACTIONS = sorted({*_WRITE_ACTIONS, *_READ_ACTIONS, *_SWEEP_ACTIONS})
"""What the functions of a record type together do with the objects below its prefix."""


def grant_write(bucket: s3.IBucket, record_type: RecordType, grantee: iam.IGrantable) -> iam.Grant:
    """Let `grantee` write objects under the record type's prefix and read their metadata; not delete, not list.

    S3 has no narrower right to metadata than `s3:GetObject`, which reads data as well. If a customer key encrypts the
    bucket, the data stays unreadable: `kms:Decrypt` is not granted, and S3 needs it neither for HEAD nor for a write in
    one part.
    """
    if bucket.encryption_key:
        grant_key(bucket.encryption_key, grantee, "kms:GenerateDataKey", service="s3")
    return iam.Grant.add_to_principal(
        grantee=grantee, actions=_WRITE_ACTIONS, resource_arns=[bucket.arn_for_objects(f"{record_type.key_prefix}*")]
    )


def grant_delete_version(bucket: s3.IBucket, record_type: RecordType, grantee: iam.IGrantable) -> iam.Grant:
    """Let `grantee` delete one version, named by its id, of an object under the record type's prefix. A plain delete,
    which would hide the object behind a marker, is not in it."""
    return iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["s3:DeleteObjectVersion"],
        resource_arns=[bucket.arn_for_objects(f"{record_type.key_prefix}*")],
    )


def grant_sweep(bucket: s3.IBucket, record_type: RecordType, grantee: iam.IGrantable) -> iam.Grant:
    """Let `grantee` list the versions under the record type's prefix, read their metadata, read and write their tags,
    and delete them one by one."""
    return _grant_list_versions(bucket, record_type, grantee).combine(
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=_SWEEP_ACTIONS,
            resource_arns=[bucket.arn_for_objects(f"{record_type.key_prefix}*")],
        )
    )


def grant_read(bucket: s3.IBucket, record_type: RecordType, grantee: iam.IGrantable) -> iam.Grant:
    """Let `grantee` list the versions under the record type's prefix and read them; not write, not delete."""
    if bucket.encryption_key:
        grant_key(bucket.encryption_key, grantee, "kms:Decrypt", service="s3")
    return _grant_list_versions(bucket, record_type, grantee).combine(
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=_READ_ACTIONS,
            resource_arns=[bucket.arn_for_objects(f"{record_type.key_prefix}*")],
        )
    )


def _grant_list_versions(bucket: s3.IBucket, record_type: RecordType, grantee: iam.IGrantable) -> iam.Grant:
    return iam.Grant.add_to_principal(
        grantee=grantee,
        actions=["s3:ListBucketVersions"],
        resource_arns=[bucket.bucket_arn],
        conditions={"StringLike": {"s3:prefix": f"{record_type.key_prefix}*"}},
    )


def version_mistake(bucket: s3.IBucket) -> str | None:
    """What is wrong with a bucket of the app that keeps no versions; None for one that does, or that is not known."""
    resource = bucket.node.default_child
    if not isinstance(resource, s3.CfnBucket):
        return None
    versioning = cdk.Stack.of(bucket).resolve(resource.versioning_configuration) or {}
    if cdk.Token.is_unresolved(resource.versioning_configuration) or versioning.get("status") == "Enabled":
        return None
    return (
        f"bucket: {bucket.node.path} keeps no versions, and a failed request deletes its own version of an object; "
        "make it with versioned=True"
    )


def require_versions(scope: IConstruct, bucket: s3.IBucket) -> None:
    """An error at synth where `bucket`, on which `scope` relies, is one of the app that keeps no versions."""
    if mistake := version_mistake(bucket):
        cdk.Annotations.of(scope).add_error(mistake)


class OffChainStore(Construct):
    """A versioned, encrypted, private bucket, and an S3 gateway endpoint on the VPC's route tables.

    A gateway endpoint takes over *all* S3 traffic of its route tables, and the policy of the one made here admits only
    what the functions need: anything else in those subnets that talks to S3 in this region (package mirrors, image
    layers, backups) is then refused. Choose `subnets` that hold nothing else, widen the policy with `admit` or
    `admit_buckets`, or keep the endpoint the VPC has (`keep_endpoint`): a route table takes one S3 endpoint only, and
    then its policy must admit `s3:PutObject` and `s3:GetObject` on the bucket's prefix; for reading
    `s3:GetObjectVersion` there and `s3:ListBucketVersions`; for the sweep also `s3:DeleteObjectVersion`,
    `s3:GetObjectVersionTagging` and `s3:PutObjectVersionTagging`.

    * `vpc`: where the functions run.
    * `subnets`: the endpoint goes to these subnets' route tables; by default to those of the VPC's private ones.
    * `keep_endpoint`: True where the VPC has an S3 endpoint, which stays the only one; False by default.
    * `bucket`: use this one; by default one is made. It must be versioned: the workflow deletes versions, not objects.
    * `encryption_key`: a customer key for the new bucket; by default S3's own. Object hashes are then computed, because
      an ETag under KMS is no MD5.
    * `noncurrent_days`: days after which an object version that is no longer the newest is deleted; 30 by default.
    * `noncurrent_expiration`: the same as a duration of whole days, in place of `noncurrent_days`; none by default.
    * `removal_policy`: what becomes of the new bucket when the stack, or the construct, is removed; by default it is
      retained, because the ledger goes on naming its objects. With `RemovalPolicy.DESTROY` CloudFormation deletes it if
      it is empty, and fails if it is not.
    * `record_types`: whose prefixes the endpoint admits from the start; donors by default. `OffChainRecords` admits its
      own.
    * `access_log_bucket`: where S3 writes the new bucket's server access logs; nowhere by default. The API's,
      workflow's and functions' logs already name each write; CloudTrail data events are the other way.

    Exposes `bucket` and `endpoint` (None where it is kept). The bucket outlives the stack, unless the deployment that
    made it fails. Raises ValueError that names props which contradict each other, and the prop for a bucket of the app
    that keeps no versions and for a second S3 endpoint on a route table.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        vpc: ec2.IVpc,
        subnets: ec2.SubnetSelection | None = None,
        keep_endpoint: bool = False,
        bucket: s3.IBucket | None = None,
        encryption_key: kms.IKey | None = None,
        noncurrent_days: int = 30,
        noncurrent_expiration: cdk.Duration | None = None,
        removal_policy: cdk.RemovalPolicy | None = None,
        access_log_bucket: s3.IBucket | None = None,
        record_types: Sequence[RecordType] = (DONOR,),
    ) -> None:
        super().__init__(scope, id)
        if bucket and (encryption_key or access_log_bucket or removal_policy):
            raise ValueError(
                "bucket: is there already, so encryption_key, access_log_bucket and removal_policy cannot be set on it"
            )
        if bucket and (mistake := version_mistake(bucket)):
            raise ValueError(mistake)
        if noncurrent_expiration and noncurrent_days != 30:
            raise ValueError("noncurrent_days: contradicts noncurrent_expiration; give one of them")
        self._record_types: dict[str, RecordType] = {}
        self._took_the_only_one = False
        self.bucket: s3.IBucket = bucket or s3.Bucket(
            self,
            "Bucket",
            versioned=True,
            encryption=s3.BucketEncryption.KMS if encryption_key else s3.BucketEncryption.S3_MANAGED,
            encryption_key=encryption_key,
            bucket_key_enabled=True if encryption_key else None,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            removal_policy=removal_policy or cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
            server_access_logs_bucket=access_log_bucket,
            server_access_logs_prefix=f"{cdk.Names.unique_id(self)}/" if access_log_bucket else None,
            lifecycle_rules=[
                s3.LifecycleRule(
                    noncurrent_version_expiration=noncurrent_expiration or cdk.Duration.days(noncurrent_days),
                    expired_object_delete_marker=True,
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
        )
        if not bucket and not access_log_bucket:
            acknowledge(
                self.bucket,
                {
                    "S1": "Only the upload function writes and only the workflow deletes here, and their logs name "
                    "each request; access_log_bucket turns server access logs on."
                },
            )
        self.endpoint: ec2.GatewayVpcEndpoint | None = None
        if not keep_endpoint:
            self.endpoint = ec2.GatewayVpcEndpoint(
                self,
                "S3Endpoint",
                vpc=vpc,
                service=ec2.GatewayVpcEndpointAwsService.S3,
                subnets=[subnets or ec2.SubnetSelection()],
            )
            require_alone(
                self.endpoint, "keep_endpoint", "Set it to True, and let the other endpoint's policy admit this bucket."
            )
            if not subnets and not isinstance(vpc, ec2.Vpc):
                warn_of_tables_not_chosen(self, vpc)
        for record_type in record_types:
            self.admit_create(record_type)

    def admit(self, *, actions: Sequence[str], resources: Sequence[str]) -> None:
        """Let this account's principals use the endpoint for `actions` on `resources` (ARNs), too. Nothing happens
        where the VPC's own endpoint is kept."""
        if self.endpoint:
            admit(self.endpoint, actions, resources)

    def admit_buckets(self, names: Sequence[str]) -> None:
        """Let whoever is in the subnets use the endpoint for further buckets and all that is in them: those of other
        deployments, and of whatever else is in these subnets. A name in which `*` stands for any characters admits
        buckets of this account only. Raises ValueError where the VPC's own endpoint is kept."""
        if not self.endpoint:
            raise ValueError("names: the S3 endpoint is kept here; its owner has to admit the buckets")
        admit_buckets(self.endpoint, names)

    def admit_create(self, record_type: RecordType) -> None:
        """Let the functions that write use the endpoint for `record_type`, which is then one of the store's. Raises
        ValueError if its prefix and another record type's begin with each other, and if a grant did not name its record
        type while the store had only one."""
        prefix = record_type.key_prefix
        known = self._record_types.get(prefix)
        if known and known.name == record_type.name:
            return
        for other in self._record_types.values():
            if prefix.startswith(other.key_prefix) or other.key_prefix.startswith(prefix):
                named = f"{prefix!r} of {record_type.name} and {other.key_prefix!r} of {other.name}"
                raise ValueError(f"record_type: key_prefix {named} lie in each other; change one")
        if self._took_the_only_one:
            raise ValueError(
                f"record_type: a grant on the store named none while {self._only_record_type().name} was the only one; "
                f"name it there, or {record_type.name} might be meant"
            )
        self._record_types[prefix] = record_type
        self.admit(actions=_WRITE_ACTIONS, resources=[self._objects(record_type)])

    def admit_read(self, record_type: RecordType | None = None) -> None:
        """Let the functions that verify use the endpoint for `record_type`, by default the store's only one. Raises
        ValueError if it has several."""
        record_type = record_type or self._only_record_type()
        self.admit(actions=_READ_ACTIONS, resources=[self._objects(record_type)])
        self.admit(actions=["s3:ListBucketVersions"], resources=[self.bucket.bucket_arn])

    def admit_sweep(self, record_type: RecordType | None = None) -> None:
        """Let the sweep use the endpoint for `record_type`, by default the store's only one. Raises ValueError if it
        has several."""
        record_type = record_type or self._only_record_type()
        self.admit(actions=_SWEEP_ACTIONS, resources=[self._objects(record_type)])
        self.admit(actions=["s3:ListBucketVersions"], resources=[self.bucket.bucket_arn])

    def grant_write(self, grantee: iam.IGrantable, record_type: RecordType | None = None) -> iam.Grant:
        """Let `grantee` write objects under the prefix of `record_type`, by default the store's only one, and read
        back what it wrote. Raises ValueError if the store has several."""
        return grant_write(self.bucket, record_type or self._only_record_type(), grantee)

    def grant_delete_version(self, grantee: iam.IGrantable, record_type: RecordType | None = None) -> iam.Grant:
        """Let `grantee` delete versions of objects under the prefix of `record_type`, by default the store's only one,
        each named by its id. Raises ValueError if the store has several."""
        return grant_delete_version(self.bucket, record_type or self._only_record_type(), grantee)

    def grant_read(self, grantee: iam.IGrantable, record_type: RecordType | None = None) -> iam.Grant:
        """Let `grantee` list and read versions of objects under the prefix of `record_type`, by default the store's
        only one. Raises ValueError if the store has several."""
        return grant_read(self.bucket, record_type or self._only_record_type(), grantee)

    def grant_sweep(self, grantee: iam.IGrantable, record_type: RecordType | None = None) -> iam.Grant:
        """Let `grantee` list, read, tag and delete versions of objects under the prefix of `record_type`, by default
        the store's only one. Raises ValueError if the store has several."""
        return grant_sweep(self.bucket, record_type or self._only_record_type(), grantee)

    def _only_record_type(self) -> RecordType:
        known = list(self._record_types.values())
        if len(known) != 1:
            names = ", ".join(each.name for each in known) or "none"
            raise ValueError(f"record_type: the store's record types are {names}; say which one is meant")
        self._took_the_only_one = True
        return known[0]

    def _objects(self, record_type: RecordType) -> str:
        return self.bucket.arn_for_objects(f"{record_type.key_prefix}*")
