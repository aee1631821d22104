"""Without the optional packages everything runs, and the page says once what is missing."""

import json
import subprocess
import sys

SCRIPT = """
import json, os, sys
from importlib.machinery import PathFinder

MISSING = {"numba", "llvmlite", "triton", "pyarrow", "openpyxl", "distributed", "dask"}
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name in MISSING else find(name, *more)

import optlab as ol
from optlab.optimizers import registry

ol.Experiment, ol.Results
found = {"of the terminal": sorted({"rich", "cyclopts"} & set(sys.modules))}
problem = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
for order in ("dataloader", "fast"):
    results = ol.compare(problem, [cls() for _, cls in registry.items()], batch_sizes=[3],
                         epochs=3, seeds=[1], order=order)
    trials = results.trials.set_index("optimizer")
    numba = trials["message"].str.endswith("on cpu: pip install optlab[fast]")
    found[order] = {"by numba": sorted(trials.index[numba]), "losses": dict(trials["loss"]),
                    "of numba": set(trials.loc[numba, "status"]) == {"skipped"},
                    "others": sorted(set(trials.loc[~numba, "status"]))}
page = sys.argv[1]
results.report(page)
with open(page, encoding="utf-8") as file:
    found["sentences"] = file.read().count("numba is not installed.")
found["loaded"] = sorted(MISSING & set(sys.modules))
print(json.dumps(found), flush=True)
os._exit(0)  # to free what was loaded would take half a second
"""


def test_all_but_the_compiled_optimizers_run_without_any_extra(tmp_path, tutorial):
    import optlab as ol

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "page.html")],
        capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["of the terminal"] == []  # importing optlab loads none
    assert found["loaded"] == []
    assert found["sentences"] == 1
    for order in ("dataloader", "fast"):
        own = found[order]
        assert own["by numba"] == ["FusedAdam", "FusedSGD"]
        assert own["of numba"]
        assert own["others"] == ["finished", "skipped"]  # what needs another problem
        # The order of torch's calls is the compiled one's: here with numba, there without.
        here = ol.minimize(tutorial, ol.ManualSGD(), epochs=3, batch_size=3, seed=1, order=order)
        assert own["losses"]["ManualSGD"] == here.loss
