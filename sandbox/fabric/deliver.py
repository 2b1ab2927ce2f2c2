"""Streams of blocks, the same for peers and orderers: seek forms, access, and statuses as Fabric answers them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
from hfc.protos.orderer import ab_pb2

from sandbox.fabric.ledger import Chain
from sandbox.fabric.messages import BAD_REQUEST, FORBIDDEN, NOT_FOUND, SUCCESS, Malformed, Transaction, parse
from sandbox.fabric.msp import Membership, NotAMember, expired

TIME_WINDOW_SECONDS = 15 * 60

T = TypeVar("T")


async def deliver(
    context: Any,
    *,
    channel: str,
    membership: Membership,
    readers: Callable[[str, str], bool],
    chain: Chain[T],
    opening: Callable[[], Awaitable[int | None]],
    send: Callable[[T], Awaitable[int | None]],
    status: Callable[[int], bytes],
) -> None:
    """Serves one stream until the client leaves or a request is refused.

    `readers(msp id, role)` says who may read. `opening` may refuse a request with a status, `send` sends one block
    and may end the request with a status. `status` makes the message that carries one.
    """
    while True:
        raw = await context.read()
        if raw is grpc.aio.EOF:
            return
        code = await opening()
        if code is None:
            code = await _blocks(raw, channel=channel, membership=membership, readers=readers, chain=chain, send=send)
        await context.write(status(code))
        if code != SUCCESS:
            return


async def _blocks(
    raw: bytes,
    *,
    channel: str,
    membership: Membership,
    readers: Callable[[str, str], bool],
    chain: Chain[T],
    send: Callable[[T], Awaitable[int | None]],
) -> int:
    try:
        request = Transaction(raw)
        creator = request.signature_header.creator
    except Malformed:
        return BAD_REQUEST
    header = request.channel_header
    if not header.HasField("timestamp"):
        return BAD_REQUEST
    if abs(time.time() - header.timestamp.seconds - header.timestamp.nanos / 1e9) > TIME_WINDOW_SECONDS:
        return BAD_REQUEST
    if header.channel_id != channel:
        return NOT_FOUND
    try:
        seek = parse(ab_pb2.SeekInfo, request.data)
    except Malformed:
        return BAD_REQUEST
    if expired(creator):
        return FORBIDDEN
    try:
        member = membership.member(creator)
    except NotAMember:
        return FORBIDDEN
    if not readers(member.msp_id, member.role) or not member.signed(request.payload, request.signature):
        return FORBIDDEN
    if not seek.HasField("start") or not seek.HasField("stop"):
        return BAD_REQUEST

    start, stop = seek.start.WhichOneof("Type"), seek.stop.WhichOneof("Type")
    there = True
    if start == "oldest":
        number = 0
    elif start == "newest":
        number = chain.height - 1
    else:
        number = seek.start.specified.number
        if start is None or number > chain.height:
            there, number = False, 0
    last = 0
    if stop == "oldest" or (stop == "newest" and start == "newest"):
        last = number
    elif stop == "newest":
        last = chain.height - 1
    elif stop == "specified":
        last = seek.stop.specified.number
        if last < number:
            return BAD_REQUEST
    while True:
        if seek.behavior == ab_pb2.SeekInfo.FAIL_IF_NOT_READY and number > chain.height - 1:
            return NOT_FOUND
        if not there:
            return NOT_FOUND
        block = await chain.wait_for(number)
        if expired(creator):
            return FORBIDDEN
        code = await send(block)
        if code is not None:
            return code
        if number == last:
            return SUCCESS
        number += 1
