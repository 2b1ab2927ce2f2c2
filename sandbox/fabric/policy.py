"""Endorsement policies: Fabric's own language for them, what meets one, and how the peers judge that."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sandbox.fabric.msp import ROLES, Member


@dataclass(frozen=True)
class SignedBy:
    """A principal: anybody of the MSP with this role, whatever the role if it is "member"."""

    msp_id: str
    role: str = "peer"

    def admits(self, member: Member) -> bool:
        return member.msp_id == self.msp_id and self.role in ("member", member.role)


@dataclass(frozen=True)
class OutOf:
    """So many of the rules."""

    count: int
    rules: tuple[Policy, ...]


Policy = SignedBy | OutOf


@dataclass
class Definition:
    """The chaincode as the channel has defined it."""

    policy: Policy


def parse(text: str) -> Policy:
    """Reads a policy such as "AND('Org1MSP.peer', OutOf(1, 'Org2MSP.peer', 'Org3MSP.member'))". Raises ValueError."""
    try:
        return _read(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError as error:
        raise ValueError(f"no endorsement policy: {text}") from error


def _read(node: ast.expr) -> Policy:
    match node:
        case ast.Constant(value=str(principal)):
            msp_id, _, role = principal.rpartition(".")
            if msp_id and role in (*ROLES, "member"):
                return SignedBy(msp_id, role)
        case ast.Call(func=ast.Name(id="OutOf"), args=[ast.Constant(value=int(count)), *rules]) if rules:
            return OutOf(count, tuple(map(_read, rules)))
        case ast.Call(func=ast.Name(id=("AND" | "OR") as name), args=[_, *_] as rules):
            return OutOf(len(rules) if name == "AND" else 1, tuple(map(_read, rules)))
    raise ValueError(f"no endorsement policy: {ast.unparse(node)}")


def majority(msp_ids: Sequence[str]) -> Policy:
    """Fabric's default: a peer each of more than half of the organisations."""
    return OutOf(len(msp_ids) // 2 + 1, tuple(map(SignedBy, msp_ids)))


def is_met(policy: Policy, endorsers: Sequence[Member]) -> bool:
    """As Fabric evaluates it (common/cauthdsl): the rules in their order, and each identity used once."""
    return _evaluate(policy, list({each.fingerprint: each for each in endorsers}.values()), set())


def _evaluate(policy: Policy, endorsers: Sequence[Member], used: set[bytes]) -> bool:
    if isinstance(policy, SignedBy):
        for each in endorsers:
            if each.fingerprint not in used and policy.admits(each):
                used.add(each.fingerprint)
                return True
        return False
    met = 0
    for rule in policy.rules:
        tried = set(used)
        if _evaluate(rule, endorsers, tried):
            met += 1
            used |= tried
    return met >= policy.count


def combinations(policy: Policy) -> Iterator[tuple[SignedBy, ...]]:
    """Each set of principals that meets the policy, without what it can do without; one can occur several times."""
    if isinstance(policy, SignedBy):
        yield (policy,)
        return
    for rules in itertools.combinations(policy.rules, policy.count):
        for parts in itertools.product(*(list(combinations(rule)) for rule in rules)):
            yield tuple(itertools.chain.from_iterable(parts))
