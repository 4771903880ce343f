"""The whole examination: every tree and report asked for, and the installation; repairs where they are wanted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sgbench.base.errors import UserError
from sgbench.base.progress import Progress, Silent
from sgbench.doctor.finding import Finding
from sgbench.doctor.tree import check_tree, find_trees


class Diagnosis(NamedTuple):
    """Every finding and whether it was repaired; the trees looked at; what the installation is like, line by line."""

    findings: list[tuple[Finding, bool]]
    trees: list[Path]
    facts: dict[str, str]

    @property
    def left(self) -> int:
        """Problems that are still there."""
        return sum(finding.problem and not repaired for finding, repaired in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The diagnosis as plain data."""
        return {
            "trees": [str(path) for path in self.trees],
            "installation": self.facts,
            "findings": [finding.as_dict(repaired) for finding, repaired in self.findings],
            "problems_left": self.left,
        }


def examine(
    results: Path,
    reports: Path | None = None,
    suites: Sequence[str] = (),
    *,
    repair: bool = False,
    installation: bool = True,
    progress: Progress | None = None,
    told: Callable[[Finding, bool], None] | None = None,
) -> Diagnosis:
    """Examine the suites below `results`, all unless named, their reports, and the installation.

    `told` hears of each finding as soon as it is certain, and whether it was repaired. Raises UserError for a suite
    that has no results there.
    """
    progress = progress or Silent()
    trees = find_trees(results)
    unknown = sorted(set(suites) - {path.name for path in trees})
    if unknown:
        raise UserError(
            f"there are no results of {unknown[0]!r}",
            where=str(results),
            fix=f"name one of: {', '.join(sorted({path.name for path in trees})) or 'none'}",
        )
    chosen = [path for path in trees if not suites or path.name in suites]
    findings: list[tuple[Finding, bool]] = []

    def settle(found: Finding) -> None:
        repaired = repair and found.repair is not None
        if repaired and found.repair is not None:
            found.repair()
        findings.append((found, repaired))
        if told is not None:
            told(found, repaired)

    facts: dict[str, str] = {}
    if installation:
        from sgbench.doctor.installation import check_installation

        for one in check_installation(results, facts):
            settle(one)
    for folder in chosen:
        # All of a tree is looked at before any of it is touched.
        for one in list(check_tree(folder, progress)):
            settle(one)
        for one in check_report(reports / folder.name) if reports is not None else ():
            settle(one)
    return Diagnosis(findings, chosen, facts)


def check_report(folder: Path) -> Iterator[Finding]:
    """Findings of a report: the files that its record lists are there."""
    path = folder / "report.json"
    if not folder.is_dir():
        return
    again = "`sgbench report` with its suite writes it again"
    try:
        files = [str(name) for name in json.loads(path.read_bytes())["files"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        yield Finding(path, "it is missing or damaged", again)
        return
    missing = [name for name in files if not (folder / name).is_file()]
    if missing:
        yield Finding(folder / missing[0], f"it is missing, with {len(missing) - 1} more of its {len(files)}", again)
