"""What a check of the hardware found: on the terminal as it comes, and in a file of Markdown to send in."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

OK = "ok"
DIFFERS = "DIFFERS"
NOT_TESTABLE = "not testable"
_STYLES = {OK: "green", DIFFERS: "bold red", NOT_TESTABLE: "yellow"}


class Section(NamedTuple):
    """A table, with a heading and perhaps a sentence."""

    title: str
    columns: tuple[str, ...] = ()
    rows: Sequence[tuple[str, ...]] = ()
    text: str = ""


class Finding(NamedTuple):
    """What became of one statement."""

    key: str
    where: str
    """Section of the reference that says so."""
    statement: str
    outcome: str
    found: str


class Report:
    """Sections and findings in their order; `file` is written anew after each, for a crash may come at any time.

    Raises OSError if the file cannot be made; if it cannot be written later that is said, and `lost` is true.
    """

    def __init__(self, title: str, file: Path | None) -> None:
        self.findings: list[Finding] = []
        self.lost = False
        self._file = file
        self._text = [f"# {title}\n"]
        if file is not None:
            file.write_text(self._text[0], encoding="utf-8")
        # What a library or a trace says may hold anything; only text reaches the terminal.
        self._console = Console(highlight=False, markup=False)
        self._console.print(Text(title, style="bold"))

    def add(self, section: Section) -> None:
        """Print a section and keep it."""
        self._console.print()
        self._console.print(Text(section.title, style="bold"))
        if section.text:
            self._console.print(Text(plain(section.text)))
        if section.rows:
            table = Table(show_header=bool(any(section.columns)), box=None, pad_edge=False)
            for column in section.columns:
                table.add_column(column, overflow="fold")
            for row in section.rows:
                table.add_row(*(Text(plain(cell), style=_STYLES.get(cell, "")) for cell in row))
            self._console.print(table)
        self._text.append(_markdown(section))
        self._save()

    def note(self, text: str) -> None:
        """Print a paragraph and keep it."""
        self._console.print()
        self._console.print(Text(plain(text)))
        self._text.append(f"{plain(text)}\n")
        self._save()

    def find(self, finding: Finding) -> None:
        """Print what became of a statement, and keep it for the table of them."""
        self.findings.append(finding)
        line = Text(f"{finding.outcome:12} ", style=_STYLES[finding.outcome])
        line.append(f"{finding.where:5} {finding.key}: {finding.statement}", style="not bold default")
        self._console.print(line, soft_wrap=True)
        if finding.outcome != OK or finding.found:
            self._console.print(Text(f"{'':19}{plain(finding.found)}", style="dim"), soft_wrap=True)
        self._save()

    def count(self, outcome: str) -> int:
        """How many statements came out like this."""
        return sum(finding.outcome == outcome for finding in self.findings)

    def _save(self) -> None:
        if self._file is None:
            return
        text = list(self._text)
        if self.findings:
            rows = [(one.outcome, one.where, one.key, one.statement, one.found) for one in self.findings]
            text.append(_markdown(Section("Statements", ("", "section", "name", "statement", "found"), rows)))
        try:
            self._file.write_text("\n".join(text), encoding="utf-8")
        except OSError as error:
            sys.stderr.write(f"xsp3ioc hardware-check: cannot write {self._file}: {error.strerror}\n")
            self._file, self.lost = None, True


def plain(text: str) -> str:
    """Show what cannot be printed as escapes: neither a terminal nor a file shall obey it."""
    return "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in text)


def _markdown(section: Section) -> str:
    lines = [f"## {section.title}\n"]
    if section.text:
        lines.append(f"{plain(section.text)}\n")
    if section.rows:
        lines += [_line(section.columns), _line(["---"] * len(section.columns))]
        lines += [_line(plain(cell) for cell in row) for row in section.rows]
        lines.append("")
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    escaped = (cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"
