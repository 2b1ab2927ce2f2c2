"""The first code of a Lambda process: `python -I -S bootstrap.py RUNTIME FOLDER...`, started by lambda_runner.

RUNTIME is `awslambdaric` or `own`; the folders become the import path after the standard library's. This file stands
alone: nothing of the sandbox is importable in a function's process.
"""

import json
import os
import sys
import threading


def watch_parent() -> None:
    """End this process when the sandbox has gone, however it went: its end of our standard input is then closed."""
    lifeline = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)

    def wait() -> None:
        while os.read(lifeline, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


class Context:
    """The `context` argument of a handler, as far as Lambda documents it."""

    def __init__(self, headers, deadline_ms: int) -> None:  # type: ignore[no-untyped-def]
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = self.client_context = None
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        import time

        return max(int(self._deadline_ms - time.time() * 1000), 0)


def run(handler_name: str, address: str) -> None:
    """Serve invocations through the Lambda Runtime API, where AWS's own client has no wheel (macOS)."""
    import http.client
    import importlib
    import traceback

    connection = http.client.HTTPConnection(address)

    def call(method: str, path: str, value: object = None, error: str | None = None):  # type: ignore[no-untyped-def]
        headers = {"Content-Type": "application/json"}
        if error:
            headers["Lambda-Runtime-Function-Error-Type"] = error
        body = None if method == "GET" else value if isinstance(value, str) else json.dumps(value)
        connection.request(method, f"/2018-06-01/runtime/{path}", body, headers)
        answer = connection.getresponse()
        return answer.headers, answer.read()

    def failure(kind: str, message: str, request_id: str, stack: list[str]) -> dict[str, object]:
        print(f"[ERROR] {kind}: {message}\n{''.join(stack)}", flush=True)
        return {"errorMessage": message, "errorType": kind, "requestId": request_id, "stackTrace": stack}

    try:
        module_name, _, function_name = handler_name.rpartition(".")
        handler = getattr(importlib.import_module(module_name), function_name)
    except ImportError as error:
        kind = "Runtime.ImportModuleError"
        text = f"Unable to import module '{module_name}': {error}"
        call("POST", "init/error", failure(kind, text, "", []), kind)
        sys.exit(1)
    except Exception as error:
        kind = type(error).__name__
        stack = traceback.format_tb(error.__traceback__)
        call("POST", "init/error", failure(kind, str(error), "", stack), kind)
        sys.exit(1)

    while True:
        headers, body = call("GET", "invocation/next")
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        os.environ["_X_AMZN_TRACE_ID"] = headers.get("Lambda-Runtime-Trace-Id", "")
        try:
            event = json.loads(body)
        except Exception as error:
            kind = "Runtime.UnmarshalError"
            text = f"Unable to unmarshal input: {error}"
            call("POST", f"invocation/{request_id}/error", failure(kind, text, request_id, []), kind)
            continue
        try:
            result = handler(event, Context(headers, int(headers["Lambda-Runtime-Deadline-Ms"])))
            try:
                answer = json.dumps(result)
            except (TypeError, ValueError) as error:
                kind = "Runtime.MarshalError"
                text = f"Unable to marshal response: {error}"
                call("POST", f"invocation/{request_id}/error", failure(kind, text, request_id, []), kind)
                continue
            call("POST", f"invocation/{request_id}/response", answer)
        except Exception as error:
            kind = type(error).__name__
            stack = traceback.format_tb(error.__traceback__)[1:]
            call("POST", f"invocation/{request_id}/error", failure(kind, str(error), request_id, stack), kind)


def main() -> None:
    runtime, *folders = sys.argv[1:]
    watch_parent()
    sys.path[:0] = [folders[0]]
    sys.path.extend(folders[1:])
    handler, address = os.environ["_HANDLER"], os.environ["AWS_LAMBDA_RUNTIME_API"]
    if runtime == "awslambdaric":
        from awslambdaric.__main__ import main as run_awslambdaric

        run_awslambdaric(["awslambdaric", handler])
    else:
        run(handler, address)


if __name__ == "__main__":
    main()
