"""A step of gradient descent by device, method and batch size; sweeps; orders.

Methods take turns in one run; medians over rounds, in microseconds a step. All are warm: compiling,
capturing and moving data are done before, and compiling is reported apart. Rows are visited in a
random order that is drawn before, so that it is the steps that are measured; drawing it has a table
of its own. Long epochs are cut short: a step costs the same at their end.

    python -m benchmarks.device_speed [--devices cpu,cuda] [--shapes 1000x20,...] [--rounds 5]
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np
import torch

import optlab as ol
from benchmarks.interleaved import interleaved
from optlab.optimizers.fused.dataloader_order import draw_orders
from optlab.optimizers.fused.fused_run import FusedRun
from optlab.optimizers.fused.linear_loss import LinearLoss
from optlab.problems import Batch

RATE = 1e-4
METHODS: dict[str, tuple[ol.Optimizer, int]] = {  # and the steps of an epoch that are made
    "autograd (ManualSGD)": (ol.ManualSGD(RATE), 100),
    "closed form (AnalyticSGD)": (ol.AnalyticSGD(RATE), 400),
    "CUDA graph of SGD": (ol.CUDAGraph(ol.SGD(RATE)), 1000),
    "compiled (FusedSGD)": (ol.FusedSGD(RATE), 20_000),
}


FORMS: dict[str, ol.Optimizer] = {
    "gels or gelsd (Lstsq)": ol.Lstsq(),
    "QR": ol.QR(),
    "Cholesky (NormalEquations)": ol.NormalEquations(),
    "refined (RefinedLstsq)": ol.RefinedLstsq(),
}


class DrawnBatches(ol.Batches):
    """Mini-batches in an order that is drawn once, at most so many a pass."""

    def __init__(self, data: Batch, size: int | str, order: torch.Tensor, most: int) -> None:
        super().__init__(data.X, data.y, size, torch.Generator())
        self.order = order.to(data.y.device)[None]
        self.steps = min(self.steps, most)
        self.samples = min(self.samples, self.steps * self.rows_a_step)

    def orders(self, epochs: int) -> torch.Tensor | None:
        """Return the one order as often as needed."""
        return self.order.repeat(epochs, 1) if self.is_shuffled else None

    def _epoch(self) -> Iterator[Batch]:
        if not self.is_shuffled:
            yield from super()._epoch()
            return
        for rows in self.order[0, : self.samples].split(self._gathered):
            X, y = self.X.index_select(0, rows), self.y.index_select(0, rows)
            yield from map(Batch, X.split(self.rows_a_step), y.split(self.rows_a_step))


def synchronize(device: torch.device) -> None:
    """Wait for a device."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def passes(
    optimizer: ol.Optimizer, problem: ol.LinearRegression, batches: DrawnBatches, seconds: float
) -> tuple[Callable[[], None], int, float]:
    """Return a function that makes passes for about so long, its steps, and the first pass's time.

    What is timed ends where the device has ended.
    """
    start = problem.start(torch.Generator().manual_seed(1))
    device = batches.y.device
    began = time.perf_counter()
    iterates = optimizer.iterates(problem, batches, start)
    next(iterates)
    synchronize(device)
    first = time.perf_counter() - began
    began = time.perf_counter()
    next(iterates)
    synchronize(device)
    each = time.perf_counter() - began
    epochs = max(1, min(10_000, round(seconds / each)))
    batches.looks = [epochs]

    def run() -> None:
        # The first passes may have let the start itself require gradients.
        made, own = 0, {name: value.detach().clone() for name, value in start.items()}
        iterates = optimizer.iterates(problem, batches, own)
        while made < epochs:
            made += next(iterates).epochs
        synchronize(device)

    return run, epochs * batches.steps, first


def step_table(n: int, d: int, devices: list[str], rounds: int, seconds: float) -> None:
    """Print microseconds a step, a row each batch size."""
    g = torch.Generator().manual_seed(0)
    X = torch.randn(n, d, generator=g)
    base = ol.LinearRegression(X, X.sum(1) + torch.randn(n, generator=g), name="random")
    order = torch.randperm(n, generator=g, dtype=torch.int32)
    local = {device: base.to(device, torch.float32) for device in devices}
    heads = [(m, d) for d in devices for m in METHODS if d == "cuda" or "CUDA" not in m]
    print(f"\nn = {n}, d = {d}, float32, microseconds a step (spread: IQR / median)\n")
    print("| batch size | " + " | ".join(f"{m}, {d}" for m, d in heads) + " |")
    print("|---" * (len(heads) + 1) + "|")
    for size in [b for b in (1, 32, 256, 4096, 65536) if b < n] + ["full"]:
        runs, steps = {}, {}
        for method, device in heads:
            optimizer, most = METHODS[method]
            if size == "full":
                most = 1
            batches = DrawnBatches(local[device].data, size, order, most)
            name = f"{method}, {device}"
            runs[name], steps[name], _ = passes(optimizer, local[device], batches, seconds)
        taken = interleaved(runs, rounds)
        cells = []
        for name, values in taken.items():
            middle, quarter = median(values), np.percentile(values, [25, 75])
            spread = (quarter[1] - quarter[0]) / middle
            cells.append(f"{middle / steps[name] * 1e6:.3g} ({spread:.0%})")
        print(f"| {size} | " + " | ".join(cells) + " |", flush=True)


def sweep_table(device: str, rounds: int) -> None:
    """Print the time of sweeps over learning rates: all trials in one launch."""
    from optlab.optimizers.fused import triton_descent  # noqa: PLC0415 - the extra gpu

    tutorial = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    g = torch.Generator().manual_seed(0)
    X = torch.randn(10_000, 20, generator=g)
    larger = ol.LinearRegression(X, X.sum(1) + torch.randn(len(X), generator=g), name="random")
    print(f"\nSweeps of learning rates on {device}, float32, one launch each\n")
    print("| problem | batch size | steps a trial | trials | ms | ns a trial and step |")
    print("|---|---|---|---|---|---|")
    for problem, size, epochs in ((tutorial, 1, 2000), (larger, 1, 1), (larger, 32, 10)):
        local = problem.to(device, torch.float32)
        n, runs = len(local.y), {}
        orders = draw_orders(torch.Generator().manual_seed(1), n, epochs).to(device)
        for trials in (1, 100, 1000, 10_000):
            theta = torch.zeros(trials, local.X.shape[1] + 1, device=device)
            rates = torch.logspace(-5, -2, trials, device=device)
            loss = LinearLoss.of(local)
            assert loss is not None
            run = FusedRun(local.data, loss, theta, rates, torch.zeros_like(rates))
            advance = triton_descent.loop(run, size, n)

            def go(advance=advance, orders=orders, epochs=epochs) -> None:
                advance(orders, epochs)
                torch.cuda.synchronize()

            runs[trials] = go
        steps = epochs * math.ceil(n / size)
        for trials, values in interleaved({str(k): v for k, v in runs.items()}, rounds).items():
            middle = median(values)
            each = middle / steps / int(trials) * 1e9
            print(f"| {problem.name}, n = {n}, d = {local.X.shape[1]} | {size} | {steps} | {trials}"
                  f" | {middle * 1e3:.3g} | {each:.3g} |", flush=True)  # fmt: skip


def order_table(rounds: int) -> None:
    """Print the time to draw the order of an epoch as a DataLoader does."""
    print("\nAn epoch's order as a DataLoader draws it, on the CPU, milliseconds\n")
    print("| rows | epochs at once | compiled | torch's calls | ratio |\n|---|---|---|---|---|")
    from optlab.optimizers.fused import dataloader_order  # noqa: PLC0415

    for n, epochs in ((10, 2000), (1000, 100), (100_000, 1), (10_000_000, 1)):
        g = torch.Generator().manual_seed(0)
        taken = interleaved(
            {
                "compiled": lambda: draw_orders(g, n, epochs),  # noqa: B023 - run at once
                "torch": lambda: dataloader_order._draw_by_torch(g, n, epochs),  # noqa: B023
            },
            rounds,
        )
        ours, theirs = (median(taken[k]) / epochs * 1e3 for k in ("compiled", "torch"))
        print(f"| {n} | {epochs} | {ours:.3g} | {theirs:.3g} | {theirs / ours:.3g} |", flush=True)


def compile_table(devices: list[str]) -> None:
    """Print the seconds of the first pass in this process: compiling, or loading what was kept."""
    tutorial = ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized())
    for device in devices:
        local = tutorial.to(device, torch.float32)
        batches = DrawnBatches(local.data, 1, torch.randperm(10), 10)
        began = time.perf_counter()
        next(ol.FusedSGD(RATE).iterates(local, batches, local.start(torch.Generator())))
        synchronize(torch.device(device))
        print(f"first pass of FusedSGD on {device}: {time.perf_counter() - began:.2f} s")


def closed_form_table(devices: list[str]) -> None:
    """Print the seconds of the closed forms by device, float64, as the lab measures them."""
    print(
        "\nClosed forms, float64, milliseconds; in brackets the relative error of the parameters\n"
    )
    print("| problem | " + " | ".join(f"{m}, {d}" for m in FORMS for d in devices) + " |")
    print("|---" * (len(FORMS) * len(devices) + 1) + "|")
    for n, d in ((100_000, 100), (1_000_000, 50)):
        g = torch.Generator().manual_seed(0)
        X = torch.randn(n, d, generator=g, dtype=torch.float64)
        noise = torch.randn(n, generator=g, dtype=torch.float64)
        problem = ol.LinearRegression(X, X.sum(1) + noise, name=f"{n} x {d}")
        trials = ol.compare(problem, FORMS, devices=devices, repeats=5).trials
        groups = trials.groupby(["optimizer", "device"])
        seconds, error = groups["seconds"].median() * 1e3, groups["parameter_error"].median()
        cells = [
            f"{seconds[m, device]:.3g} ({error[m, device]:.0e})"
            for m in FORMS
            for device in devices
        ]
        print(f"| {problem.name} | " + " | ".join(cells) + " |", flush=True)


def describe(devices: list[str]) -> None:
    """Print the machine's description."""
    words = (
        Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    )
    model = next((x.split(":")[1].strip() for x in words.splitlines() if "model name" in x), "CPU")
    print(f"{model}, {torch.get_num_threads()} threads of torch, torch {torch.__version__}")
    if "cuda" in devices:
        import triton  # noqa: PLC0415 - the extra gpu

        here, there = torch.empty(2, 1 << 30, dtype=torch.uint8, device="cuda")
        seconds = interleaved({"copy": lambda: (there.copy_(here), synchronize(here.device))}, 5)
        rate = 2 * len(here) / median(seconds["copy"]) / 1e12
        print(f"a copy within the GPU's memory moves {rate:.2f} TB/s, reads and writes counted")

        gpu, cuda = torch.cuda.get_device_name(0), torch.version.cuda
        print(f"{gpu}, CUDA {cuda}, triton {triton.__version__}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", default="cpu,cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--shapes", default="1000x20,100000x20,10000000x20,100000x100")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--milliseconds", type=float, default=20, help="of one timed piece")
    arguments = parser.parse_args()
    devices = arguments.devices.split(",")
    describe(devices)
    compile_table(devices)
    for shape in arguments.shapes.split(","):
        n, d = map(int, shape.split("x"))
        step_table(n, d, devices, arguments.rounds, arguments.milliseconds / 1e3)
    if "cuda" in devices:
        sweep_table("cuda", arguments.rounds)
    order_table(arguments.rounds)
    closed_form_table(devices)


if __name__ == "__main__":
    main()
