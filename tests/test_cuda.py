"""Trials on a CUDA device: the CPU's start, order and answer; the clock; the memory; the page."""

import math
from itertools import islice

import pytest
import torch

import optlab as ol
from optlab.lab.measure.clock import Stopwatch
from optlab.lab.measure.devices import available_devices
from optlab.lab.measure.memory import memory_meter
from optlab.optimizers import registry, unsupported

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")

CUDA = torch.device("cuda")
EPOCHS, SIZE, N, D = 20, 5, 24, 3


def problem_of(dtype, weighted=False):
    # Singular values from 1 to 1 / 2: nobody's default settings have an excuse.
    data = ol.datasets.synthetic(N, D, condition=2, dtype=dtype, seed=1).standardized()
    weight = torch.arange(1.0, N + 1) if weighted else None
    return ol.LinearRegression(data.X, data.y, sample_weight=weight)


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in registry.items()])
def test_cuda_has_the_cpus_start_and_answer(cls, dtype, weighted):
    problem = problem_of(dtype, weighted)
    if reason := unsupported(cls(), problem.to(CUDA, problem.X.dtype), CUDA):
        assert "cuda" in reason.lower()
        pytest.skip(reason)
    one, other = (
        ol.minimize(problem, cls(), device=device, epochs=EPOCHS, batch_size=SIZE, seed=3)
        for device in ("cpu", "cuda")
    )
    assert (one.status, one.epochs) == (other.status, other.epochs)
    assert one.trace["loss"].iloc[0] == other.trace["loss"].iloc[0]
    # A step moves by the rate times a gradient of SIZE products: (SIZE + D + 8) eps of it is lost,
    # as is an eps of the parameters; stable steps do not enlarge what is lost. A direct solve at
    # condition 2 loses some n eps.
    eps = torch.finfo(problem.X.dtype).eps
    steps = EPOCHS * -(-N // SIZE) if cls.uses_batches else 1
    size = max(value.abs().max().item() for value in one.parameters.values())
    scale = size + problem.y.abs().max().item()
    for name, value in one.parameters.items():
        gap = (value - other.parameters[name]).abs().max().item()
        assert gap <= (steps * (SIZE + D + 8) + 10 * N) * eps * scale


@pytest.mark.parametrize("size", [1, 5, 24])
def test_cuda_batches_are_the_cpus(size):
    X, y = torch.rand(N, D), torch.arange(N)
    orders = [
        [
            [batch.y.tolist() for batch in epoch]
            for epoch in islice(
                ol.Batches(X.to(device), y.to(device), size, torch.Generator().manual_seed(4)), 3
            )
        ]
        for device in ("cpu", "cuda")
    ]
    assert orders[0] == orders[1]


def test_the_clock_waits_for_the_device():
    # A product of two matrices of 4096 rows takes 1.4e11 operations, twenty of them 2.7e12: no GPU
    # does 1e16 float32 operations a second, so that less than 0.27 ms were read without waiting.
    A = torch.rand(4096, 4096, device="cuda")
    clock, launched = Stopwatch(CUDA), Stopwatch(torch.device("cpu"))
    clock.start()
    launched.start()
    for _ in range(20):
        A @ A
    launched.stop()
    assert clock.stop() > 2.7e12 / 1e16
    assert clock.seconds > launched.seconds


def test_peak_memory_is_counted_to_the_byte():
    meter = memory_meter(CUDA)
    assert meter.start()
    kept = torch.empty(1 << 20, dtype=torch.uint8, device="cuda")
    thrown = torch.empty(2 << 20, dtype=torch.uint8, device="cuda")
    del thrown
    assert meter.stop() == 3 << 20
    assert kept.is_cuda


def test_the_device_is_described():
    assert available_devices()["cuda:0"] == torch.cuda.get_device_name(0)


@pytest.mark.parametrize("isolate", [False, True], ids=["here", "isolated"])
def test_an_experiment_on_both_devices_makes_its_tables_and_page(tmp_path, isolate):
    experiment = ol.Experiment(
        problems=problem_of("float64"),
        optimizers=[ol.ManualSGD(0.01), ol.Lstsq(), ol.QR(), ol.RefinedLstsq()],
        batch_sizes=[1, "full"], devices=["cpu", "cuda"], seeds=[1], repeats=3, epochs=5,
    )  # fmt: skip
    execution = ol.Execution(isolate=isolate, measure_memory=True)
    results = experiment.run(execution=execution, store=tmp_path / "both.db")
    trials = results.trials
    assert set(trials["status"]) == {"finished"}
    assert (trials["seconds"] > 0).all()
    assert trials["peak_bytes"].notna().all()
    assert (trials.loc[trials["device"] == "cuda", "transfer_seconds"] > 0).all()
    starts = results.traces[results.traces["epoch"] == 0]
    assert starts["loss"].nunique() == 1
    assert math.isclose(*trials.groupby("device")["loss"].min(), rel_tol=1e-12)
    page = tmp_path / "page.html"
    results.report(page)
    text = page.read_text(encoding="utf-8")
    assert torch.cuda.get_device_name(0) in text


@pytest.mark.parametrize("size", [1, 7, 100, "full"])
@pytest.mark.parametrize(
    "rule", [ol.SGD(0.01), ol.Adam(0.01), ol.HeavyBall(ol.schedules.Cosine(0.01, 3))], ids=repr
)
def test_a_captured_rule_makes_the_steps_of_the_rule(rule, size):
    data = ol.datasets.synthetic(100, D, condition=2, seed=1).standardized()
    problem = ol.LinearRegression.from_dataset(data)
    eager, captured = (
        ol.minimize(problem, optimizer, device="cuda", epochs=3, batch_size=size, seed=3)
        for optimizer in (rule, ol.CUDAGraph(rule))
    )
    # The same kernels on the same numbers, but for the bias corrections of Adam, some eps.
    for name, value in eager.parameters.items():
        torch.testing.assert_close(captured.parameters[name], value, rtol=1e-12, atol=1e-12)
    assert math.isclose(
        captured.trace["batch_loss"].iloc[-1], eager.trace["batch_loss"].iloc[-1], rel_tol=1e-12
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("problem", [ol.Quadratic(), ol.NoisyQuadratic(rows=256)], ids=repr)
def test_a_captured_rule_descends_a_quadratic(problem, dtype):
    eager, captured = (
        ol.minimize(problem, rule, device="cuda", dtype=dtype, epochs=3, batch_size=64, seed=3)
        for rule in (ol.SGD(0.1), ol.CUDAGraph(ol.SGD(0.1)))
    )
    # The same kernels on the same numbers; a mean over 64 rows may be summed in another order.
    lost = 64 * torch.finfo(getattr(torch, dtype)).eps
    torch.testing.assert_close(
        captured.parameters["x"], eager.parameters["x"], rtol=lost, atol=lost
    )


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("size", [1, 300, 2999, "full"])
def test_fused_sgd_makes_the_steps_of_torchs_in_one_program_or_many(size, weighted):
    n, settings, epochs = 3000, (0.01, 0.9, True, 0.1), 2
    data = ol.datasets.synthetic(n, 100, condition=2, seed=1).standardized()
    weight = torch.arange(1.0, n + 1) if weighted else None
    problem = ol.LinearRegression(data.X, data.y, l2=0.1, sample_weight=weight)
    torchs, fused = (
        ol.minimize(problem, optimizer, device="cuda", epochs=epochs, batch_size=size, seed=3)
        for optimizer in (ol.TorchSGD(*settings), ol.FusedSGD(*settings))
    )
    assert fused.trace["loss"].iloc[0] == torchs.trace["loss"].iloc[0]
    # Sums of up to n products in another order, some n eps, at each of the steps.
    steps = epochs * (1 if size == "full" else -(-n // size))
    lost = 10 * (steps + n) * torch.finfo(torch.float64).eps
    for name, value in torchs.parameters.items():
        torch.testing.assert_close(fused.parameters[name], value, rtol=lost, atol=lost)
    losses = (solution.trace["batch_loss"].iloc[-1] for solution in (fused, torchs))
    assert math.isclose(*losses, rel_tol=lost)
