"""The suite file, key by key. Strict: what is not described here is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, assert_never

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    PrivateAttr,
    create_model,
    model_validator,
)

from sgbench.base.choices import suggestion
from sgbench.cells.cell import Compiled, DType, LabelPolicy
from sgbench.guidance import RULES
from sgbench.guidance.branches import Parameter
from sgbench.guidance.perturbation import Layers, layers
from sgbench.guidance.schedules import Gamma, Interval, ScaleSchedule, gamma_schedule, interval, scale_schedule
from sgbench.guidance.settings import plain
from sgbench.guidance.subset_rules import Sharing, SubsetRule
from sgbench.metrics.catalogue import METRICS
from sgbench.models.spec import places, text_of
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.suite.own_code import Own


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _as_models(value: object) -> object:
    """A model may be written out as a mapping; its text form is its name from here on."""
    return [text_of(item) for item in value] if isinstance(value, list) else [text_of(value)]


def _as_gamma(value: object) -> Gamma:
    """A share of tokens, or a schedule of it."""
    if isinstance(value, str):
        return gamma_schedule(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError("gamma is a share of tokens in [0, 1), or a schedule such as `cosine 0.6 to 0`")
    return float(value)


def _as_channels(value: object) -> object:
    if value != "all" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError("channels is `all` or a number from 1")
    return value


def _as_metric(value: object) -> object:
    if not isinstance(value, str) or value not in METRICS:
        raise ValueError(f"there is no such metric{suggestion(str(value), list(METRICS))}")
    return value


def _as_sampler(value: object) -> object:
    if not isinstance(value, str) or value not in SAMPLERS:
        raise ValueError(f"there is no such sampler{suggestion(str(value), list(SAMPLERS))}: {', '.join(SAMPLERS)}")
    return value


def _no_boolean(value: object) -> object:
    """YAML's true and false are not numbers, although Python accepts them as such."""
    if isinstance(value, bool):
        raise ValueError("a number is expected")
    return value


def _off(value: object) -> object:
    """YAML reads `off` and `no` as false."""
    return "none" if value is False else value


def _as_name(value: str) -> str:
    """A suite's name is also the name of its folders, on any file system."""
    if value.endswith(".") or value.partition(".")[0] in DEVICES:
        raise ValueError(
            "a name that ends in a dot, or names a device as `con` does, is not a valid folder name on every system"
        )
    return value


def _as_place(value: str) -> str:
    """A name or a path, no longer than file systems accept."""
    if len(value.encode()) > LONGEST_PATH or max(len(part.encode()) for part in value.split("/")) > LONGEST_PART:
        raise ValueError(f"a file name has at most {LONGEST_PART} bytes, and a path at most {LONGEST_PATH}")
    return value


def _as_model(value: str) -> str:
    """A model's name, with files that a file system takes."""
    for place in places(value):
        _as_place(place)
    return value


def _as_shift(value: float) -> float:
    """Far outside this range all times round to 0 or 1."""
    if not 1e-3 <= value <= 1e3:
        raise ValueError("a shift is a number from 0.001 to 1000")
    return value


def _read_by(parse: Callable[[str], object]) -> tuple[PlainValidator, PlainSerializer]:
    """A key that is written as text and held as the value that `parse` makes of it."""
    return PlainValidator(lambda value: parse(str(value))), PlainSerializer(str)


NUMBER = BeforeValidator(_no_boolean)
StepCount = Annotated[int, NUMBER, Field(gt=0, le=10_000)]
Share = Annotated[float, NUMBER, Field(ge=0, le=1)]
Positive = Annotated[float, NUMBER, Field(gt=0, allow_inf_nan=False)]
Shift = Annotated[float, NUMBER, Field(gt=0, allow_inf_nan=False), AfterValidator(_as_shift)]
Churn = Annotated[float, NUMBER, Field(ge=0, allow_inf_nan=False)]
Finite = Annotated[float, NUMBER, Field(allow_inf_nan=False)]
Metric = Annotated[str, BeforeValidator(_as_metric)]
SamplerName = Annotated[str, BeforeValidator(_as_sampler)]
# One value may stand for a list of one.
LIST = (BeforeValidator(_as_list), Field(min_length=1))
Names = Annotated[list[str], *LIST]
Gammas = Annotated[list[Annotated[Gamma, PlainValidator(_as_gamma), PlainSerializer(plain)]], *LIST]
LayersKey = Annotated[Layers, *_read_by(layers)]
IntervalKey = Annotated[Interval, *_read_by(interval)]
ScaleScheduleKey = Annotated[ScaleSchedule, *_read_by(scale_schedule)]
Numbers = Annotated[list[Finite], *LIST]


# Names that Windows reserves.
DEVICES = ("con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)))
LONGEST_NAME, LONGEST_PART, LONGEST_PATH = 100, 255, 2_000
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=LONGEST_NAME), AfterValidator(_as_name)]
Place = Annotated[str, AfterValidator(_as_place)]
# A thousand times what anybody scores; more is a typing error.
MOST_SAMPLES = 100_000_000


Models = Annotated[list[Annotated[str, AfterValidator(_as_model)]], BeforeValidator(_as_models), Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _GuidanceKeys(_Strict):
    """How a rule guides: every combination of the listed values. A single value may stand without brackets."""

    guidance: Names | None = Field(default=None, description="guidance rules and presets; see `sgbench guidance list`")
    scale: Numbers | None = Field(default=None, description="w in weak + w (strong - weak)")
    gamma_strong: Gammas | None = Field(default=None, description="sparsity of the strong branch, in [0, 1)")
    gamma_weak: Gammas | None = Field(default=None, description="sparsity of the weak branch, in [0, 1)")
    interval: Annotated[list[IntervalKey], *LIST] | None = Field(
        default=None, description="where guidance acts: always, `progress A to B` or `noise A to B`"
    )
    scale_schedule: Annotated[list[ScaleScheduleKey], *LIST] | None = Field(
        default=None, description="how w grows from 1: constant, linear, cosine, `power-cosine P`; or ` falling` to 1"
    )
    rescale: Annotated[list[Share], *LIST] | None = Field(default=None, description="phi of CFG-rescale, in [0, 1]")
    channels: Annotated[list[Annotated[int | str, BeforeValidator(_as_channels)]], *LIST] | None = Field(
        default=None, description="channels that are guided: `all` or the first so many"
    )
    subset: Annotated[list[SubsetRule], *LIST] | None = Field(default=None, description="how kept tokens are chosen")
    sharing: Annotated[list[Sharing], *LIST] | None = Field(
        default=None, description="whether branches choose their tokens independently"
    )


def parameter_names() -> list[str]:
    """The settings that only some rules have, users' rules among them."""
    return list(dict.fromkeys(parameter.name for rule in RULES.values() for parameter in rule.parameters))


def _parameter_fields(but: Iterable[str] = ()) -> dict[str, Any]:
    """A key for every parameter that some rule has. Ranges depend on the rule: `settings.py` checks them."""
    fields: dict[str, Any] = {}
    for name in parameter_names():
        if name in but:
            continue
        takers = {rule.title: p for rule in RULES.values() for p in rule.parameters if p.name == name}
        (value,) = {_value_type(parameter) for parameter in takers.values()}
        first, last = ", ".join([*takers][:-1]), [*takers][-1]
        description = f"of {first} and {last}" if first else f"of {last}"
        listed: Any = Annotated[list[value], *LIST]  # type: ignore[valid-type]
        fields[name] = (listed | None, Field(default=None, description=description))
    return fields


def _value_type(parameter: Parameter) -> Any:
    match parameter.text:
        case None:
            return Annotated[float, NUMBER]
        case "layers":
            return LayersKey
        case "interval":
            return IntervalKey
        case _:
            assert_never(parameter.text)


if TYPE_CHECKING:
    GuidanceKeys = _GuidanceKeys
else:
    GuidanceKeys = create_model("GuidanceKeys", __base__=_GuidanceKeys, **_parameter_fields())


class SweepEntry(GuidanceKeys):
    """One grid: every combination of the listed values is a cell. A single value may stand without brackets."""

    segments: Annotated[list[GuidanceKeys], Field(min_length=2)] | None = Field(
        default=None, description="rules that act one after the other, each with its `interval`, in place of `guidance`"
    )
    model: Models | None = Field(default=None, description="models, where they differ from the suite's")
    sampler: Annotated[list[SamplerName], *LIST] | None = Field(
        default=None, description="samplers, where they differ from the suite's"
    )
    steps: Annotated[list[StepCount], *LIST] | None = Field(
        default=None, description="sampler steps, where they differ from the suite's"
    )
    shift: Annotated[list[Shift], *LIST] | None = Field(default=None, description="time shift of flow samplers")
    churn: Annotated[list[Churn], *LIST] | None = Field(default=None, description="S_churn of EDM's sampler")


class SamplerSettings(_Strict):
    """How images are sampled."""

    name: SamplerName = "euler"
    steps: StepCount
    shift: Shift = Field(default=1.0, description="time shift of flow samplers")
    churn: Churn = Field(default=0.0, description="S_churn of EDM's sampler")
    churn_min: Churn = Field(default=0.0, description="S_min: lowest sigma with churn")
    churn_max: Annotated[float, NUMBER] = Field(
        default=float("inf"), gt=0, description="S_max: highest sigma with churn"
    )
    churn_noise: Positive = Field(default=1.0, description="S_noise: deviation of the noise that churn adds")

    @model_validator(mode="after")
    def _churns_somewhere(self) -> SamplerSettings:
        if self.churn_min > self.churn_max:
            raise ValueError(f"churn_min {self.churn_min:g} is above churn_max {self.churn_max:g}")
        return self


class Preset(_Strict):
    """A variant of the suite: values given here replace the suite's own."""

    samples: int | None = Field(default=None, gt=0, le=MOST_SAMPLES)
    dtype: DType | Literal["auto"] | None = None
    sweep: list[SweepEntry] | None = Field(default=None, min_length=1)


class Suite(_Strict):
    """A suite file after `preset` was applied."""

    suite: Name = Field(description="name; also that of its folders")
    title: str
    seed: int = Field(ge=0, lt=2**63)
    samples: int = Field(gt=0, le=MOST_SAMPLES, description="images per cell")
    labels: LabelPolicy = Field(
        default="balanced",
        description="balanced: image i is of class i mod C; random: uniform over classes",
    )
    dtype: DType | Literal["auto"] = Field(
        default="float32", description="bfloat16: matrix products under autocast, the state in float32"
    )
    compile: Annotated[Compiled, BeforeValidator(_off)] = Field(
        default="none", description="compile the networks with torch; fused kernels round differently"
    )
    reference: Place = Field(
        default="", description="the real images that generated ones are compared with; needed by metrics"
    )
    metrics: list[Metric] = Field(description="scores; an empty list for throughput benchmarks")
    autoencoder: Place = Field(
        default="", description="decoder of latents: a folder, a hub id, or none; default: the model's own"
    )
    text_encoder: Place = Field(
        default="", description="text encoder: a file, a folder or a hub id; default: the model's own"
    )
    prompts: Place = Field(default="", description="prompts of text-to-image models: a prompt set by name, file or URL")
    model: Models = Field(description="models of every sweep entry without models of its own")
    sampler: SamplerSettings
    presets: dict[str, Preset] = Field(default_factory=dict)
    sweep: list[SweepEntry] = Field(min_length=1)
    _file: str = PrivateAttr(default="")
    _own: tuple[Own, ...] = PrivateAttr(default=())

    @property
    def where(self) -> str:
        """The file it was read from, as error messages name it; its name if it was not read from a file."""
        return self._file or self.suite

    @property
    def own(self) -> tuple[Own, ...]:
        """What it takes from files of the user's own."""
        return self._own

    def with_model(self, model: str, own: Own) -> Suite:
        """The same suite with a model of the user's own in place of its models."""
        copy = self.model_copy(update={"model": [model]})
        named = [name.partition(" ")[0] for entry in self.sweep for name in entry.model or ()]
        copy._own = (*(one for one in self._own if one.what != own.what or one.name in named), own)
        return copy

    def read_from(self, file: str, own: tuple[Own, ...] = ()) -> Suite:
        """The same suite, remembering its file and what it takes from the user's own."""
        copy = self.model_copy()
        copy._file, copy._own = file, own
        return copy


def suite_class() -> type[Suite]:
    """The suite file with a key for every parameter that rules have by now: users' rules bring their own."""
    fields = _parameter_fields(but=GuidanceKeys.model_fields)
    if not fields:
        return Suite
    keys = create_model("GuidanceKeys", __base__=GuidanceKeys, **fields)
    segments: Any = Annotated[list[keys], Field(min_length=2)]
    about = SweepEntry.model_fields["segments"].description
    entry = create_model(
        "SweepEntry", __base__=SweepEntry, **fields, segments=(segments | None, Field(default=None, description=about))
    )
    sweep: Any = Annotated[list[entry], Field(min_length=1)]
    preset = create_model("Preset", __base__=Preset, sweep=(sweep | None, None))
    return create_model(
        "Suite",
        __base__=Suite,
        presets=(dict[str, preset], Field(default_factory=dict)),
        sweep=(sweep, ...),
    )
