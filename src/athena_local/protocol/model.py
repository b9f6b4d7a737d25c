"""A service as botocore's own model describes it: reads a request as AWS does, and refuses what AWS refuses.

Types, required members, lengths, ranges, patterns and enums come from the model; unknown members are dropped and nulls count
as absent, as on AWS. A wrong type is a SerializationException and comes before any broken constraint; broken constraints are
told together ("2 validation errors detected: …"). What the model cannot say (that a table exists) the operation says.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from athena_local.protocol.wire import Record, ServiceError

if TYPE_CHECKING:
    from botocore.model import OperationModel, Shape
    from botocore.model import ServiceModel as BotoModel

SHOWN_VALUE_CHARACTERS = 200  # AWS repeats the whole value, be it a query of 300 kB
_INTEGERS = {"integer": "an Integer", "long": "a Long"}
_FLOATS = {"float": "a Float", "double": "a Double"}
# Java spells the characters beyond the basic plane as pairs of surrogates, which Python's re does not read
_JAVA_SUPPLEMENTARY = r"\uD800\uDC00-\uDBFF\uDFFF"
_SUPPLEMENTARY = r"\U00010000-\U0010FFFF"

Limits = dict[tuple[str, str], dict[str, int]]


@dataclass(frozen=True)
class Rules:
    """How one service words its refusals.

    `limits` replaces a top-level member's `min` and `max`, by (operation, member), where the service is known to differ from
    its model.
    """

    exception: str
    shows_values: bool
    limits: Limits = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)


class ServiceModel:
    """Thread-safe. The model is loaded at the first request (20 ms), or by `load`."""

    def __init__(self, service: str, rules: Rules) -> None:
        self._service = service
        self._rules = rules
        self._lock = threading.Lock()
        self._model: BotoModel | None = None
        self._readers: dict[str, _Structure] = {}

    def load(self) -> BotoModel:
        with self._lock:
            if self._model is None:
                from botocore.loaders import Loader
                from botocore.model import ServiceModel as BotoModel

                # not the user's ~/.aws/models: what is refused must not depend on the machine
                loader = Loader(
                    extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False
                )
                self._model = BotoModel(loader.load_service_model(self._service, "service-2"), self._service)
            return self._model

    def read(self, operation: str, body: Any) -> Record:
        """Return the request with what its operation knows of it. Raises ServiceError."""
        reader = self._readers.get(operation) or self._compile(operation)
        broken: list[str] = []
        request: Record = reader.read(body, "", broken)
        if broken:
            count = "1 validation error" if len(broken) == 1 else f"{len(broken)} validation errors"
            raise ServiceError(
                self._rules.exception, f"{count} detected: {'; '.join(broken)}", **self._rules.fields
            )
        return request

    def _compile(self, operation: str) -> _Structure:
        model: OperationModel = self.load().operation_model(operation)
        reader = _Compiler(self._rules).structure(model.input_shape)
        for (wanted, member), limits in self._rules.limits.items():
            if wanted == operation:
                node = reader.members[member]
                reader.members[member] = _Scalar(node.kind, {**node.limits, **limits}, node.rules)
        self._readers[operation] = reader
        return reader


class _Node:
    def __init__(self, kind: str, limits: dict[str, Any], rules: Rules) -> None:
        self.kind, self.limits, self.rules = kind, limits, rules

    def read(self, value: Any, path: str, broken: list[str]) -> Any:
        raise NotImplementedError

    def _break(self, broken: list[str], path: str, value: Any, constraint: str) -> None:
        shown = ""
        if self.rules.shows_values:
            text = str(value)
            cut = text if len(text) <= SHOWN_VALUE_CHARACTERS else text[:SHOWN_VALUE_CHARACTERS] + "..."
            shown = f"'{cut}' "
        broken.append(f"Value {shown}at '{path}' failed to satisfy constraint: Member must {constraint}")

    def _check_bounds(self, size: float, what: str, value: Any, path: str, broken: list[str]) -> None:
        if "min" in self.limits and size < self.limits["min"]:
            self._break(
                broken, path, value, f"have {what} greater than or equal to {int(self.limits['min'])}"
            )
        if "max" in self.limits and size > self.limits["max"]:
            self._break(broken, path, value, f"have {what} less than or equal to {int(self.limits['max'])}")


class _Scalar(_Node):
    def read(self, value: Any, path: str, broken: list[str]) -> Any:
        if isinstance(value, list):
            raise _serialization("Start of list found where not expected")
        if isinstance(value, dict):
            raise _serialization("Start of structure or map found where not expected.")
        if self.kind in {"string", "blob", "character"}:
            return self._string(value, path, broken)
        if self.kind == "boolean":
            return self._typed(value, bool, "a Boolean")
        if self.kind == "timestamp":
            return self._typed(value, (int, float), "milliseconds since epoch")
        number = self._typed(value, (int, float), _INTEGERS.get(self.kind) or _FLOATS[self.kind])
        if self.kind in _INTEGERS:
            number = int(number)  # AWS cuts a fraction off
        self._check_bounds(number, "value", number, path, broken)
        return number

    def _string(self, value: Any, path: str, broken: list[str]) -> str:
        text: str = self._typed(value, str, "a String")
        self._check_bounds(len(text), "length", text, path, broken)
        if (allowed := self.limits.get("enum")) and text not in allowed:
            self._break(broken, path, text, f"satisfy enum value set: [{', '.join(allowed)}]")
        pattern = self.limits.get("compiled")
        if pattern is not None and not pattern.fullmatch(text):
            self._break(broken, path, text, f"satisfy regular expression pattern: {self.limits['pattern']}")
        return text

    @staticmethod
    def _typed(value: Any, kind: Any, wanted: str) -> Any:
        """Return the value if it is of the kind; True and 1 are kept apart."""
        if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
        if isinstance(value, bool):
            given = f"{value}_VALUE".upper()
        else:
            given = "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"
        raise _serialization(f"{given} can not be converted to {wanted}")


class _Structure(_Node):
    def __init__(self, rules: Rules) -> None:
        super().__init__("structure", {}, rules)
        self.members: dict[str, _Node] = {}
        self.required: frozenset[str] = frozenset()

    def read(self, value: Any, path: str, broken: list[str]) -> Record:
        if isinstance(value, list):
            raise _serialization("Start of list found where not expected")
        if not isinstance(value, dict):
            raise _serialization("Expected null")
        found: Record = {}
        for name, node in self.members.items():
            given = value.get(name)
            if given is not None:
                found[name] = node.read(given, _joined(path, _lowered(name)), broken)
            elif name in self.required:
                where = _joined(path, _lowered(name))
                broken.append(
                    f"Value null at '{where}' failed to satisfy constraint: Member must not be null"
                )
        return found


class _Document(_Node):
    """Any JSON: what is in it is the operation's business."""

    def read(self, value: Any, _path: str, _broken: list[str]) -> Any:
        return value


class _List(_Node):
    def __init__(self, limits: dict[str, Any], rules: Rules, member: _Node) -> None:
        super().__init__("list", limits, rules)
        self.member = member

    def read(self, value: Any, path: str, broken: list[str]) -> list[Any]:
        if isinstance(value, dict):
            raise _serialization("Start of structure or map found where not expected.")
        if not isinstance(value, list):
            raise _serialization("Expected list or null")
        self._check_bounds(len(value), "length", value, path, broken)
        return [
            self.member.read(one, f"{path}.{number}.member", broken)
            for number, one in enumerate(value, 1)
            if one is not None
        ]


class _Map(_Node):
    def __init__(self, limits: dict[str, Any], rules: Rules, key: _Node, value: _Node) -> None:
        super().__init__("map", limits, rules)
        self.key, self.value = key, value

    def read(self, value: Any, path: str, broken: list[str]) -> Record:
        if isinstance(value, list):
            raise _serialization("Start of list found where not expected")
        if not isinstance(value, dict):
            raise _serialization("Expected null")
        self._check_bounds(len(value), "length", value, path, broken)
        return {
            self.key.read(name, f"{path}.key", broken): self.value.read(one, f"{path}.{name}.member", broken)
            for name, one in value.items()
            if one is not None
        }


class _Compiler:
    """Makes readers of shapes; a shape that holds itself (a filter of filters) is read by one reader."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._structures: dict[str, _Structure] = {}

    def structure(self, shape: Any) -> _Structure:
        if shape is None:  # an operation without input
            return _Structure(self._rules)
        known = self._structures.get(shape.name)
        if known is None:
            known = self._structures[shape.name] = _Structure(self._rules)
            known.required = frozenset(shape.required_members)
            known.members = {name: self._node(member) for name, member in shape.members.items()}
        return known

    def _node(self, shape: Any) -> _Node:
        limits = _limits(shape)
        if getattr(shape, "is_document_type", False):
            return _Document("document", limits, self._rules)
        if shape.type_name == "structure":
            return self.structure(shape)
        if shape.type_name == "list":
            return _List(limits, self._rules, self._node(shape.member))
        if shape.type_name == "map":
            return _Map(limits, self._rules, self._node(shape.key), self._node(shape.value))
        return _Scalar(shape.type_name, limits, self._rules)


def _limits(shape: Shape) -> dict[str, Any]:
    limits: dict[str, Any] = {
        name: value for name, value in shape.metadata.items() if name in {"min", "max", "pattern", "enum"}
    }
    if "pattern" in limits:
        try:
            limits["compiled"] = re.compile(limits["pattern"].replace(_JAVA_SUPPLEMENTARY, _SUPPLEMENTARY))
        except re.error:
            limits["compiled"] = None  # Java's own syntax: such a value is taken unseen
    return limits


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _lowered(name: str) -> str:
    return name[:1].lower() + name[1:]


def _serialization(message: str) -> ServiceError:
    return ServiceError("SerializationException", message)
