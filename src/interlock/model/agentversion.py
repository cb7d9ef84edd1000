"""AgentVersion: the immutable content of an agent (prompts, tools, model, …), what changed and why.

Never holds a schema default: a field that a newer operator adds must not change the digest of an older
object.
Every list is atomic: set and map lists compare without order, so an "immutable" list could be reordered.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from interlock.model.base import (
    API_VERSION,
    ATOMIC,
    FREE,
    IMMUTABLE,
    ApiModel,
    Digest,
    DnsLabel,
    ObjectName,
    Time,
    keyed,
    must,
    rules,
)
from interlock.model.conditions import Condition

MAX_PROMPTS = 32
MAX_TOOLS = 128
MAX_INLINE_PROMPT = 65_536
_LINE = 253

JsonObject = Annotated[Any, Field(json_schema_extra=FREE | {"maxProperties": 256})]
"""A free JSON object; the schema cannot say "object" (see `FREE`), so the operator checks that."""
Line = Annotated[str, Field(min_length=1, max_length=_LINE)]
ItemName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
        json_schema_extra=must(
            "consist of letters, digits, `-`, `_` and `.`, and begin and end with a letter or a digit"
        ),
    ),
]
ToolName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z0-9_.:/-]+$",
        json_schema_extra=must("consist of letters, digits and `_`, `-`, `.`, `:`, `/`"),
    ),
]
Growth = Annotated[
    str,
    Field(
        max_length=11,
        pattern=r"^[0-9]{1,6}(\.[0-9]{1,4})?$",
        json_schema_extra=must('be a decimal string such as "2.5", at most six digits and four decimals'),
    ),
]
_SHA256 = must("be a SHA-256 digest: 64 lower-case hex digits, optionally after `sha256:`")


def _unique(what: str) -> tuple[str, str]:
    return (
        "self.all(x, self.filter(y, y.name == x.name).size() == 1)",
        f"must give each {what} a `name` of its own",
    )


class Lever(StrEnum):
    """What a change turns, cheapest first."""

    PROMPT = "Prompt"
    HUMAN_IN_LOOP = "HumanInLoop"
    RETRIEVAL = "Retrieval"
    TOOL_SCHEMA = "ToolSchema"
    ROUTING = "Routing"
    PARAMETERS = "Parameters"
    MEMORY = "Memory"
    GUARDRAILS = "Guardrails"
    MODEL = "Model"


class VersionLink(ApiModel):
    """Another AgentVersion in the same namespace."""

    name: DnsLabel


class Expectation(ApiModel):
    """What the change should do to one KPI."""

    metric: DnsLabel
    """Name of the metric, as in a gate."""
    direction: Literal["Increase", "Decrease"]
    by_percent: Growth | None = None
    """How much, relative to the parent, as a decimal string."""


class Change(ApiModel):
    """What was changed and why; not part of the digest."""

    hypothesis: Annotated[str, Field(max_length=4096)] | None = None
    """What is better now, and why that should be so."""
    lever: Lever | None = None
    """What the change turns."""
    expected: Annotated[tuple[Expectation, ...], Field(max_length=16, json_schema_extra=ATOMIC)] = ()
    """What the change should do to KPIs."""
    issue_url: (
        Annotated[
            str,
            Field(
                max_length=2048,
                pattern=r"^https?://[^\s]+$",
                json_schema_extra=must("be a URL that begins with http:// or https://"),
            ),
        ]
        | None
    ) = Field(default=None, alias="issueURL")
    """Where the change was discussed."""


class ConfigMapRef(ApiModel):
    """One key of a ConfigMap with `immutable: true`, pinned by the digest of its value."""

    name: ObjectName
    """Name of the ConfigMap, in the same namespace."""
    key: Annotated[
        str,
        Field(
            min_length=1,
            max_length=253,
            pattern=r"^[-._a-zA-Z0-9]+$",
            json_schema_extra=must("consist of letters, digits, `-`, `_` and `.`"),
        ),
    ]
    """Key in `data`."""
    sha256: Digest
    """SHA-256 of the value in lower-case hex, as `sha256sum` prints it."""


class PromptSource(ApiModel):
    """Where a prompt that is too large for the spec stands."""

    config_map_ref: ConfigMapRef


class Prompt(ApiModel):
    """One prompt: its text in `template`, or, when it is large, in a ConfigMap."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("has(self.template) != has(self.source)", "must have exactly one of `template`, `source`"),
            # Here and not on `template`: the refusal of a string repeats it, all 64 KiB. A `maxLength` alone
            # could not say what to do instead.
            (
                f"!has(self.template) || size(self.template) <= {MAX_INLINE_PROMPT}",
                (
                    f"must have a `template` of at most {MAX_INLINE_PROMPT} characters: put a larger text "
                    "into a ConfigMap with `immutable: true` and name it in `source.configMapRef`"
                ),
            ),
        )
    )

    name: ItemName
    role: Literal["System", "Developer", "User", "Assistant"] | None = None
    """Role of the message."""
    template: Annotated[str, Field(max_length=1_048_576)] | None = None
    """The text, at most 64 KiB."""
    source: PromptSource | None = None
    """Where the text stands when it is larger."""
    engine: Line | None = None
    """Template language of the text, for the agent to read: Jinja2, Mustache, …"""
    variables: Annotated[tuple[Line, ...], Field(max_length=128, json_schema_extra=ATOMIC)] = ()
    """Names that the agent fills in."""


class ToolAnnotations(ApiModel):
    """What a tool does to the world, as MCP defines it; an absent field has MCP's default."""

    read_only: bool | None = None
    """Changes nothing. Defaults to false."""
    destructive: bool | None = None
    """May delete or overwrite. Defaults to true."""
    idempotent: bool | None = None
    """A second call with the same arguments changes nothing more. Defaults to false."""
    open_world: bool | None = None
    """Reaches beyond a closed set of systems. Defaults to true."""

    @property
    def effective(self) -> ToolAnnotations:
        """With MCP's defaults for what is absent.

        They are the careful ones: readOnly=false, destructive=true, idempotent=false, openWorld=true
        (https://modelcontextprotocol.io/specification, ToolAnnotations).
        """
        return ToolAnnotations(
            read_only=bool(self.read_only),
            destructive=self.destructive is not False,
            idempotent=bool(self.idempotent),
            open_world=self.open_world is not False,
        )


class ToolSource(ApiModel):
    """The MCP server that offers a tool."""

    server: Annotated[str, Field(min_length=1, max_length=2048)]
    """Name or address."""
    server_version: Line | None = None
    sha256: Digest | None = None
    """Digest of the tool's definition as the server gave it."""


class Tool(ApiModel):
    """One tool as the model sees it, and what may be done with it."""

    name: ToolName
    description: Annotated[str, Field(max_length=32_768)] | None = None
    """What the model is told about the tool."""
    input_schema: JsonObject | None = None
    """JSON Schema of the arguments."""
    output_schema: JsonObject | None = None
    """JSON Schema of the structured result."""
    annotations: ToolAnnotations | None = None
    shadow: Literal["Allow", "Stub", "Record", "Deny"] | None = None
    """What becomes of a call in a shadow: it is made, answered with `stub`, only recorded, or refused."""
    stub: Annotated[Any, Field(json_schema_extra=FREE)] = None
    """The answer that a stubbed call gets; any JSON."""
    require_approval: bool | None = None
    """A person must approve each call."""
    max_calls_per_task: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    source: ToolSource | None = None

    @property
    def effective_annotations(self) -> ToolAnnotations:
        """The tool's annotations with MCP's defaults filled in; compare these."""
        return (self.annotations or ToolAnnotations()).effective


class ToolSet(ApiModel):
    """A JSON list of tools in a ConfigMap, appended to `tools`."""

    name: ItemName
    config_map_ref: ConfigMapRef


class ModelRef(ApiModel):
    """A language model."""

    provider: Line
    name: Line
    snapshot: Line | None = None
    """The dated or numbered release; without one the provider may change the model under you."""


class Model(ApiModel):
    """The models that the agent calls."""

    primary: ModelRef
    fallback: Annotated[tuple[ModelRef, ...], Field(max_length=8, json_schema_extra=ATOMIC)] = ()
    """Tried in this order when the primary fails."""


class Routing(ApiModel):
    """How the agent picks a model, a tool or a sub-agent; the rules are the agent's own language."""

    rules: Annotated[tuple[JsonObject, ...], Field(max_length=64, json_schema_extra=ATOMIC)] = ()
    """Free JSON objects, in the order in which the agent tries them."""
    default: Annotated[Any, Field(json_schema_extra=FREE)] = None
    """What applies when no rule does; any JSON."""


class Guardrail(ApiModel):
    """A check on what goes in or comes out."""

    name: ItemName
    ref: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    """Where its definition is."""
    digest: (
        Annotated[str, Field(max_length=71, pattern=r"^(sha256:)?[0-9a-f]{64}$", json_schema_extra=_SHA256)]
        | None
    ) = None
    """Digest of its definition."""
    mode: Literal["Enforce", "Audit", "Off"] | None = None
    """Stops what it finds, only reports it, or does nothing."""


class Risk(ApiModel):
    """What is at stake; not part of the digest."""

    level: Literal["Low", "Medium", "High", "Critical"] | None = None
    data_categories: Annotated[tuple[Line, ...], Field(max_length=32, json_schema_extra=ATOMIC)] = ()
    """Kinds of data that the agent sees."""
    actions: Annotated[tuple[Line, ...], Field(max_length=64, json_schema_extra=ATOMIC)] = ()
    """What the agent may do in the world."""


class Provenance(ApiModel):
    """Who made this version; not part of the digest."""

    authors: Annotated[tuple[Line, ...], Field(max_length=32, json_schema_extra=ATOMIC)] = ()
    kind: Literal["Human", "Agent"] | None = None
    """Whether a person or a program made it."""
    source: Annotated[str, Field(max_length=2048)] | None = None
    """The commit or run that it came from."""


class AgentVersionSpec(ApiModel):
    """Everything that the agent reads, and what changed and why; at most 64 KiB."""

    agent: DnsLabel
    """Name of the agent that this is a version of."""
    version: Annotated[str, Field(min_length=1, max_length=63)] | None = None
    """A label for people."""
    parent_ref: VersionLink | None = None
    """The AgentVersion that this one was made from."""
    change: Change | None = None
    prompts: Annotated[
        tuple[Prompt, ...],
        Field(max_length=MAX_PROMPTS, json_schema_extra=ATOMIC | rules(_unique("prompt"))),
    ] = ()
    """The prompts, in order."""
    tools: Annotated[
        tuple[Tool, ...],
        Field(max_length=MAX_TOOLS, json_schema_extra=ATOMIC | rules(_unique("tool"))),
    ] = ()
    """The tools, in order."""
    tool_sets: Annotated[
        tuple[ToolSet, ...], Field(max_length=16, json_schema_extra=ATOMIC | rules(_unique("tool set")))
    ] = ()
    """Lists of tools that are too large for the spec; appended to `tools`, in order."""
    model: Model | None = None
    parameters: JsonObject | None = None
    """Sampling and other parameters: a free JSON object."""
    routing: Routing | None = None
    retrieval: Annotated[tuple[JsonObject, ...], Field(max_length=32, json_schema_extra=ATOMIC)] = ()
    """Sources of knowledge: free JSON objects."""
    memory: JsonObject | None = None
    """What the agent remembers: a free JSON object."""
    human_in_loop: JsonObject | None = None
    """When a person is asked: a free JSON object."""
    guardrails: Annotated[
        tuple[Guardrail, ...], Field(max_length=64, json_schema_extra=ATOMIC | rules(_unique("guardrail")))
    ] = ()
    budgets: JsonObject | None = None
    """Limits on tokens, money, time: a free JSON object."""
    risk: Risk | None = None
    provenance: Provenance | None = None


class AgentVersionStatus(ApiModel):
    """What the operator found out about the content."""

    observed_generation: Annotated[int, Field(ge=-1)] = -1
    content_digest: Digest | None = None
    """SHA-256 of what the agent reads, as canonical JSON (RFC 8785)."""
    estimated_prompt_tokens: Annotated[int, Field(ge=0)] | None = None
    """Prompts and tools in tokens, at four bytes of UTF-8 each."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16, json_schema_extra=keyed("type"))] = ()


class AgentVersionMeta(ApiModel):
    """The object metadata that Interlock reads."""

    name: DnsLabel
    namespace: str
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None


class AgentVersion(ApiModel):
    """The immutable content of an agent, and what changed and why."""

    KIND: ClassVar[str] = "AgentVersion"

    api_version: str = API_VERSION
    kind: str = "AgentVersion"
    metadata: AgentVersionMeta
    spec: Annotated[AgentVersionSpec, Field(json_schema_extra=IMMUTABLE)]
    status: AgentVersionStatus = AgentVersionStatus()

    @classmethod
    def read(cls, manifest: dict[str, Any]) -> AgentVersion:
        """Parse an object of the API server; raises pydantic.ValidationError."""
        return cls.model_validate(manifest)
