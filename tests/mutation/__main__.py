"""`python -m tests.mutation [MODULE ...]`: changes modules in one place after the other, and runs their tests on each.

`mutation.toml` beside this file has the modules, each with the tests that know it, and the mutants that survive because
they change no outcome, each with the reason. Any other survivor is printed and makes this end with 1, and so does an
entry that no survivor fits. A MODULE is a part of the name of those to run; without one all of them run.

The changes are Cosmic Ray's. They are made in copies of this repository, so that nothing happens to it.
"""

import argparse
import ast
import difflib
import enum
import itertools
import queue
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.testing import run_tests
from cosmic_ray.work_item import TestOutcome

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATION = Path(__file__).with_name("mutation.toml")
COPIES = 2

_EQUALITY = ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")
_ORDER = ("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt")
_ARITHMETIC = ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Mul")
OPERATORS = (
    *(f"ReplaceComparisonOperator_{name}" for name in (*_EQUALITY, *_ORDER)),
    *(f"ReplaceBinaryOperator_{name}" for name in _ARITHMETIC),
    *("ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_USub_UAdd", "AddNot"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ZeroIterationForLoop"),
    *("ExceptionReplacer", "NumberReplacer", "RemoveDecorator"),
)
"""Of Cosmic Ray's those that change what code decides, without variants that any test would notice."""


@dataclass(frozen=True)
class Mutant:
    """One change. `was` and `becomes` are the lines that differ, `where` is the function that they are in."""

    module: str
    where: str
    was: str
    becomes: str
    code: str

    @property
    def identity(self) -> tuple[str, ...]:
        """What the configuration names it by, wherever in its module it stands."""
        return self.module, self.where, self.was, self.becomes

    def __str__(self) -> str:
        return f"{self.module}, {self.where}\n  - {self.was}\n  + {self.becomes}"


def mutants(module: str) -> Iterator[Mutant]:
    """Every change of a module, once. Not made are changes of what a data class forbids, which decides nothing."""
    source = (ROOT / "lambda_src" / module).read_text("utf-8")
    seen = {_meaning(source)}
    for name in OPERATORS:
        for code in _changed(source, get_operator(f"core/{name}")()):
            meaning = _meaning(code)
            if meaning is not None and meaning not in seen:
                seen.add(meaning)
                mutant = _described(module, source, code)
                if not mutant.was.startswith("@dataclass"):
                    yield mutant


def _meaning(code: str) -> str | None:
    """The same for two texts that Python reads alike, `not a is b` as `a is not b`; None for what is not Python."""
    try:
        return ast.dump(_Negations().visit(ast.parse(code)))
    except SyntaxError:
        return None


class _Negations(ast.NodeTransformer):
    _OPPOSITE: ClassVar = {ast.Is: ast.IsNot, ast.Eq: ast.NotEq, ast.In: ast.NotIn, ast.Lt: ast.GtE, ast.Gt: ast.LtE}

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Not) and isinstance(node.operand, ast.Compare) and len(node.operand.ops) == 1:
            opposite = self._OPPOSITE | {after: before for before, after in self._OPPOSITE.items()}
            (operator,) = node.operand.ops
            return ast.Compare(node.operand.left, [opposite[type(operator)]()], node.operand.comparators)
        return node


def _changed(source: str, operator: Any) -> Iterator[str]:
    for occurrence in itertools.count():
        try:
            code = mutate_code(source, operator, occurrence)
        except AttributeError:
            continue  # Cosmic Ray cannot replace an exception with a dotted name.
        if code is None:
            return
        yield code


def _is_python(code: str) -> bool:
    try:
        compile(code, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _described(module: str, source: str, code: str) -> Mutant:
    old, new = source.splitlines(), code.splitlines()
    changes = difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    was = [number for kind, start, end, _, _ in changes if kind != "equal" for number in range(start, end)]
    becomes = [number for kind, _, _, start, end in changes if kind != "equal" for number in range(start, end)]
    where = _function(source, was[0] + 1)
    return Mutant(module, where, _text(old, was), _text(new, becomes), code)


def _text(lines: list[str], numbers: list[int]) -> str:
    return " ".join(" ".join(lines[each] for each in numbers).split())


def _function(source: str, line: int) -> str:
    """The dotted name of the function or class around a line."""
    definitions = (
        (min([node.lineno, *(each.lineno for each in node.decorator_list)]), node.end_lineno or 0, node.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    )
    return ".".join(name for start, end, name in sorted(definitions) if start <= line <= end) or "module"


class Outcome(enum.Enum):
    KILLED = "killed"
    TIMED_OUT = "killed by the time limit"
    SURVIVED = "survive"


class Copies:
    """Copies of the repository, in each of which one mutant at a time is tested."""

    def __init__(self, folder: Path) -> None:
        self._free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        names = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split("\0")
        for number in range(COPIES):
            for name in filter(None, names):
                if (ROOT / name).is_file():
                    (folder / str(number) / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(ROOT / name, folder / str(number) / name)
            self._free.put(folder / str(number))

    def test(self, module: str, code: str, tests: list[str], timeout: float) -> Outcome:
        """Run `tests` with `code` as the module, for `timeout` seconds at most."""
        copy = self._free.get()
        path = copy / "lambda_src" / module
        original = path.read_text("utf-8")
        try:
            path.write_text(code, "utf-8")
            pytest = shlex.join(
                [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
            )
            outcome, output = run_tests(
                f"sh -c {shlex.quote(f'cd {shlex.quote(str(copy))} && exec {pytest}')}", timeout
            )
        finally:
            path.write_text(original, "utf-8")
            self._free.put(copy)
        if outcome is TestOutcome.SURVIVED:
            return Outcome.SURVIVED
        return Outcome.TIMED_OUT if output == "timeout" else Outcome.KILLED


def survivors(copies: Copies, module: str, tests: list[str]) -> Iterator[Mutant]:
    """The mutants of a module that its tests do not notice. Raises SystemExit if the tests fail without any."""
    began = time.monotonic()
    if copies.test(module, (ROOT / "lambda_src" / module).read_text("utf-8"), tests, 600) is not Outcome.SURVIVED:
        raise SystemExit(f"{module}: its tests fail as it is. Mend that first.")
    timeout = 60 + 4 * (time.monotonic() - began)
    made = list(mutants(module))
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(COPIES) as pool:
        tested = pool.map(lambda mutant: copies.test(module, mutant.code, tests, timeout), made)
        for mutant, outcome in zip(made, tested, strict=True):
            outcomes.append(outcome)
            if outcome is Outcome.SURVIVED:
                yield mutant
            print(f"\r{module}: {len(outcomes)} of {len(made)}", end="\r", flush=True, file=sys.stderr)
    numbers = ", ".join(f"{outcomes.count(each)} {each.value}" for each in Outcome)
    print(f"{module}: {len(made)} mutants, {numbers}; {time.monotonic() - began:.0f} s", flush=True)


def unexplained(copies: Copies, module: str, tests: list[str], harmless: set[tuple[str, ...]]) -> int:
    """How many survivors of a module the configuration does not have, and how many of its entries no survivor fits."""
    found = set()
    for mutant in survivors(copies, module, tests):
        found.add(mutant.identity)
        if mutant.identity not in harmless:
            print(f"SURVIVES: {mutant}", flush=True)
    gone = {each for each in harmless - found if each[0] == module}
    for identity in gone:
        print("NO SURVIVOR, remove it from mutation.toml: {}, {}\n  - {}\n  + {}".format(*identity))
    return len(found - harmless) + len(gone)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE")
    wanted = parser.parse_args().modules
    configuration = tomllib.loads(CONFIGURATION.read_text("utf-8"))
    harmless = {
        tuple(each[name] for name in ("module", "where", "was", "becomes"))
        for each in configuration.get("harmless", ())
    }
    with tempfile.TemporaryDirectory() as folder:
        copies = Copies(Path(folder))
        wrong = sum(
            unexplained(copies, module, tests, harmless)
            for module, tests in configuration["modules"].items()
            if not wanted or any(each in module for each in wanted)
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
