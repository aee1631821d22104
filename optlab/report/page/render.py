"""Write the results as one HTML page that loads nothing."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files
from itertools import groupby
from pathlib import Path

import plotly.offline
from jinja2 import PackageLoader
from markupsafe import Markup

from optlab.analysis.result_tables import ResultTables
from optlab.html_templates import ENVIRONMENT
from optlab.report.answer.html import answer_html
from optlab.report.findings.all_findings import findings
from optlab.report.findings.caveats import caveats
from optlab.report.findings.sentence import Sentence
from optlab.report.output_file import SOFTWARE, check_output, output_file
from optlab.report.page.experiment_lines import experiment_lines, tracebacks
from optlab.report.page.page_data import page_data
from optlab.report.page.reference_lines import reference_lines
from optlab.report.page.score_section import score_section
from optlab.report.page.signature_table import SignatureLike, signature_table
from optlab.report.page.spectrum_lines import spectrum_lines
from optlab.report.page.tuning_section import tuning_section
from optlab.report.views import views_of

SCRIPTS = ("numbers", "tables", "charts", "filters", "page")
"""The scripts in the order in which they stand in one function, so that no name is global."""

_TEMPLATES = ENVIRONMENT.overlay(loader=PackageLoader("optlab.report.page", ""))
_TEMPLATES.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}


def write_page(
    results: ResultTables,
    path: str | Path,
    *,
    force: bool = False,
    signatures: Iterable[SignatureLike] = (),
) -> Path:
    """Write the page into a file, in a folder made where it is missing, and return the file.

    ``signatures`` are invariance signatures that it shows: see `optlab.testing.signature`.

    Raises
    ------
    ValueError
        Where the file exists and is no page that optlab wrote, unless ``force`` is set.
    """
    path = Path(path)
    check_output(path, "page", force=force)
    page = f"{render_page(results, signatures)}\n".encode(
        "utf-8", "backslashreplace"
    )  # names may be no UTF-8
    with output_file(path, "page", force=force) as file:
        file.write(page)
    return path


def render_page(results: ResultTables, signatures: Iterable[SignatureLike] = ()) -> str:
    """Return the page as HTML: findings, caveats, charts, tables, and how it was measured."""
    everything, results = results, results.measured
    views = views_of(results)
    return _TEMPLATES.get_template("page.html").render(
        title=results.name or "experiment",
        subtitle=_subtitle(everything),
        css=_source("page.css"),
        answer=Markup(answer_html(results, whole=True)),
        findings=_by_problem(findings(results, views), named=len(results.problems) > 1),
        caveats=caveats(results, views),
        drawn=[view for view in views.values() if not view.table.empty],
        not_drawn=[view for view in views.values() if view.table.empty],
        references=[reference_lines(facts) for facts in results.problems.values()],
        spectra=spectrum_lines(results.problems),
        predicted=len(results.predictions) > 0,
        signatures=signature_table(signatures),
        machine=results.machine,
        experiments=experiment_lines(results.definition),
        tracebacks=tracebacks(everything),
        tuning=tuning_section(everything),
        scores=score_section(everything),
        software=SOFTWARE,
        data=page_data(results, views),
        plotly=plotly.offline.get_plotlyjs().replace("</script", "<\\/script"),
        scripts="\n".join(_source(f"{name}.js") for name in SCRIPTS),
    )


def _source(name: str) -> str:
    return files("optlab.report.page").joinpath(name).read_text(encoding="utf-8")


def _subtitle(results: ResultTables) -> str:
    counts = results.trials["status"].value_counts()
    ended = ", ".join(f"{count} {status}" for status, count in counts.items())
    started = str(results.definition.get("started", ""))[:16].replace("T", " ")
    return f"{len(results.trials)} trials: {ended}" + (f"; {started} UTC" if started else "")


def _by_problem(sentences: Iterable[Sentence], *, named: bool) -> list[tuple[str, list[Sentence]]]:
    """Return the sentences of each problem, with its name where there are several."""
    groups = groupby(sentences, key=lambda sentence: sentence.problem)
    return [(name if named else "", list(group)) for name, group in groups]
