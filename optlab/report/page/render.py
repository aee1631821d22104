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
from optlab.columns import MEANINGS
from optlab.html_templates import ENVIRONMENT
from optlab.report.answer.html import answer_html
from optlab.report.findings.all_findings import findings
from optlab.report.findings.caveats import caveats
from optlab.report.findings.sentence import by_problem
from optlab.report.glossary import GLOSSARY, TermLinks
from optlab.report.output_file import SOFTWARE, check_output, output_file
from optlab.report.page.experiment_lines import experiment_lines, tracebacks
from optlab.report.page.page_data import page_data
from optlab.report.page.reference_lines import reference_lines
from optlab.report.page.score_section import score_section
from optlab.report.page.signature_table import SignatureLike, signature_table
from optlab.report.page.spectrum_lines import spectrum_lines
from optlab.report.page.tuning_section import tuning_section
from optlab.report.trial_counts import trial_counts
from optlab.report.views import View, views_of
from optlab.report.views.cache import measured_trials, unchanged_tables

SCRIPTS = ("numbers", "tables", "charts", "filters", "contents", "page")
"""The scripts in the order in which they stand in one function, so that no name is global."""

PICTURES = ("convergence", "target", "digits", "seconds", "fit", "parameters", "phases")
"""The charts of which the first three that can be drawn follow the answer."""

MOST_NAMES = 6
"""With more categories on its axis a chart takes the whole width."""

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


@unchanged_tables()
def render_page(results: ResultTables, signatures: Iterable[SignatureLike] = ()) -> str:
    """Return the page as HTML: findings, caveats, charts, tables, and how it was measured."""
    everything, results = results, measured_trials(results)
    views = views_of(results)
    drawn = [view for view in views.values() if _is_drawn(view)]
    pictures = _pictures(drawn)
    others = [view for view in drawn if view not in pictures]
    link, references = TermLinks(), [reference_lines(f) for f in results.problems.values()]
    return _TEMPLATES.get_template("page.html").render(
        title=results.name or "experiment",
        subtitle=_subtitle(everything),
        css=_source("page.css"),
        answer=Markup(answer_html(everything, whole=True, link=link)),
        link=link,
        glossary=GLOSSARY,
        columns=MEANINGS.items(),
        findings=by_problem(findings(results, views), results.problems),
        caveats=caveats(results, views),
        pictures=pictures,
        charts=others,
        wide=_wide(pictures) | _wide(others),
        not_drawn=[view for view in views.values() if view not in drawn],
        references=references,
        coefficients=[lines for lines in references if lines.fitted],
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


def _is_drawn(view: View) -> bool:
    """Return whether a chart has a value to show; devices are compared where there are two."""
    values = view.table[[axis.column for axis in view.y]].notna().to_numpy()
    return bool(values.any()) and view.table["device"].nunique() > (view.key == "crossover")


def _pictures(drawn: list[View]) -> list[View]:
    """Return the three charts that follow the answer."""
    by_key = {view.key: view for view in drawn}
    return [by_key[key] for key in PICTURES if key in by_key][:3]


def _wide(views: list[View]) -> set[str]:
    """Return the keys of the charts that take the whole width; two others stand side by side."""
    wide: set[str] = set()
    for is_wide, group in groupby(views, key=_is_wide):
        keys = [view.key for view in group]
        wide.update(keys if is_wide else keys[len(keys) // 2 * 2 :])
    return wide


def _is_wide(view: View) -> bool:
    """Return whether a chart needs the whole width: for several panels, or for many names."""
    if view.key == "convergence" or view.kind == "matrix":
        return True
    panels = [name for name in view.panels if name in view.table] if view.facets else []
    several = len(view.table[panels].drop_duplicates()) > 1 if panels else False
    names = view.x[0].scale == "category" and view.table[view.x[0].column].nunique() > MOST_NAMES
    return several or bool(names)


def _source(name: str) -> str:
    return files("optlab.report.page").joinpath(name).read_text(encoding="utf-8")


def _subtitle(results: ResultTables) -> str:
    started = str(results.definition.get("started", ""))[:16].replace("T", " ")
    return trial_counts(results.trials) + (f"; {started} UTC" if started else "")
