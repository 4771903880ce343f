"""Models written out in a suite: their text form is read back as what was written."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sgbench.base.errors import UserError
from sgbench.models.config import architecture_of, canonical
from sgbench.models.families import FAMILIES
from sgbench.models.family import SHAPE_KEYS, SIZES, Request
from sgbench.models.sizes import OWN_KEYS
from sgbench.models.spec import Spec, is_spec, parse, parse_routes, spell_routes, text_of
from tests.own_sizes import recorded_configs

TREAD = {"family": "tread-sit", "size": "XL/2", "resolution": 256, "weights": "random"}
routes = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), max_size=3).map(tuple)
# Anything that a file system may call a file, blanks, quotes and equal signs included.
paths = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
NOTHING: dict[str, Any] = {key: st.none() for key in (*OWN_KEYS, "config")}
random_or_file = st.just("random") | st.just("/data/my models/a = b.safetensors") | paths
sized = st.builds(
    Spec,
    family=st.sampled_from([name for name, family in FAMILIES.items() if not family.pipeline]),
    size=st.builds("{}/{}".format, st.sampled_from(list(SIZES)), st.sampled_from([2, 4, 8])),
    resolution=st.integers(1, 64).map(lambda n: 64 * n),
    routes=st.none() | routes,
    weights=random_or_file,
    sha256=st.none() | st.text("0123456789abcdef", min_size=64, max_size=64),
    auxiliary=st.none() | paths,
    iterations=st.none() | st.integers(1),
    auxiliary_iterations=st.none() | st.integers(1),
    **NOTHING,
    # Random weights have no digest, and what is not there has no age.
).filter(
    lambda spec: (
        (spec.weights != "random" or spec.sha256 is None)
        and (spec.auxiliary is not None or spec.auxiliary_iterations is None)
    )
)
# A pipeline is a folder of several files, of the size that the folder says.
pipelines = st.builds(
    Spec,
    family=st.sampled_from([name for name, family in FAMILIES.items() if family.pipeline]),
    size=st.just(""),
    resolution=st.integers(1, 64).map(lambda n: 64 * n),
    routes=st.none() | routes,
    weights=random_or_file,
    sha256=st.none(),
    auxiliary=st.none(),
    iterations=st.none(),
    auxiliary_iterations=st.none(),
    **NOTHING,
)


@st.composite
def sizes_of_their_own(draw: st.DrawFn) -> Spec:
    """A letter, a shape or a config; of classes, channels and side whatever the family takes. Without its folder a
    pipeline may have sizes, too."""
    spec = draw(sized | pipelines.map(lambda one: one._replace(weights="random")))
    known = FAMILIES[spec.family]
    numbers: dict[str, Any] = {}
    whole = st.integers(1, 99_999)
    if set(SHAPE_KEYS) <= set(known.keys) and draw(st.booleans()):
        spec = spec._replace(size="")
        numbers = {key: draw(whole) for key in SHAPE_KEYS}
    numbers |= {key: draw(st.none() | whole) for key in ("classes", "channels") if key in known.keys}
    if draw(st.booleans()):
        side = draw(st.integers(1, 500))
        numbers |= {"latent_side": side, "resolution": side * draw(st.integers(1, 40))}
    return spec._replace(**numbers)


@st.composite
def configured(draw: st.DrawFn) -> Spec:
    """A config in place of any size; its text is the family's own reading of it."""
    spec = draw(sized.filter(lambda one: one.family in recorded_configs()))
    config = canonical(draw(st.sampled_from(recorded_configs()[spec.family])), FAMILIES[spec.family], "config")
    side = architecture_of(config, FAMILIES[spec.family]).input_size
    return spec._replace(size="", config=config, resolution=side * draw(st.integers(1, 40)))


specs = sized | pipelines | sizes_of_their_own() | configured()


def mapping(spec: Spec, spelling: str = "text") -> dict[str, Any]:
    """The spec as a person writes it; a route as text, or as lists of two blocks."""
    found: dict[str, Any] = {key: value for key, value in spec._asdict().items() if value not in (None, "")}
    given_routes = found.pop("routes", None)
    if given_routes is not None:
        spelled = {
            "text": spell_routes(given_routes),
            "lists": [list(pair) for pair in given_routes],
            "one list": list(given_routes[0]) if len(given_routes) == 1 else spell_routes(given_routes),
        }
        found["route"] = spelled[spelling]
    return found


def refused(found: dict[str, Any]) -> str:
    with pytest.raises(ValueError, match=r"\(.*\)$") as caught:
        text_of(found)
    return str(caught.value)


def refused_text(text: str) -> str:
    with pytest.raises(UserError) as caught:
        parse(text, "tiny: model")
    assert str(caught.value).startswith("tiny: model: ")
    return str(caught.value)


@pytest.mark.slow
@given(specs, st.sampled_from(["text", "lists", "one list"]))
def test_what_is_written_is_read_back(spec: Spec, spelling: str) -> None:
    text = text_of(mapping(spec, spelling))
    assert isinstance(text, str)
    assert text == spec.text()
    assert is_spec(text)
    assert parse(text, "model") == spec


@pytest.mark.slow
@given(specs)
def test_the_identity_holds_no_path_but_tells_random_weights(spec: Spec) -> None:
    def at(path: str, auxiliary: str | None = None) -> str:
        return spec._replace(weights=path, auxiliary=auxiliary).without_paths()

    assert at("/here") == at("/there", "/anywhere")
    assert spec._replace(iterations=7).without_paths() == spec._replace(iterations=None).without_paths()
    assert at("random") == f"{at('/here')} weights=random"
    assert "/" not in at("/here").replace(spec.size, "")


@given(routes)
def test_routes_are_read_back(given_routes: tuple[tuple[int, int], ...]) -> None:
    assert parse_routes(spell_routes(given_routes), "--route") == given_routes


def test_the_text_forms_of_the_documentation() -> None:
    assert text_of(TREAD) == "tread-sit XL/2 256 weights=random"
    assert text_of({**TREAD, "route": [[2, 12], [14, 24]], "weights": "/my models/w.pt"}) == (
        "tread-sit XL/2 256 route=2-12,14-24 weights='/my models/w.pt'"
    )
    assert parse("sit XL/2 512 route=2-24 weights=random", "model").request == Request("XL", 2, 64, ((2, 24),))
    assert text_of({"family": "prx", "resolution": 512, "weights": "/models/prx"}) == "prx 512 weights=/models/prx"
    assert parse("prx 512 route=2-12 weights=random", "model").routes == ((2, 12),)
    assert text_of("fashion-routing") == "fashion-routing"
    assert not is_spec("fashion-routing")


def test_a_resolution_left_out_is_256() -> None:
    assert parse("sit S/2 weights=random", "model").resolution == 256
    assert text_of({"family": "sit", "size": "S/2", "weights": "random"}) == "sit S/2 256 weights=random"


def test_yaml_as_a_person_writes_it() -> None:
    written = yaml.safe_load("{family: tread-sit, size: S/8, resolution: 64, route: 2-8, weights: my weights.pt}")
    found = parse(str(text_of(written)), "model")
    assert found == Spec("tread-sit", "S/8", 64, ((2, 8),), "my weights.pt", sha256=None, auxiliary=None)
    assert parse(str(text_of({**written, "route": "none"})), "model").routes == ()


def test_an_unknown_key_is_named_with_a_suggestion() -> None:
    assert "unknown key 'wieghts', did you mean 'weights'?" in refused({**TREAD, "wieghts": "random"})
    assert "unknown key 'dpeth', did you mean 'depth'?" in refused_text("sit S/2 256 dpeth=3 weights=random")


@pytest.mark.parametrize("key", ["family", "size", "weights"])
def test_a_missing_key_is_named(key: str) -> None:
    lacking = {name: value for name, value in TREAD.items() if name != key}
    assert f"a model needs {key}" in refused(lacking)


def test_training_iterations_are_whole_and_have_a_checkpoint() -> None:
    trained = {**TREAD, "weights": "w.pt", "iterations": 400_000}
    assert str(text_of(trained)).endswith("weights=w.pt iterations=400000")
    for value in (0, -5, 1.5, "many"):
        assert f"iterations {value} is not a number of training iterations" in refused({**trained, "iterations": value})
    assert "there is no auxiliary checkpoint" in refused({**trained, "auxiliary_iterations": 50_000})


def test_a_pipeline_is_what_its_folder_says() -> None:
    pipeline = {"family": "prx", "weights": "/models/prx"}
    for key, value in {"size": "XL/2", "sha256": "0" * 64, "auxiliary": "early.pt", "iterations": 9}.items():
        assert refused({**pipeline, key: value}) == f"a pipeline has no {key} of its own (leave {key} out)"
    assert "'512' has no key; write FAMILY RESOLUTION, then key=value" in refused_text("prx XL/2 512 weights=random")
    assert "a model needs weights" in refused({"family": "prx"})


@pytest.mark.parametrize("value", [None, ""])
def test_weights_left_empty_are_missing(value: str | None) -> None:
    """`weights:` with nothing after it is a slip, not a file called None."""
    assert "weights" in refused({**TREAD, "weights": value})


@pytest.mark.parametrize("resolution", [100, 0, -64, 32, 64.5, True, "big", "²"])
def test_a_resolution_that_the_positions_cannot_serve(resolution: object) -> None:
    assert "is not supported" in refused({**TREAD, "resolution": resolution})


def test_other_values_that_mean_nothing() -> None:
    assert "there is no model family 'tread', did you mean" in refused({**TREAD, "family": "tread"})
    assert "there is no size 'XL'" in refused({**TREAD, "size": "XL"})
    assert "there is no size 'XXL/2'" in refused({**TREAD, "size": "XXL/2"})
    for digest in ("0" * 63, "0" * 65, "g" * 64, 12):
        assert f"{digest} is not a sha256" in refused({**TREAD, "weights": "w.pt", "sha256": digest})
    for route in ("2", "2:24", [2], [[2]], [[2, 24, 25]], "2-a", True):
        assert "is not a route" in refused({**TREAD, "route": route})


def test_text_that_means_nothing() -> None:
    assert "'512' has no key" in refused_text("sit S/2 256 512 weights=random")
    assert "there is no model family 'two'" in refused_text("two words")
    assert "a model needs weights" in refused_text("sit S/2")
    refused_text("sit S/2 256 weights='/no closing quotation")
