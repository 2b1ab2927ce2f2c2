"""The AWS endpoint: S3 and Secrets Manager by moto, Lambda's Invoke by our runner, on one port of 127.0.0.1."""

import http.client
import json
import subprocess
import sys
import threading
import urllib.parse
import uuid
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from .assembly import ROOT, Bucket
from .errors import SandboxError
from .faults import Faults
from .lambda_runner import Answer, ServiceError
from .server import HOST, Request, Response, Server

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "secret-of-the-sandbox"}
"""moto checks no signature: any credentials do. These say what they are."""

_HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "expect", "content-length")


class Aws:
    """Starts moto and serves in front of it. `invoke` is LambdaRunner's, set once there is one. Close it."""

    invoke: Callable[[str, bytes], Answer]

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._local = threading.local()
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._moto = subprocess.Popen(
            [sys.executable, "-m", "sandbox.moto_process"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C is for us alone; they end when we close their standard input.
            start_new_session=True,
        )
        self._moto_port: int | None = None
        self._server = Server(self._handle)
        self.endpoint = self._server.url
        self.region = "us-east-1"

    def wait_ready(self) -> None:
        """Wait until moto serves. Raises SandboxError where it cannot."""
        if self._moto_port is None and self._moto.stdout:
            line = self._moto.stdout.readline().strip()
            if not line.isdigit():
                raise SandboxError("moto did not start; its error is above")
            self._moto_port = int(line)

    def client(self, service: str) -> Any:
        """A boto3 client of `service` at this endpoint, made once."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = boto3.client(
                    service,
                    region_name=self.region,
                    endpoint_url=self.endpoint,
                    aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
                    aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                    config=Config(
                        retries={"total_max_attempts": 1},
                        max_pool_connections=64,
                        s3={"addressing_style": "path"},
                        inject_host_prefix=False,
                    ),
                )
            return self._clients[service]

    def create_bucket(self, bucket: Bucket) -> None:
        """Create a bucket of the template. Its policy is left out: it demands TLS, which is not emulated."""
        s3 = self.client("s3")
        if self.region == "us-east-1":
            s3.create_bucket(Bucket=bucket.name)
        else:
            s3.create_bucket(Bucket=bucket.name, CreateBucketConfiguration={"LocationConstraint": self.region})
        if bucket.versioned:
            s3.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration={"Status": "Enabled"})

    def close(self) -> None:
        self._server.close()
        if self._moto.stdin:
            self._moto.stdin.close()
        self._moto.kill()
        self._moto.wait()
        if self._moto.stdout:
            self._moto.stdout.close()

    def _handle(self, request: Request) -> Response | None:
        if request.target.startswith("/2015-03-31/functions/"):
            return self._invoke(request)
        call = operation(request)
        action = self._faults.meet(call, "before")
        if action is None:
            response = self._forward(request)
            action = self._faults.meet(call, "after")
            if action is None:
                return response
        if action == "reset":
            return None
        status, code = (429, "ThrottlingException") if action == "throttle" else (503, "ServiceUnavailable")
        if not call.startswith("s3:"):
            return _json(status, {"__type": code, "message": "A fault was placed here."})
        code = "SlowDown" if action == "throttle" else code
        body = f"<Error><Code>{code}</Code><Message>A fault was placed here.</Message></Error>"
        return Response(
            status=503,
            headers={"Content-Type": "application/xml", "x-amz-request-id": uuid.uuid4().hex},
            body=body.encode(),
        )

    def _invoke(self, request: Request) -> Response:
        name = urllib.parse.unquote(request.target.split("/")[3])
        try:
            answer = self.invoke(name, request.body or b"{}")
        except ServiceError as error:
            response = _json(error.status, {"Type": "User", "message": error.message})
            return Response(
                status=response.status,
                headers={**response.headers, "x-amzn-ErrorType": error.code},
                body=response.body,
            )
        headers = {"Content-Type": "application/json", "X-Amz-Executed-Version": "$LATEST"}
        if answer.function_error:
            headers["X-Amz-Function-Error"] = answer.function_error
        return Response(status=200, headers=headers, body=answer.payload)

    def _forward(self, request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        headers["Content-Length"] = str(len(request.body))
        connection = self._connection()
        try:
            connection.request(request.method, request.target, request.body, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (http.client.HTTPException, OSError):
            connection.close()
            return _json(500, {"__type": "InternalFailure", "message": "moto did not answer"})
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
        if request.method == "HEAD" and (length := answer.getheader("Content-Length")):
            kept["Content-Length"] = length
        return Response(status=answer.status, headers=kept, body=body)

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection(HOST, self._moto_port)
        connection: http.client.HTTPConnection = self._local.connection
        return connection


def operation(request: Request) -> str:
    """The name of the call that a request at the endpoint makes, such as `s3:PutObject`."""
    target = request.headers.get("X-Amz-Target")
    if target:
        return f"secretsmanager:{target.rpartition('.')[2]}"
    path, _, query = request.target.partition("?")
    names = [name for name in urllib.parse.parse_qs(query, keep_blank_values=True) if name not in ("x-id", "versionId")]
    if "/" not in path.strip("/"):
        return f"s3:{request.method.title()}Bucket{''.join(name.title() for name in names)}"
    if "tagging" in names:
        return f"s3:{request.method.title()}ObjectTagging"
    return f"s3:{request.method.title()}Object"


def _json(status: int, value: dict[str, str]) -> Response:
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-RequestId": str(uuid.uuid4())}
    return Response(status=status, headers=headers, body=json.dumps(value).encode())
