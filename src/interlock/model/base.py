"""What every API model shares: camelCase on the wire, bounded types, and schema rules beside the field.

Never holds a rule of one kind: those stand in that kind's module.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

GROUP = "interlock.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

JsonSchema = dict[str, Any]


class ApiModel(BaseModel):
    """A part of a Kubernetes object: snake_case in Python, camelCase on the wire, frozen.

    Unknown fields are ignored when read: the API server prunes them, and a newer version's fields
    must not stop an older operator.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", use_enum_values=False
    )

    def to_wire(self) -> dict[str, Any]:
        """The JSON form: camelCase keys, absent instead of null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def rules(*validations: tuple[str, str]) -> JsonSchema:
    """CEL rules as (rule, message) for `json_schema_extra`; messages begin with "must"."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in validations]}


MUST = "x-interlock-must"


def must(be: str) -> JsonSchema:
    """What a string with a `pattern` must be: the CRD then refuses with these words, not with the pattern."""
    return {MUST: f"must {be}"}


FREE: JsonSchema = {"x-kubernetes-preserve-unknown-fields": True}
"""Free JSON. The CRD generator drops the `type`: with `type: object` a transition rule does not see the
keys, and `self == oldSelf` lets one key be swapped for another. The price: the API server cannot check that
it is an object."""
IMMUTABLE = rules(("self == oldSelf", "must not be changed: create a new object instead"))
ATOMIC: JsonSchema = {"x-kubernetes-list-type": "atomic"}
SET: JsonSchema = {"x-kubernetes-list-type": "set"}


def keyed(*keys: str) -> JsonSchema:
    """A list whose items are told apart by `keys` (x-kubernetes-list-type: map)."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def _is_aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("must carry a time zone")
    return value


def format_time(value: datetime) -> str:
    """RFC 3339 in UTC; fractions of a second only where there are any."""
    utc = value.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%S") + (f".{utc.microsecond:06d}" if utc.microsecond else "") + "Z"


def read_time(text: Any) -> datetime | None:
    """The moment that an RFC 3339 text means; None where it means none."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


Time = Annotated[datetime, AfterValidator(_is_aware), PlainSerializer(format_time, return_type=str)]
"""A moment, RFC 3339 in UTC."""

DNS_LABEL = r"^[a-z]([-a-z0-9]*[a-z0-9])?$"
_LABEL_WORDS = must(
    "consist of lower-case letters, digits and `-`, begin with a letter and end with a letter or a digit"
)
RolloutName = Annotated[
    str, Field(min_length=1, max_length=40, pattern=DNS_LABEL, json_schema_extra=_LABEL_WORDS)
]
DnsLabel = Annotated[
    str, Field(min_length=1, max_length=63, pattern=DNS_LABEL, json_schema_extra=_LABEL_WORDS)
]
Namespace = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        json_schema_extra=must(
            "consist of lower-case letters, digits and `-`, and begin and end with a letter or a digit"
        ),
    ),
]
ObjectName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        json_schema_extra=must(
            "consist of lower-case letters, digits, `-` and `.`, and begin and end with a letter or a digit"
        ),
    ),
]
PERCENT_PATTERN = r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)$"
Percent = Annotated[
    str,
    Field(
        max_length=8,
        pattern=PERCENT_PATTERN,
        json_schema_extra=must('be a decimal string from "0" to "100" with at most four decimals'),
    ),
]
"""A decimal string from 0 to 100 with up to four decimals: `"0.5"` is half a percent."""
WholePercent = Annotated[int, Field(ge=0, le=100)]
Digest = Annotated[
    str,
    Field(pattern=r"^[0-9a-f]{64}$", max_length=64, json_schema_extra=must("be 64 lower-case hex digits")),
]
"""SHA-256 in lower-case hex."""
Message = Annotated[str, Field(max_length=1024)]


def quoted(path: str) -> str:
    """A field's path for a message: keys of free JSON may be anything, and as long as the whole object."""
    printable = path.encode("ascii", errors="backslashreplace").decode()
    return f"`{printable}`" if len(printable) <= 200 else f"`{printable[:199]}…`"


_WANTED = {"missing": "must be given", "extra_forbidden": "must not be given: there is no such field"}


def first_problem(error: ValidationError, within: str = "") -> str:
    """The first thing that is wrong: the field (its path begins with `within`) and what it must be."""
    return problems(error, within)[0]


def problems(error: ValidationError, within: str = "") -> tuple[str, ...]:
    """Everything that is wrong, each as `first_problem` says it."""
    return tuple(_problem(found, within) for found in error.errors(include_url=False, include_input=False))


def _problem(found: ErrorDetails, within: str) -> str:
    field = ".".join([*([within] if within else []), *(str(part) for part in found["loc"])])
    said = re.sub(r"^\w+ should\b", "must", found["msg"]).removeprefix("Value error, ")
    return f"{quoted(field)} {_WANTED.get(found['type'], said)}"
