"""The reference, which is made from the docstrings, has everything that is exported."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

import offchain_stack

EXPORTED = {name: getattr(offchain_stack, name) for name in offchain_stack.__all__}
CLASSES = {name: each for name, each in EXPORTED.items() if inspect.isclass(each)}


def props(cls: type[Any]) -> dict[str, Any]:
    """What a constructor takes by keyword, with its annotation; of a TypedDict, its keys."""
    if hasattr(cls, "__required_keys__"):
        return dict(cls.__annotations__)
    parameters = inspect.signature(cls.__init__).parameters.values()
    return {each.name: each.annotation for each in parameters if each.kind is each.KEYWORD_ONLY}


def entries(cls: type[Any]) -> set[str]:
    """The names in the heads of a docstring's list, such as "* `vpc`: ..." or "* `name` (str; the class's): ..."."""
    heads = re.findall(r"^\* ((?:\([^)]*\)|[^:(])*): ", inspect.getdoc(cls) or "", re.MULTILINE)
    return {name for head in heads for name in re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", head))}


def public_functions(cls: type[Any]) -> Iterator[tuple[str, Any]]:
    for name, each in vars(cls).items():
        if name.startswith("_"):
            continue
        function = each.fget if isinstance(each, property) else getattr(each, "__func__", each)
        if inspect.isfunction(function):
            yield name, function


def test_everything_exported_has_a_docstring() -> None:
    undocumented = [name for name, each in CLASSES.items() if not (each.__doc__ or "").strip()]
    assert not undocumented


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES.keys())
def test_every_prop_has_an_entry_and_a_type(cls: type[Any]) -> None:
    taken = props(cls)
    assert inspect.Parameter.empty not in taken.values()
    # What the settings mean stands with each of them, and from there in the README.
    if cls is not offchain_stack.Settings:
        assert not taken.keys() - entries(cls)


def default_is_said(cls: type[Any], prop: str) -> bool:
    """In words, or as the second part of "(bool, True)" or "(str; the class's)"."""
    (entry,) = [
        each
        for each in re.split(r"^(?=\* |\n|\S)", inspect.getdoc(cls) or "", flags=re.MULTILINE)
        if each.startswith("* ") and f"`{prop}`" in re.split(r"\)?: ", each)[0]
    ]
    return "default" in entry or bool(re.search(r"\(\w[^)]*[;,] [^)]+\)", entry))


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES.keys())
def test_the_entry_of_what_may_be_left_out_says_the_default(cls: type[Any]) -> None:
    if cls is offchain_stack.Settings:
        return
    parameters = inspect.signature(cls.__init__).parameters.values()
    optional = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is not each.empty]
    assert not [name for name in optional if not default_is_said(cls, name)]


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES.keys())
def test_every_entry_is_of_something_that_is_taken(cls: type[Any]) -> None:
    others = {"options"} if "options" in inspect.signature(cls.__init__).parameters else set()
    assert entries(cls) <= props(cls).keys() | others


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES.keys())
def test_every_method_has_a_docstring_and_types(cls: type[Any]) -> None:
    for name, function in public_functions(cls):
        assert (function.__doc__ or "").strip(), name
        signature = inspect.signature(function)
        assert signature.return_annotation is not inspect.Signature.empty, name
        parameters = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
        assert not [each.name for each in parameters if each.annotation is inspect.Parameter.empty], name
