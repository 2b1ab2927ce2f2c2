"""Faults between a function and S3, placed in the clients of `shared.aws`."""

import threading
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from shared import aws


class S3Faults:
    """What can go wrong between a function and S3, for the functions' clients."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self._clients = [aws.client("s3"), aws.client("s3", attempts=1)]
        self._registered: list[tuple[str, Callable[..., Any]]] = []
        self._register("provide-client-params.s3", self._note, last=True)

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.sent.append((model.name, params))

    def count(self, operation: str) -> int:
        """How often the function called `operation`; the SDK's own retries are not counted."""
        return sum(1 for name, _ in self.sent if name == operation)

    def lose_request(self, operation: str, times: int = 1000) -> None:
        """S3 never sees the request."""
        self._register("before-send", _raising(ConnectTimeoutError, operation, times), last=False)

    def lose_answer(
        self, operation: str, times: int = 1000, only: Callable[[Any], bool] = lambda request: True
    ) -> None:
        """S3 does what was asked, and its answer does not arrive."""
        self._register("before-send", _raising(ReadTimeoutError, operation, times, only), last=True)

    def refuse(self, operation: str, status: int, code: str, times: int = 1000, *, within: str = "") -> None:
        """S3 does nothing and says so; only where the request's URL has `within`."""
        left = [times]

        def answer(params: dict[str, Any], **_: Any) -> Any:
            if not left[0] or within not in params["url"]:
                return None
            left[0] -= 1
            body = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
            return type("Response", (), {"status_code": status})(), body

        self._register(f"before-call.s3.{operation}", answer, last=False)

    def answer_with(self, operation: str, **fields: Any) -> None:
        """S3's answer has other fields; None removes one."""

        def change(parsed: dict[str, Any], **_: Any) -> None:
            if "Error" not in parsed:
                parsed.update(fields)
                for name in [name for name, value in fields.items() if value is None]:
                    del parsed[name]

        self._register(f"after-call.s3.{operation}", change, last=True)

    def before(self, operation: str, action: Callable[[], Any]) -> None:
        """Something happens once, just before S3 sees the request."""
        left = [action]

        def act(**_: Any) -> None:
            if left:
                left.pop()()

        self._register(f"before-call.s3.{operation}", act, last=False)

    def at_each(self, operation: str, action: Callable[[], Any]) -> None:
        """Something happens each time just before S3 sees the request."""
        self._register(f"before-call.s3.{operation}", lambda **_: action(), last=False)

    def ask_with(self, operation: str, **parameters: Any) -> None:
        """The function asks with other parameters."""

        def change(params: dict[str, Any], **_: Any) -> None:
            params.update(parameters)

        self._register(f"provide-client-params.s3.{operation}", change, last=False)

    def one_at_a_time(self) -> None:
        """S3 decides a condition and writes in one step; moto's two are held together by a lock."""
        lock = threading.RLock()

        def acquire(**_: Any) -> None:
            lock.acquire()

        def release(**_: Any) -> None:
            lock.release()

        self._register("before-send", acquire, last=False)
        self._register("before-send", release, last=True)

    def _register(self, event: str, handler: Callable[..., Any], *, last: bool) -> None:
        self._registered.append((event, handler))
        for client in self._clients:
            (client.meta.events.register_last if last else client.meta.events.register_first)(event, handler)

    def clear(self) -> None:
        for event, handler in self._registered:
            for client in self._clients:
                client.meta.events.unregister(event, handler)
        self._registered.clear()


def _raising(
    error: type[Exception], operation: str, times: int, only: Callable[[Any], bool] = lambda request: True
) -> Callable[..., None]:
    left = [times]

    def fail(request: Any, event_name: str, **_: Any) -> None:
        if left[0] and event_name.endswith(operation) and only(request):
            left[0] -= 1
            raise error(endpoint_url="https://s3")

    return fail
