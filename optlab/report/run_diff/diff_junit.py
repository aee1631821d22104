"""The differences of two results as JUnit XML, which continuous integration shows as tests."""

from __future__ import annotations

import re
from collections.abc import Collection
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from optlab.analysis.comparison import TOO_FEW
from optlab.analysis.judge_pairs import NOT_COMPARED
from optlab.analysis.run_differences import NOT_JUDGED, RunDifferences
from optlab.report.output_file import SOFTWARE
from optlab.report.run_diff.diff_rows import describe_difference, labels_by_cell
from optlab.report.run_diff.diff_sentences import diff_sentences

_SKIPPED = (NOT_COMPARED, NOT_JUDGED, TOO_FEW)

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML can hold."""


def diff_junit(diff: RunDifferences, fail_on: Collection[str]) -> str:
    """Return a test for each setting and metric: failed where its verdict is one of ``fail_on``.

    What was not compared, or not judged, is skipped, with the reason.
    """
    table = diff.table
    suites = Element("testsuites")
    failed, skipped = table["verdict"].isin(fail_on), table["verdict"].isin(_SKIPPED)
    counts = {"tests": len(table), "failures": int(failed.sum()), "skipped": int(skipped.sum())}
    texts = {"name": f"{SOFTWARE} diff", **{name: str(count) for name, count in counts.items()}}
    suite = SubElement(suites, "testsuite", texts)
    properties = SubElement(suite, "properties")
    for change in diff.changes:
        value = f"{change.old} -> {change.new}" if change.old else change.new
        SubElement(properties, "property", {"name": _text(change.name), "value": _text(value)})
    labels = labels_by_cell(diff)
    for row in table.to_dict("records"):
        label = labels[row["cell"]]
        name = {"classname": _text(row["problem"]), "name": _text(f"{label}: {row['metric']}")}
        case = SubElement(suite, "testcase", name)
        if row["verdict"] in fail_on:
            message = _text(f"{label} {describe_difference(row)}")
            SubElement(case, "failure", {"message": message, "type": row["verdict"]})
        elif row["verdict"] in _SKIPPED:
            SubElement(case, "skipped", {"message": _text(row["message"] or row["verdict"])})
    SubElement(suite, "system-out").text = _text("\n".join(diff_sentences(diff)))
    indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(suites, encoding="unicode")}\n'


def _text(text: object) -> str:
    return _NO_XML.sub("\ufffd", str(text))
