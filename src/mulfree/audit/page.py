"""An audit's report as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from mulfree.audit.report import Report, is_number, tables, totals

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 80rem; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin-bottom: 2rem }
th, td { border-bottom: 1px solid #ccc; padding: .25rem .8rem; text-align: left; vertical-align: top }
td { font: 13px/1.5 ui-monospace, monospace }
td.number { text-align: right }
.clean { color: #17692c } .found { color: #a51d1d }
"""


def _row(cells: Sequence[str], tag: str) -> str:
    def cell(text: str) -> str:
        kind = ' class="number"' if tag == "td" and is_number(text) else ""
        return f"<{tag}{kind}>{escape(text)}</{tag}>"

    return f"<tr>{''.join(map(cell, cells))}</tr>"


def as_html(report: Report) -> str:
    """The whole report, all names and paths escaped."""
    verdict = ("found", "Multiplications found") if report.findings else ("clean", "No multiplications")
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"><title>mulfree audit</title>',
        f"<style>{_STYLE}</style></head><body>",
        f'<h1 class="{verdict[0]}">{verdict[1]}</h1>',
        *(f"<p>{escape(line)}</p>" for line in totals(report)),
    ]
    for title, head, rows in tables(report, details=True):
        parts.append(f"<h2>{escape(title)}</h2>\n<table>\n<thead>{_row(head, 'th')}</thead>\n<tbody>")
        parts += [_row(row, "td") for row in rows]
        parts.append("</tbody>\n</table>")
    parts.append("</body></html>\n")
    return "\n".join(parts)
