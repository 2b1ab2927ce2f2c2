"""One process of one Python client: `python -m bench.worker`, or `fabric-network/bench.js` for the one in Node.

Reads one JSON line: `{"client", "network", "function", "argument", "prefix", "warmUp", "seconds", "most", "atATime"}`.
Answers one JSON line each: `{"firstCommit": true}`; then, after `warmUp` more calls, for each number of `atATime`
`{"atATime", "latencies": [seconds, ...], "seconds", "errors": [text, ...]}`: what committed and what failed when so
many calls at a time were made for `seconds` and at most `most` calls. The donors' names begin with `prefix`.
"""

import importlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from .donor import NAME


def main() -> None:
    plan = json.loads(sys.stdin.readline())
    module = {"offchain-stack": "bench.offchain_client", "raw": "bench.raw_client"}[plan["client"]]
    client = importlib.import_module(module).Client(plan["network"])
    numbers = iter(range(10**9))

    def prepare() -> Any:
        return client.prepare(plan["function"], plan["argument"].replace(NAME, f"{plan['prefix']}-{next(numbers)}"))

    client.submit(prepare())
    _tell({"firstCommit": True})
    if plan["atATime"]:
        for _ in range(plan["warmUp"]):
            client.submit(prepare())
    for at_a_time in plan["atATime"]:
        # What a client builds before its call is not measured; only the raw client does so.
        ahead = iter([prepare() for _ in range(plan["most"])])
        _tell({"atATime": at_a_time, **_load(client.submit, ahead, at_a_time, plan["seconds"])})
    client.close()


def _load(submit: Callable[[Any], None], requests: Iterator[Any], at_a_time: int, seconds: float) -> dict[str, Any]:
    latencies: list[float] = []
    errors: list[str] = []
    lock = threading.Lock()
    began = time.perf_counter()

    def calls() -> None:
        while (sent := time.perf_counter()) - began < seconds:
            with lock:
                request = next(requests, None)
            if request is None:
                return
            try:
                submit(request)
            except Exception as error:
                errors.append(f"{type(error).__name__}: {error}"[:300])
            else:
                latencies.append(time.perf_counter() - sent)

    threads = [threading.Thread(target=calls) for _ in range(at_a_time)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"latencies": latencies, "seconds": time.perf_counter() - began, "errors": errors}


def _tell(message: dict[str, Any]) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    main()
