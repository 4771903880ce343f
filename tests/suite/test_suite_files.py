"""Every suite file of the project: it is valid, it can be planned, and without weights it stops with one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sgbench.api import load_suite, make_plan
from sgbench.guidance import RULES
from sgbench.guidance.segments import JOINT
from sgbench.guidance.settings import Guidance
from sgbench.models import catalogue
from sgbench.models.public import PUBLIC, Public
from sgbench.plan.rule_cards import relative_cost
from sgbench.suite.sweep import expand
from tests import tiny_model, warm

SUITES = Path(__file__).parents[2] / "suites"
FILES = sorted(SUITES.rglob("*.yaml"))
PAPER = [path for path in FILES if path.parent.name == "paper"]
ABLATIONS = [path for path in FILES if path.parent.name == "ablations"]
EMBEDDED = ("fashion-mnist", "shapes", "fashion-gammas")
PUBLISHED = [path for path in FILES if path not in [*PAPER, *ABLATIONS] and path.stem not in EMBEDDED]


def name_of(path: Path) -> str:
    return str(path.relative_to(SUITES).with_suffix(""))


def presets_of(path: Path) -> list[str | None]:
    return [None, *yaml.safe_load(path.read_text()).get("presets", {})]


def header_of(path: Path) -> list[str]:
    """The comment that the file begins with, line by line."""
    lines = path.read_text().splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("#"))
    return [line.removeprefix("#").strip() for line in lines[:end]]


def checkpoints_of(path: Path) -> list[Public]:
    """The public checkpoints that a suite or one of its presets names."""
    cells = [cell for preset in presets_of(path) for cell in expand(load_suite(path, preset))]
    return [PUBLIC[model] for model in dict.fromkeys(cell.model for cell in cells) if model in PUBLIC]


each_file = pytest.mark.parametrize("path", FILES, ids=name_of)
each_variant = pytest.mark.parametrize(
    ("path", "preset"),
    [
        pytest.param(path, preset, id=f"{name_of(path)}-{preset or 'itself'}")
        for path in FILES
        for preset in presets_of(path)
    ],
)


@pytest.fixture(scope="module", autouse=True)
def nothing_fetched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with no weights in or below it, wherever a suite may look for them."""
    folder = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SGBENCH_MODELS", str(folder / "models"))
        patch.setenv("HF_HOME", str(folder / "hub"))
        patch.chdir(folder)
        # Entries remember where their files are.
        catalogue.entry.cache_clear()
        yield folder
    catalogue.entry.cache_clear()


def test_the_files_are_there() -> None:
    assert len(PUBLISHED) == 9
    tables = ("table-1", "table-2", "table-3", "table4", "table5")
    figures = ("figure-4", "figure-5", "figure-6", "figure-7", "figure-8", "figure-a1")
    assert {path.stem for path in PAPER} == {*tables, *figures}
    assert {path.stem for path in SUITES.glob("*.yaml")} == {*EMBEDDED, *(path.stem for path in PUBLISHED)}
    questions = {"shared-or-independent", "fixed-or-fresh", "exact-or-bernoulli", "interval", "steps", "dense-model"}
    assert {path.stem for path in ABLATIONS} == questions | {"schedules", "rules", "rivals"}


def test_the_rivals_are_all_rules_that_the_embedded_model_can_serve() -> None:
    found = {cell.guidance.rule for cell in expand(load_suite(SUITES / "ablations" / "rivals.yaml"))}
    able = {name: rule for name, rule in RULES.items() if not (rule.drops_path or rule.needs_inner or JOINT in name)}
    assert found == set(able)
    assert max(map(relative_cost, able.values())) <= 2


@pytest.mark.parametrize("path", ABLATIONS, ids=name_of)
def test_an_ablation_runs_on_embedded_models_and_has_cells_that_differ_in_its_question_alone(path: Path) -> None:
    cells = expand(load_suite(path))
    assert all(catalogue.entry(cell.model).main.kind == "packaged" for cell in cells)
    questions = {
        "shared-or-independent": lambda g: g._replace(sharing=""),
        "fixed-or-fresh": lambda g: g._replace(subset=""),
        "exact-or-bernoulli": lambda g: g._replace(subset=""),
        "interval": lambda g: g._replace(interval=""),
    }
    if path.stem in questions:
        groups: dict[tuple[str, Guidance], int] = {}
        for cell in cells:
            key = (cell.model, questions[path.stem](cell.guidance))
            groups[key] = groups.get(key, 0) + 1
        assert sum(size > 1 for size in groups.values()) >= 4


@each_variant
def test_it_is_valid_and_can_be_planned(path: Path, preset: str | None, tmp_path: Path) -> None:
    suite = load_suite(path, preset)
    plan = make_plan(suite, tmp_path)
    assert len(plan.cells) == len(expand(suite)) > 0
    assert plan.images == len(plan.cells) * suite.samples
    assert min(cell.gmacs_per_image for cell in plan.cells) > 0
    assert plan.gmacs > 0
    assert plan.bytes > 0
    assert plan.gpu_hours > 0


def test_no_two_files_share_a_name() -> None:
    names = [load_suite(path).suite for path in FILES]
    assert len(set(names)) == len(names)


@each_file
def test_it_begins_with_a_comment_on_what_it_is(path: Path) -> None:
    assert len(header_of(path)) >= 2


@pytest.mark.parametrize("path", PUBLISHED, ids=name_of)
def test_its_comment_says_which_checkpoint_under_which_licence(path: Path) -> None:
    text = " ".join(header_of(path))
    checkpoints = checkpoints_of(path)
    assert checkpoints
    for checkpoint in checkpoints:
        assert checkpoint.licence in text
        assert checkpoint.file in text
        assert f"sgbench models fetch {checkpoint.name}" in text


@pytest.mark.parametrize("path", PAPER, ids=name_of)
def test_its_comment_says_what_of_the_paper_it_is(path: Path) -> None:
    text = " ".join(header_of(path))
    named = re.fullmatch(r"(table|figure)-?(\w+)", path.stem)
    assert named is not None
    assert text.startswith(f"{named[1].title()} {named[2].upper()} of arXiv 2601.01608: ")
    for checkpoint in checkpoints_of(path):
        assert checkpoint.licence in text
        assert f"sgbench models fetch {checkpoint.name}" in text
    for cell in expand(load_suite(path)):
        model = catalogue.entry(cell.model)
        # A pipeline is read from the hub's cache.
        cached = model.main.kind == "folder" and f"hf download {model.main.source}" in text
        assert cached or model.public is not None or model.random or str(model.main.path).startswith("checkpoints/")


def refusal(path: Path, results: Path) -> str:
    """The one sentence with which a run of the first image of every cell ends."""
    arguments = ["run", str(path), "--limit", "1", "--device", "cpu", "--results", str(results)]
    done = warm.run(tiny_model.__file__, *arguments)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert [line.startswith("sgbench: ") for line in lines].count(True) == 1
    assert lines[-1].startswith("sgbench: ")
    return lines[-1]


@pytest.mark.slow
def test_a_public_suite_without_weights_says_what_to_fetch_and_where_to_put_it(tmp_path: Path) -> None:
    path = SUITES / "sit-256.yaml"
    said = refusal(path, tmp_path)
    (checkpoint,) = checkpoints_of(path)
    for part in (str(checkpoint.path), checkpoint.source, f"({checkpoint.licence})", "sgbench models fetch sit-xl-256"):
        assert part in said


@pytest.mark.slow
def test_a_suite_of_a_pipeline_that_is_not_here_says_how_to_get_it(tmp_path: Path) -> None:
    said = refusal(SUITES / "paper" / "table5.yaml", tmp_path)
    assert "the pipeline Photoroom/prx-512-t2i-sft is not on this machine; download it (`hf download" in said


@pytest.mark.slow
def test_a_suite_of_the_paper_without_weights_names_the_file(tmp_path: Path) -> None:
    said = refusal(SUITES / "paper" / "figure-4.yaml", tmp_path)
    assert "checkpoints/tread-sit-xl-256-400ep.safetensors" in said
