"""The one place that checks options by their declared types, for Python, command line and REST alike.

pydantic reads the annotations; what it says becomes one explained line. Nothing is converted: a text is no number, a
number no text, and `True` no number.
"""

from __future__ import annotations

import inspect
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache, wraps
from types import FunctionType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, get_type_hints

from fcnlab.errors import FcnlabError, InvalidName, InvalidSetting

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

Given = ParamSpec("Given")
Result = TypeVar("Result")

MAX_NAME_CHARS = 80
SHOWN_CHARS = 60


def clean_name(name: object, *, what: str = "the name") -> str:
    """A name of a class, project or labeller: single spaces, nothing invisible at either end.

    Raises:
        InvalidName: no text, empty, longer than MAX_NAME_CHARS, or with control characters.
    """
    if not isinstance(name, str):
        raise InvalidName(f"{what} {_brief(name)} is no text")
    cleaned = " ".join(name.split())
    if not cleaned:
        raise InvalidName(f"{what} is empty: type at least one letter")
    if len(cleaned) > MAX_NAME_CHARS:
        raise InvalidName(f"{what} has {len(cleaned)} characters; {MAX_NAME_CHARS} are allowed")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in cleaned):
        raise InvalidName(f"{what} {cleaned!r} has characters that cannot be shown")
    return cleaned


def check_fields(value: Any, *, error: type[FcnlabError] = InvalidSetting) -> None:
    """Make sure that every field of a dataclass is of its declared type.

    Raises:
        InvalidSetting, or the `error` given: the first field that is not, and what it may be.
    """
    kind = type(value)
    values = {name: getattr(value, name) for name in kind.__dataclass_fields__}
    if all(
        values[name] is field.default or type(values[name]).__name__ == field.type
        for name, field in kind.__dataclass_fields__.items()
    ):  # as nearly always: specs are built from what is stored at every click
        return
    for name, converted in _check(_validator_of(cast(Any, kind)), values, error).items():
        if converted is not values[name]:
            object.__setattr__(value, name, converted)  # a NumPy number, which no JSON takes


def checked_call(
    error: type[FcnlabError] = InvalidSetting, *, leave: tuple[str, ...] = ()
) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """A decorator: the arguments of a call are of the annotated types, or `error` is raised before anything is done.

    Args:
        leave: parameters that the function looks at itself, such as arrays.
    """

    def decorate(function: Callable[Given, Result]) -> Callable[Given, Result]:
        signature = inspect.signature(function)
        checked_function = cast(FunctionType, function)
        passed = {*leave, "self", "cls"}
        names = [
            name
            for name, parameter in signature.parameters.items()
            if name not in passed and parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]

        @wraps(function)
        def call(*args: Given.args, **kwargs: Given.kwargs) -> Result:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError as failure:
                raise error(f"{function.__name__}: {failure}; see help({function.__name__})") from failure
            values = {name: bound.arguments[name] for name in names if name in bound.arguments}
            _check(_validator_of_call(checked_function, tuple(values)), values, error)
            return function(*args, **kwargs)

        return call

    return decorate


@cache
def _validator_of(kind: type[Any]) -> SchemaValidator:
    hints = get_type_hints(kind)
    return _validator(kind.__name__, {name: hints[name] for name in kind.__dataclass_fields__})


@cache
def _validator_of_call(function: FunctionType, names: tuple[str, ...]) -> SchemaValidator:
    hints = get_type_hints(function)
    return _validator(function.__name__, {name: hints[name] for name in names})


def _validator(name: str, hints: Mapping[str, Any]) -> SchemaValidator:
    from pydantic import ConfigDict, create_model  # a command that checks nothing does not wait for the import

    config = ConfigDict(strict=True, arbitrary_types_allowed=True, protected_namespaces=())
    fields: dict[str, Any] = {field: (hint, ...) for field, hint in hints.items()}
    validator: SchemaValidator = create_model(name, __config__=config, **fields).__pydantic_validator__
    return validator


def _check(validator: SchemaValidator, values: Mapping[str, Any], error: type[FcnlabError]) -> dict[str, Any]:
    """The values, NumPy numbers among them as Python's. Raises `error`."""
    from pydantic import ValidationError

    converted = {name: _converted(value) for name, value in values.items()}
    try:
        validator.validate_python(converted)
        return converted
    except ValidationError as failure:
        first = failure.errors(include_url=False)[0]
        name = str(first["loc"][0])
        wanted = first["msg"].removeprefix("Input should be ")
        raise error(f"{name} is {_brief(values[name])}; wanted {wanted}") from failure


def _converted(value: Any) -> Any:
    """A NumPy scalar as the Python number it stands for, in a tuple too; anything else as it is."""
    if type(value) is tuple:
        converted = tuple(map(_converted, value))
        return value if all(new is old for new, old in zip(converted, value, strict=True)) else converted
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0 else value


def _brief(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # a stranger's __repr__ may raise whatever it likes
        text = f"a {type(value).__name__}"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 3] + "..."
