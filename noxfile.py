"""The checks of the project; `nox -s tests` runs all of them."""

import nox

nox.options.sessions = ["tests"]
nox.options.reuse_existing_virtualenvs = True

PYPROJECT = nox.project.load_toml("pyproject.toml")
ONCE = ("--rounds", "1")
BENCHMARKS = {  # with the options of a trial run
    "tutorial_loop": ONCE,
    "step_speed": (*ONCE, "--without-compile"),
    "fused_speed": ONCE,
    "sweep_speed": ONCE,
    "device_speed": (*ONCE, "--shapes", "1000x20", "--milliseconds", "5"),
    "closed_form_speed": (*ONCE, "--shapes", "1000x20,10x1"),
    "logistic_speed": ONCE,
    "tuning_cost": ONCE,
    "benchopt_peer": ONCE,
    "overhead": ONCE,
    "growth": ("quick",),
    "accuracy": (),
    "nist_nonlinear": ("LevenbergMarquardt",),
    "certified_references": (),
}
EXPERIMENTS = (
    "tutorial", "diabetes", "conditioning", "nist", "nist_nonlinear", "digits_network", "valley",
    "theory", "batch_size", "noise_floor",
)  # fmt: skip


def install(session: nox.Session, *groups: str, project: bool = True) -> None:
    packages = ["-e", "."] if project else []
    packages += [
        need for group in groups for need in nox.project.dependency_groups(PYPROJECT, group)
    ]
    session.install("-c", "constraints.txt", *packages)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests: the suite, doctests and README examples, ruff, mypy, import-linter."""
    install(session, "test", "lint", "types")
    if session.posargs:
        session.run("pytest", *session.posargs)
        return
    # The many processes that tests start share what the first has compiled. Files come in their
    # order, so that small ones are last and both processes end together.
    env = {"PYTHONDONTWRITEBYTECODE": ""}
    side_by_side = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
    session.run("pytest", *side_by_side, "-m", "not alone", "--durations=30", env=env)
    # Tests that measure time, or that have limits of time, run alone after the others.
    session.run("pytest", "-m", "alone", "tests", env=env)


@nox.session
def coverage(session: nox.Session) -> None:
    """Lines and branches of the package that the tests run."""
    install(session, "test", "coverage")
    session.run("coverage", "erase")
    measured = ("coverage", "run", "-m", "pytest", "-p", "benchmarks.mutants.coverage_contexts")
    session.run(*measured, *(session.posargs or ("--ignore", "tests/test_quality.py")))
    session.run("coverage", "combine")
    session.run("coverage", "report", "--sort=cover", "--skip-covered")


@nox.session
def mutants(session: nox.Session) -> None:
    """Small faults planted in a sample of places: how many do the tests notice (after coverage)?"""
    install(session, "test", "mutants")
    session.run("python", "-m", "benchmarks.mutants", *(session.posargs or ("400",)))


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff and import-linter."""
    install(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, strict, on the package."""
    install(session, "types")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The doctests and the README's examples."""
    install(session, "test")
    session.run("pytest", "optlab", "tests/test_readme.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks; name some (`nox -s bench -- tutorial_loop`) to run them alone.

    With `--quick` each is run once, to see that it runs: no record is written of one round.
    `nox -s bench -- compare OLD NEW` tells what became slower between two records.
    """
    install(session, "test")
    if session.posargs[:1] == ["compare"]:
        session.run("python", "-m", "benchmarks", *session.posargs)
        return
    quick = "--quick" in session.posargs
    for name in [name for name in session.posargs if name != "--quick"] or BENCHMARKS:
        options = BENCHMARKS.get(name, ()) if quick else ()
        session.run("python", "-m", f"benchmarks.{name}", *options)


@nox.session
def demo(session: nox.Session) -> None:
    """The experiments, with their pages under results/."""
    install(session)
    for name in EXPERIMENTS:
        session.run("optlab", "run", f"experiments/{name}.py", "--report", f"results/{name}.html")
