"""Links in the Markdown files lead somewhere: to a file of the repository, and to a heading that is in it."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from penstock.settings import PROJECT_ROOT

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_IGNORED = (".venv", "target", ".penstock", "node_modules")


def pages() -> list[Path]:
    """Return the repository's Markdown files; without git (an unpacked archive), those that are no tool's."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "*.md"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        return [PROJECT_ROOT / name for name in listed.stdout.split("\0") if name]
    found = PROJECT_ROOT.rglob("*.md")
    return [path for path in found if not set(path.relative_to(PROJECT_ROOT).parts) & set(_IGNORED)]


@cache
def text(page: Path) -> str:
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the ids GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    faults = []
    for link in _LINK.findall(_CODE.sub("", text(page))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        leads_out = not target.is_relative_to(PROJECT_ROOT)
        if leads_out or not target.exists() or (anchor and anchor not in anchors(target)):
            faults.append(link)
    return faults


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_page_links_lead_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_broken_names_what_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.PROJECT_ROOT", tmp_path)
    (tmp_path / "there.md").write_text("# A heading, with `code`\n")
    page = tmp_path / "page.md"
    page.write_text(
        "[a](there.md) [b](there.md#a-heading-with-code) [c](gone.md) [d](there.md#gone) [e](https://x.test/)\n"
        "[f](../outside.md) `[g](code.md)`\n```\n[h](fenced.md)\n```\n"
    )

    assert broken(page) == ["gone.md", "there.md#gone", "../outside.md"]
