"""Solve NIST's curves by several methods, and count their steps and digits.

Five of the 27 nonlinear regression sets, of all three levels of difficulty, from both starts: the
seed is the number of the start. The printed table counts the correct decimal digits of the worst
parameter against the certified answer, start 1 / start 2.

Why they differ: a sum of squares is flat at its minimum, so that a method which judges its steps by
sums of squares stops with half of the digits (scipy's defaults); one that asks gradients there does
not. Without bounds on its steps Gauss-Newton overflows (Rat43, from start 1). Parameters of very
different sizes stop L-BFGS and Adam, which know no units, far away.

    python experiments/nist_nonlinear.py
"""

import optlab as ol

NAMES = ["Misra1a", "Gauss1", "Kirby2", "Rat43", "BoxBOD"]


def print_digits(results: ol.Results) -> None:
    """Print a row for each optimizer, a column for each set: digits from start 1 and start 2."""
    print(f"\n{'correct digits':<22}" + "".join(f"{name:>13}" for name in NAMES))
    last = results.traces.groupby("trial")["correct_digits"].last()
    for optimizer, trials in results.trials.groupby("optimizer", sort=False):
        cells = []
        for name in NAMES:
            of_set = trials[trials["problem"] == name].sort_values("seed")
            cells.append(" / ".join(f"{last.get(trial, 0):.1f}" for trial in of_set["trial"]))
        print(f"{optimizer:<22}" + "".join(f"{cell:>13}" for cell in cells))


experiment = ol.Experiment(
    name="nist_nonlinear",
    problems=[
        ol.NonlinearLeastSquares.from_dataset(ol.datasets.nist_nonlinear(name)) for name in NAMES
    ],
    optimizers={
        "LevenbergMarquardt": ol.LevenbergMarquardt(),
        "GaussNewton": ol.GaussNewton(),
        "Newton": ol.Newton(),
        "scipy trf, defaults": ol.ScipyLeastSquares("trf", "2-point", "none"),
        "scipy trf, 1e-15": ol.ScipyLeastSquares("trf", tolerance=1e-15),
        "LBFGS": ol.LBFGS(),
        "Adam": ol.Adam(0.01),
    },
    seeds=[0, 1],
    epochs=100,
    conclude=print_digits,
)

if __name__ == "__main__":
    experiment.main()
