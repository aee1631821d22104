"""Notebooks: progress, tables and figures show themselves, and nothing is written to stderr."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import optlab as ol
from optlab.report import progress_bar
from tests.commands import program

NOTEBOOK = Path(__file__).parents[1] / "experiments" / "first_steps.ipynb"
SHORTER = {"epochs=3000": "epochs=1500", "repeats=3, epochs=300": "repeats=1, epochs=20"}


@pytest.fixture
def published(monkeypatch):
    """Make this process a notebook's kernel, and collect what is displayed in it."""
    shown = []

    def publish(data, *, transient, update):
        shown.append((data, transient["display_id"], update))

    shell = SimpleNamespace(kernel=object(), display_pub=SimpleNamespace(publish=publish))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(progress_bar, "_DELAY", 0.0)
    monkeypatch.setattr(progress_bar, "_SHOW_EVERY", 0.0)
    return shown


def test_a_notebook_shows_one_bar_that_is_updated_and_stays(published, tutorial, capsys):
    ol.compare(tutorial, [ol.ManualSGD(0.1), ol.Lstsq()], epochs=3)
    first = [identity for _, identity, update in published if not update]
    assert published[0][1:] == (first[0], False)
    assert len(first) == 1
    assert {identity for _, identity, _ in published} == set(first)
    texts = [data["text/plain"] for data, _, _ in published]
    assert any("ManualSGD at batch size full on cpu  epoch 3/3" in text for text in texts)
    assert "2/2" in texts[-1]
    assert "epoch" not in texts[-1]
    assert "<pre" in published[-1][0]["text/html"]
    ol.minimize(tutorial, ol.ManualSGD(0.1), epochs=3)
    assert published[-1][0]["text/plain"].startswith("epochs")
    assert "3/3" in published[-1][0]["text/plain"]
    assert len({identity for _, identity, _ in published}) == 2
    count = len(published)
    ol.compare(tutorial, ol.Lstsq(), progress=False)
    ol.minimize(tutorial, ol.Lstsq(), progress=False)
    assert len(published) == count
    assert capsys.readouterr() == ("", "")


def test_a_short_run_has_no_bar(published, tutorial, monkeypatch):
    monkeypatch.setattr(progress_bar, "_DELAY", 1000.0)
    ol.compare(tutorial, ol.Lstsq())
    assert published == []


def test_what_a_store_holds_and_notes_are_printed_and_are_not_red(
    published, tutorial, tmp_path, capsys
):
    for _ in range(2):
        ol.compare(tutorial, ol.Lstsq(), store=tmp_path / "s.db")
    ol.compare(tutorial, [ol.LBFGS(2), ol.LBFGS(3)], execution=ol.Execution(sweep=True), epochs=2)
    told = capsys.readouterr()
    assert told.out.startswith("1 of 1 trial is in the store already\nnote: ")
    assert told.err == ""


def test_off_a_terminal_there_is_no_bar_unless_lines_are_asked_for(tutorial, capsys):
    methods = [ol.ManualSGD(0.1), ol.Lstsq()]
    ol.compare(tutorial, methods, epochs=2)
    ol.minimize(tutorial, methods[0], epochs=2)
    assert capsys.readouterr() == ("", "")
    ol.compare(tutorial, methods, epochs=2, progress=True)
    assert [line[:4] for line in capsys.readouterr().err.splitlines()] == ["1/2 ", "2/2 "]
    with pytest.raises(ValueError, match="progress and listener exclude each other"):
        ol.Experiment(problems=tutorial, optimizers=methods).run(
            progress=True, listener=SimpleNamespace()
        )


KERNEL = """
import sys
sys.path.insert(0, {root!r})
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""


@pytest.fixture
def forked_kernel(tmp_path_factory, monkeypatch):
    """Let a notebook's kernel be forked from a process that has loaded torch."""
    folder = tmp_path_factory.mktemp("jupyter")
    command = [program("python"), "-c", KERNEL.format(root=str(NOTEBOOK.parents[1]))]
    spec = {"argv": [*command, "-f", "{connection_file}"], "display_name": "", "language": "python"}
    kernel = folder / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(folder))


@pytest.mark.usefixtures("forked_kernel")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_notebook_of_the_experiments_runs_and_shows_itself(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    text = NOTEBOOK.read_text(encoding="utf-8")
    for long, short in SHORTER.items():
        assert long in text
        text = text.replace(long, short)
    notebook = nbformat.reads(text, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=200, resources=where).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = {cell.source.splitlines()[-1]: cell.outputs for cell in cells}
    assert not [out for own in outputs.values() for out in own if out.output_type == "stream"]
    for drawn in ("solution.plot()", "results.plot_convergence()"):
        (figure,) = outputs[drawn]
        assert "image/png" in figure.data
        assert figure.metadata["image/png"]["width"] == 630
    bar, table = outputs["solution"]
    assert "1500/1500" in bar.data["text/plain"]
    assert "<caption>" in table.data["text/html"]
    answer = outputs["results"][-1].data["text/html"]
    assert answer.count("<table") == 1
    assert "Lstsq" in answer
    assert (tmp_path / "results" / "diabetes.db").exists()


def test_the_notebook_is_kept_without_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
