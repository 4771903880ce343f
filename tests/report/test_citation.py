"""Citations: every name that a suite may use is covered, entries parse, arXiv numbers agree with the sources."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from sgbench import api
from sgbench.base.errors import UserError
from sgbench.cells.prompts import PUBLIC as PROMPTS
from sgbench.cli.results import cite
from sgbench.guidance import RULES
from sgbench.metrics.catalogue import METRICS
from sgbench.metrics.extractors import EXTRACTORS
from sgbench.metrics.judges.catalogue import JUDGES
from sgbench.metrics.references.catalogue import PACKAGED, works_of
from sgbench.metrics.references.catalogue import PUBLIC as REFERENCES
from sgbench.models import catalogue
from sgbench.models.families import FAMILIES
from sgbench.report.citations.citation import OWN_WORKS, bibliography, citations, entries
from sgbench.samplers.catalogue import SAMPLERS
from sgbench.suite.sweep import expand

ROOT = Path(__file__).parents[2]
NUMBER = re.compile(r"\b\d{4}\.\d{4,5}\b")
# What this project defines itself.
OWN = {"none", "label_agreement", "nearest_train", "preference", "drawn"}
NEEDED = {"article": "journal", "inproceedings": "booktitle", "misc": "title"}


def parse(text: str) -> dict[str, tuple[str, dict[str, str]]]:
    """Entries by key: kind and fields. Strict: every field in braces that balance, comments between entries only."""
    found: dict[str, tuple[str, dict[str, str]]] = {}
    rest = text
    while rest.strip():
        comment = re.match(r"\s*(%[^@\n]*\n)?", rest)
        assert comment is not None
        rest = rest[comment.end() :]
        head = re.match(r"@(\w+)\{([a-z0-9]+)", rest)
        assert head is not None, rest[:80]
        kind, key = head.groups()
        assert key not in found
        rest, fields = rest[head.end() :], {}
        while rest.startswith(","):
            name = re.match(r",\s*([a-z]+) = \{", rest)
            assert name is not None, rest[:80]
            end, depth = name.end(), 1
            while depth:
                depth += {"{": 1, "}": -1}.get(rest[end], 0)
                end += 1
            assert name[1] not in fields
            fields[name[1]] = rest[name.end() : end - 1]
            rest = rest[end:]
        assert re.match(r"\s*\}", rest), rest[:80]
        rest = rest[rest.index("}") + 1 :]
        found[key] = (kind, fields)
    return found


@cache
def everything() -> dict[str, tuple[str, dict[str, str]]]:
    return parse(bibliography())


def numbers(works: tuple[str, ...]) -> set[str]:
    return {everything()[key][1].get("eprint", "") for key in works}


def test_entries_are_sorted_whole_and_used() -> None:
    known = everything()
    assert list(known) == sorted(known) == list(entries())
    for key, (kind, fields) in known.items():
        assert {"title", "author", NEEDED[kind]} <= set(fields), key
        assert all(value == value.strip() and value for value in fields.values())
        assert not re.search(r"[^\x00-\x7f]|(?<!\\)[&%#_]", "".join(fields.values())), key
        assert all("," in name or name.startswith("{") or name == "others" for name in fields["author"].split(" and "))
        year = re.search(r"\d{4}$", key) or re.search(r"\d{4}", key)
        assert year is None or fields["year"] == year[0], key
        assert re.fullmatch(r"(\d{4}\.\d{4,5})?", fields.get("eprint", ""))
        assert ("eprint" in fields) == ("archiveprefix" in fields)
        if fields.get("journal", "").startswith("arXiv"):
            assert fields["journal"] == f"arXiv preprint arXiv:{fields['eprint']}"
    eprints = [fields["eprint"] for _, fields in known.values() if "eprint" in fields]
    assert len(eprints) == len(set(eprints))


def test_everything_that_has_a_name_is_covered() -> None:
    """A new rule, sampler, family, metric, network, reference or prompt set has to say where it is from."""
    own = {catalogue.entry(name).architecture.family for name in catalogue.embedded_names()}
    named: dict[str, dict[str, tuple[str, ...]]] = {
        "rule": {name: rule.works for name, rule in RULES.items()},
        "sampler": {name: sampler.works for name, sampler in SAMPLERS.items()},
        "family": {name: family.works for name, family in FAMILIES.items()},
        "metric": {metric.key: metric.works for metric in METRICS.values()},
        "network": {name: network.works for name, network in {**EXTRACTORS, **JUDGES}.items()},
        "reference": {name: works_of(name) for name in (*PACKAGED, *REFERENCES)},
        "prompts": {name: prompts.works for name, prompts in PROMPTS.items()},
        "own": {family: OWN_WORKS[family] for family in own},
    }
    for what, entries_of in named.items():
        for name, keys in entries_of.items():
            # A judge of preference is cited as a network.
            assert keys or name in OWN or (what == "metric" and METRICS[name].text), f"{what} {name}"
            assert set(keys) <= set(entries()), f"{what} {name}"


def test_arxiv_numbers_are_those_of_the_sources() -> None:
    for table in (RULES, SAMPLERS, FAMILIES, PROMPTS):
        for name, entry in table.items():
            assert set(NUMBER.findall(entry.source)) <= numbers(entry.works), name
    for metric in METRICS.values():
        assert set(NUMBER.findall(metric.variant)) <= numbers(metric.works), metric.key
    for name, judge in JUDGES.items():
        assert set(NUMBER.findall(judge.title)) <= numbers(judge.works), name


def test_authors_are_those_of_the_sources() -> None:
    """A source such as `Sadat et al., arXiv 2407.02687` names the first author, or both."""
    known = {fields.get("eprint"): fields["author"] for _, fields in everything().values()}
    told = [
        match
        for rule in RULES.values()
        for match in re.findall(r"([A-Z][a-z]+)(?: et al\.| and [A-Z][a-z]+)?, arXiv (\S+?)(?:,|$)", rule.source)
    ]
    assert len(told) >= 10
    for name, number in told:
        assert known[number].startswith(f"{name}, ")


def test_a_suite_cites_what_it_uses_and_no_more() -> None:
    suite = api.load_suite(ROOT / "suites" / "fashion-mnist.yaml")
    found = citations(suite, expand(suite))
    assert found["krause2026sparseguidance"] == [
        "the paper that this benchmark follows",
        "guidance rule SG",
        "guidance rule CFG+SG",
        "guidance rule AG+SG",
    ]
    assert {"zheng2024maskdit", "krause2025tread", "xiao2017fashionmnist", "naeem2020density"} <= set(found)
    assert not {"salimans2016inception", "ghosh2023geneval", "karras2022edm", "rombach2022ldm"} & set(found)
    text = bibliography(suite, expand(suite))
    assert list(parse(text)) == list(found) == sorted(found)
    assert "% metric density; metric coverage\n@inproceedings{naeem2020density," in text


def test_public_models_and_settings_are_cited() -> None:
    suite = api.load_suite(ROOT / "suites" / "ablations" / "rules.yaml")
    found = citations(suite, expand(suite))
    assert {"kynkaanniemi2024interval", "lin2024flawed", "chen2025s2guidance"} <= set(found)
    suite = api.load_suite(ROOT / "suites" / "sprint-256.yaml")
    found = citations(suite, expand(suite))
    assert {"park2025sprint", "rombach2022ldm", "deng2009imagenet", "nash2021sfid"} <= set(found)
    assert "xiao2017fashionmnist" not in found
    suite = api.load_suite(ROOT / "suites" / "paper" / "figure-a1.yaml")
    found = citations(suite, expand(suite))
    assert {"krause2026sparseguidance", "krause2025tread"} <= set(found)
    # There is nothing to score, and nothing reads captions.
    assert not {"efron1981jackknife", "heusel2017fid", "virtanen2020scipy", "ilharco2021openclip"} & set(found)


@pytest.mark.parametrize("file", sorted((ROOT / "suites").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_rule_sampler_and_metric_of_a_suite_has_an_entry(file: Path) -> None:
    suite = api.load_suite(file)
    cells = expand(suite)
    text = bibliography(suite, cells)
    assert set(parse(text)) <= set(everything())
    told = {use for uses in citations(suite, cells).values() for use in uses}
    rules = {f"guidance rule {RULES[cell.guidance.rule].title}" for cell in cells if cell.guidance.rule not in OWN}
    samplers = {f"sampler {cell.sampler.name}" for cell in cells}
    metrics = {f"metric {METRICS[name].title}" for name in suite.metrics if METRICS[name].works}
    assert rules | samplers | metrics <= told
    assert samplers
    for use in told:
        assert re.search(rf"^% (.*; )?{re.escape(use)}(; .*)?$", text, re.MULTILINE), use


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(cite)
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_prints_writes_and_refuses(tmp_path: Path) -> None:
    assert run() == bibliography()
    suite, file = ROOT / "suites" / "shapes.yaml", tmp_path / "new" / "references.bib"
    document = json.loads(run(str(suite), "--preset", "quick", "--output", str(file), "--json"))
    assert file.read_text("utf-8") == document["bibtex"]
    assert document["suite"] == "shapes"
    assert document["file"] == str(file)
    assert list(document["works"]) == list(parse(document["bibtex"]))
    assert run(str(suite), "--output", str(file)).endswith(f" works: {file}\n")
    with pytest.raises(UserError, match="a preset needs its suite"):
        run("--preset", "quick")
    with pytest.raises(UserError, match="cannot be written there"):
        run("--output", str(file / "below"))


def test_citation_file_is_of_this_version() -> None:
    """CITATION.cff, which hosts of code read: required keys of version 1.2.0, and the paper as in references.bib."""
    card = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(card)
    assert card["cff-version"] == "1.2.0"
    assert card["version"] == metadata.version("sgbench")
    assert card["license"] == "Apache-2.0"
    assert card["authors"] == [{"name": "The sgbench authors"}]
    (paper,) = card["references"]
    fields = everything()["krause2026sparseguidance"][1]
    assert paper["title"] == fields["title"]
    assert len(paper["authors"]) == len(fields["author"].split(" and "))
    assert paper["identifiers"][0]["value"] == f"arXiv:{fields['eprint']}"
