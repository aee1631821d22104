"""Problems of torch modules: against LinearRegression, a plain torch loop, and bad input."""

import copy
import pickle
from itertools import islice

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import optlab as ol
from optlab.lab.keys.object_hash import object_hash
from optlab.lab.trial.best_known import ReferenceLoss
from optlab.lab.trial.check_stop_at import check_stop_at
from optlab.optimizers import registry, unsupported
from optlab.problems import module_evaluation, problem_dtype

BITS = {"rtol": 0, "atol": 0, "equal_nan": True}
TORCH_ADAM = ol.TorchOptimizer(torch.optim.Adam, lr=0.01)


class Line(nn.Module):
    """LinearRegression's model and start, as a module of a person's own."""

    def __init__(self, d, dtype):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(d, dtype=dtype))
        self.bias = nn.Parameter(torch.empty((), dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self):
        with torch.no_grad():
            self.weight.copy_(torch.randn(len(self.weight), dtype=torch.float32))
            self.bias.zero_()

    def forward(self, X):
        return X @ self.weight + self.bias


def network(dtype=torch.float32):
    """Images of 4 x 4 in three classes, by a network with batch norm and dropout."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.2), nn.Flatten(),
        nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.4), nn.Linear(8, 3),
    ).to(dtype)  # fmt: skip


def images(n=43, seed=0):
    draw = np.random.default_rng(seed)
    y = draw.integers(0, 3, n)
    return (draw.normal(size=(n, 1, 4, 4)) + y[:, None, None, None]).astype(np.float32), y


def accuracy(output, y):
    return (output.argmax(1) == y).double().mean()


def images_problem(**options):
    X, y = images()
    return ol.ModuleProblem(network(), nn.CrossEntropyLoss(), X, y, **options)


def iterates(problem, optimizer, epochs, *, batch_size=8, seed=3, look=None):
    """The parameters and buffers after each epoch of a run on the problem's own copy."""
    local = problem.to("cpu", problem.dtype, copy=True)
    generator = torch.Generator().manual_seed(seed)
    start = local.begin(generator)
    batches = ol.Batches(local.data.X, local.data.y, batch_size, generator)
    points = []
    for iterate in islice(optimizer.iterates(local, batches, start), epochs):
        now = iterate.parameters | local.buffers()
        points.append({name: value.detach().clone() for name, value in now.items()})
        if look:
            look(now)
    return points


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], **BITS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("d", "batch_size"), [(1, 1), (3, 5), (20, "full")])
def test_a_linear_module_is_to_the_bit_linear_regression(dtype, d, batch_size):
    data = ol.datasets.synthetic(37, d, condition=3, seed=1, dtype=str(dtype)[6:])
    line = ol.LinearRegression.from_dataset(data)
    module = ol.ModuleProblem(Line(d, dtype), nn.MSELoss(), line.X, line.y)
    generator = torch.Generator().manual_seed(3)
    batches = ol.Batches(line.X, line.y, batch_size, generator)
    descent = ol.ManualSGD(0.05).iterates(line, batches, line.start(generator))
    expected = [
        {name: value.detach().clone() for name, value in iterate.parameters.items()}
        for iterate in islice(descent, 20)
    ]
    found = iterates(module, ol.ManualSGD(0.05), 20, batch_size=batch_size)
    for ours, theirs in zip(found, expected, strict=True):
        assert_same_bits(ours, theirs)


def plain_loop(epochs, dtype, seed=3):
    """Train as a plain script does: one seed for start and order, one for dropout."""
    X, y = images()
    X, y = torch.from_numpy(X).to(dtype), torch.from_numpy(y)
    torch.manual_seed(seed)
    model = network().to(dtype).train()
    state = torch.get_rng_state()
    dropout_seed = torch.empty((), dtype=torch.int64).random_().item()
    torch.set_rng_state(state)
    loader = DataLoader(TensorDataset(X, y), 8, shuffle=True)
    order = [list(loader) for _ in range(epochs)]
    torch.manual_seed(dropout_seed)
    adam = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    points = []
    for batches in order:
        for inputs, classes in batches:
            adam.zero_grad()
            nn.functional.cross_entropy(model(inputs), classes).backward()
            adam.step()
        points.append({name: value.clone() for name, value in model.state_dict().items()})
    return points, model


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_and_batch_norm_give_the_numbers_of_a_plain_torch_loop(dtype):
    with torch.random.fork_rng():
        expected, model = plain_loop(6, dtype)
    problem = images_problem(measures={"accuracy": accuracy}).to("cpu", dtype)
    adamw = ol.TorchOptimizer(torch.optim.AdamW, lr=0.01, weight_decay=0.1)
    found = iterates(problem, adamw, 6)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        assert_same_bits(ours, theirs)
    assert found[-1]["1.num_batches_tracked"] == 6 * 6  # 43 rows are 6 batches of at most 8

    # Judged as the plain script would: in eval mode, by the running statistics.
    X, y = (torch.from_numpy(part) for part in images())
    output = model.double().eval()(X.double())
    model.zero_grad()
    loss = nn.functional.cross_entropy(output, y)
    loss.backward()
    slopes = torch.cat([value.grad.reshape(-1) for value in model.parameters()])
    judged = problem.evaluate(found[-1])
    # The same operations in the same order, but for sums of squares: some n eps.
    assert judged.loss == pytest.approx(loss.item(), rel=1e-14)
    assert judged.gradient_norm == pytest.approx(slopes.norm().item(), rel=1e-12)
    assert judged.more == {"accuracy": accuracy(output, y).item()}


def test_recording_changes_no_bit():
    problem = images_problem(validation=0.25, measures={"accuracy": accuracy})
    adam = ol.TorchOptimizer(torch.optim.Adam, lr=0.01)

    def look(point):
        problem.evaluate(point)
        torch.rand(5)

    looked = iterates(problem, adam, 5, look=look)
    torch.manual_seed(99)
    assert_same_bits(looked[-1], iterates(problem, adam, 5)[-1])


def test_runs_beside_each_other_share_nothing_and_the_module_given_stays_as_it_is():
    module = network()
    module[6].eval()
    before, modes = copy.deepcopy(module.state_dict()), [part.training for part in module]
    X, y = images()
    problem = ol.ModuleProblem(module, nn.CrossEntropyLoss(), X, y)
    alone = iterates(problem, ol.ManualSGD(0.1), 4)
    state = torch.get_rng_state()
    # One run begins and ends inside of each epoch of another.
    sgd = ol.ManualSGD(0.1)
    outer = iterates(problem, sgd, 4, look=lambda _: iterates(problem, sgd, 2, seed=8))
    assert torch.equal(torch.get_rng_state(), state)
    assert_same_bits(outer[-1], alone[-1])
    assert_same_bits(module.state_dict(), before)
    assert [part.training for part in module] == modes
    assert all(value.grad is None for value in module.parameters())


def test_parts_in_eval_mode_stay_in_it():
    X, y = images()
    module = network()
    for part in module[:4]:  # a pretrained network's first layers, which keep their statistics
        part.eval()
    end = iterates(ol.ModuleProblem(module, nn.CrossEntropyLoss(), X, y), ol.ManualSGD(0.1), 2)[-1]
    given = dict(module.named_buffers())
    assert_same_bits(
        {n: v for n, v in end.items() if n in given and n < "2"},
        {n: v for n, v in given.items() if n < "2"},
    )
    assert end["6.num_batches_tracked"] == 12
    # As a whole in eval mode, it is trained as it is judged, without a mask.
    problem = ol.ModuleProblem(module.eval(), nn.CrossEntropyLoss(), X, y)
    problem = problem.to("cpu", torch.float64)
    point = problem.begin(torch.Generator().manual_seed(1))
    assert problem.loss(point).item() == pytest.approx(problem.evaluate(point).loss, rel=1e-13)


def test_begin_begins_a_run_again():
    problem = images_problem()
    start = problem.begin(torch.Generator().manual_seed(1))
    first = [problem.loss(start).item() for _ in range(3)]
    assert len(set(first)) == 3  # each with other dropout masks
    assert problem.buffers()["1.num_batches_tracked"] == 3
    again = problem.begin(torch.Generator().manual_seed(1))
    assert problem.buffers()["1.num_batches_tracked"] == 0
    assert [problem.loss(again).item() for _ in range(3)] == first


TORCH_LBFGS = ol.TorchOptimizer(torch.optim.LBFGS)
EXTRA = {"Newton", "LBFGS", "SVRG", "FISTA", "ProximalGradient", "BarzilaiBorwein",
         "ScipyMinimize", "TorchLBFGS", "TorchOptimizer"}  # fmt: skip


def test_an_optimizer_updates_the_buffers_once_a_step_or_says_that_it_cannot_run():
    problem, plain = images_problem(), ol.ModuleProblem(nn.Linear(2, 1), nn.MSELoss(), X, Y)
    declined, ran = set(), 0
    for optimizer in (*(cls() for _, cls in registry.items()), TORCH_ADAM, TORCH_LBFGS):
        name = type(optimizer).__name__
        if unsupported(optimizer, plain, torch.device("cpu")):  # of any network
            continue
        if reason := unsupported(optimizer, problem, torch.device("cpu")):
            assert "may update its buffers (6 tensors, such as 1.running_mean)" in reason
            declined.add(name)
            continue
        last = iterates(problem, optimizer, 2)[-1]
        assert last["1.num_batches_tracked"] == (12 if optimizer.uses_batches else 2), name
        ran += 1
    assert declined == EXTRA
    assert ran > 5


def test_a_cuda_graph_would_replay_neither_the_buffers_nor_the_masks():
    for module in (network(), nn.Sequential(nn.Flatten(), nn.Linear(16, 3))):
        problem = ol.ModuleProblem(module, nn.CrossEntropyLoss(), *images())
        reason = unsupported(ol.CUDAGraph(), problem, torch.device("cuda"))
        assert "the loss of ModuleProblem updates buffers and random streams" in reason
    assert unsupported(ol.CUDAGraph(), ol.Quadratic(), torch.device("cuda")) is None


def test_no_query_touches_the_buffers_and_the_stream_of_a_run():
    """Whoever asks a problem for something asks the caller's own, whose run may have begun."""
    problem, twin = images_problem(validation=0.2), images_problem(validation=0.2)
    point = problem.begin(torch.Generator().manual_seed(1))
    assert_same_bits(twin.begin(torch.Generator().manual_seed(1)), point)
    assert problem.loss(point) == twin.loss(point)
    problem.evaluate(problem.start(torch.Generator().manual_seed(8)))
    assert problem_dtype(problem) == torch.float32
    check_stop_at(ol.StopAt("validation_loss", value=0.1), [problem])
    for optimizer in (*(cls() for _, cls in registry.items()), TORCH_ADAM):
        unsupported(optimizer, problem, torch.device("cpu"))
    assert np.isnan(ReferenceLoss.of(problem).loss)
    ol.minimize(problem, ol.ManualSGD(0.1), epochs=1, start=point)
    assert_same_bits(problem.buffers(), twin.buffers())
    assert problem.loss(point) == twin.loss(point)


def test_initial_parameters_are_drawn_by_the_trial_or_those_given():
    module, (X, y) = network(), images()
    drawn = ol.ModuleProblem(module, nn.CrossEntropyLoss(), X, y)
    given = ol.ModuleProblem(module, nn.CrossEntropyLoss(), X, y, initial="given")
    one, other = (drawn.start(torch.Generator().manual_seed(seed)) for seed in (1, 2))
    assert not torch.equal(one["0.weight"], other["0.weight"])
    assert_same_bits(given.start(torch.Generator()), dict(module.named_parameters()))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        assert_same_bits(one, dict(network().named_parameters()))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(3, 2), nn.Bilinear(2, 3, 2), nn.Conv1d(2, 2, 2), nn.ConvTranspose2d(2, 2, 2),
        nn.BatchNorm1d(3), nn.LayerNorm(3), nn.GroupNorm(1, 3), nn.InstanceNorm1d(3, affine=True),
        nn.Embedding(4, 2), nn.EmbeddingBag(4, 2), nn.LSTM(2, 3), nn.GRUCell(2, 3), nn.PReLU(),
        nn.MultiheadAttention(4, 2), nn.TransformerEncoderLayer(4, 2, 8), nn.RMSNorm(3),
    ],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_each_of_torchs_layers_is_drawn_anew(layer):
    from optlab.problems.module_start import redraw

    redraw(layer, torch.Generator().manual_seed(0))
    assert all(value.isfinite().all() for value in layer.parameters())


def test_frozen_parameters_stay_and_tokens_are_whole_numbers():
    module = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2))
    table = torch.linspace(-1, 1, 15).reshape(5, 3).square()
    module[0].weight = nn.Parameter(table, requires_grad=False)
    X, y = np.array([[0, 4], [1, 2], [3, 3]], dtype=np.int32), np.array([0, 1, 1], dtype=np.int8)
    problem = ol.ModuleProblem(module, nn.CrossEntropyLoss(), X, y)
    assert (problem.data.X.dtype, problem.data.y.dtype) == (torch.int64, torch.int64)
    double = problem.to("cpu", torch.float64)
    end = iterates(double, ol.ManualSGD(0.5), 300, batch_size=2)[-1]
    assert end.keys() == {"2.weight", "2.bias"}
    assert double.evaluate(end).loss < 0.3
    # Nothing in it draws or normalises: what is trained on is what is judged, frozen rows too.
    double.begin(torch.Generator().manual_seed(4))
    assert double.loss(end).item() == pytest.approx(double.evaluate(end).loss, rel=1e-14)


@pytest.mark.parametrize("rows", [5, 8, 100])
def test_judging_by_parts_of_the_rows_is_judging_all(rows, monkeypatch):
    problem = images_problem(measures={"accuracy": accuracy})
    point = problem.start(torch.Generator().manual_seed(0))
    whole = problem.evaluate(point)
    monkeypatch.setattr(module_evaluation, "ROWS", rows)
    parts = problem.evaluate(point)
    # Sums in another order: off by some n eps, 43 * 2.2e-16, of numbers of the same size.
    assert parts.loss == pytest.approx(whole.loss, rel=1e-13)
    assert parts.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-12)
    assert parts.more == whole.more


def test_held_out_rows_are_never_trained_on_and_always_the_same():
    X, _ = images()
    problem = images_problem(validation=0.3, measures={"accuracy": accuracy})
    again = images_problem(validation=0.3)
    held, kept = problem.validation.X, problem.data.X
    assert torch.equal(held, again.validation.X)
    assert (len(held), len(kept)) == (13, 30)
    rows = {row.numpy().tobytes() for row in torch.cat([held, kept])}
    assert rows == {row.tobytes() for row in X}
    point = problem.start(torch.Generator().manual_seed(0))
    more = problem.evaluate(point).more
    assert list(more) == ["accuracy", "validation_loss", "validation_accuracy"]
    assert tuple(more) == problem.measures
    # The loss on the held-out rows is that of the problem that has them as its data.
    other = ol.ModuleProblem(network(), nn.CrossEntropyLoss(), held, problem.validation.y)
    assert other.evaluate(point).loss == more["validation_loss"]
    pair = images_problem(validation=(held, problem.validation.y))
    assert pair.evaluate(point).more["validation_loss"] == more["validation_loss"]


def test_a_loss_with_weights_of_classes_is_judged_over_all_rows(monkeypatch):
    monkeypatch.setattr(module_evaluation, "ROWS", 7)
    X, y = images()
    weights = torch.tensor([1.0, 5.0, 0.5])
    problem = ol.ModuleProblem(network(), nn.CrossEntropyLoss(weight=weights), X, y)
    point = problem.start(torch.Generator().manual_seed(0))
    model = network().double().eval()
    model.load_state_dict(point | problem.buffers())
    output = model(torch.from_numpy(X).double())
    loss = nn.functional.cross_entropy(output, torch.from_numpy(y), weights.double())
    slopes = torch.autograd.grad(loss, list(model.parameters()))
    judged = problem.evaluate(point)
    assert judged.loss == pytest.approx(loss.item(), rel=1e-13)
    norm = torch.cat([slope.reshape(-1) for slope in slopes]).norm().item()
    assert judged.gradient_norm == pytest.approx(norm, rel=1e-12)


def test_pickles_without_the_state_of_a_run():
    problem = images_problem(validation=0.2)
    start = problem.start(torch.Generator().manual_seed(0))
    problem.loss(start)
    again = pickle.loads(pickle.dumps(problem))
    assert again.buffers()["1.num_batches_tracked"] == 0
    assert again.evaluate(start) == problem.evaluate(start)


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, X):
        return self.scale * X


class Parts(nn.Module):
    """Two layers, and a function of the module that computes the output."""

    def __init__(self, forward):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 1)
        self.kept, self.bound = [self.a.weight], lambda X: self.a(X).tanh()
        self.function = forward

    def forward(self, X):
        return self.function(self, X)


LINE = nn.Linear(2, 1)
X, Y = np.ones((4, 2)), np.ones((4, 1))
MSE = nn.MSELoss()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((nn.ReLU(), MSE, X, Y), "module ReLU has no parameters to train"),
        ((nn.Linear, MSE, X, Y), r"did you mean Linear\(\)"),
        ((nn.LazyLinear(1), MSE, X, Y), "parameters of no shape yet .*call it once"),
        ((nn.Linear(2, 1).half(), MSE, X, Y), "all float32 or all float64, not float16"),
        ((LINE, MSE, X, np.ones(4)), r"output has the shape \(4, 1\) and y \(4,\)"),
        ((LINE, MSE, X, np.ones((3, 1))), "X has 4 rows and y has 3"),
        ((LINE, MSE, np.ones((4, 3)), Y), r"module Linear fails on X of shape \(4, 3\)"),
        ((LINE, MSE, np.ones((4, 2), dtype=int), Y), r"X of shape \(4, 2\) \(int64"),
        ((nn.Sequential(LINE, nn.Flatten(0, 1), nn.Unflatten(0, (2, 2))), MSE, X, Y),
         r"must have 4 rows, not the shape \(2, 2\)"),
        ((nn.LSTM(2, 1), MSE, X, Y), "must return a tensor, not tuple"),
        ((LINE, nn.MSELoss(reduction="none"), X, Y), r"of shape \(\), not 'a tensor of shape"),
        ((LINE, lambda output, y: 3.0, X, Y), r"one real number, a tensor of shape \(\), not 3.0"),
        ((LINE, nn.MSELoss(reduction="sum"), X, Y), "it is a sum: it must be a mean"),
        ((LINE, lambda o, y: (o - y).mean().log() * torch.nan, X, Y), "loss at the start is nan"),
        ((LINE, nn.CrossEntropyLoss(), X, np.full(4, 7)), "loss or a measure fails on an output"),
        ((LINE, "mse", X, Y), "loss must be a function of output and y, not 'mse'"),
        ((LINE, MSE, X * np.nan, Y), "X must be finite, but row 0"),
        ((LINE, MSE, X.astype(str), Y), "X must be an array of numbers"),
        ((LINE, MSE, X * 1j, Y), "X must be real numbers"),
        ((LINE, MSE, np.ones(()), Y), r"X must have rows, not the shape \(\)"),
        ((Parts(lambda own, X: own.b(own.bound(X))).double(), MSE, X, Y),
         r"does not depend on the trained parameters a\.weight, a\.bias: call their layers"),
        ((Parts(lambda own, X: own.b(X @ own.kept[0] + own.a.bias)), MSE, X, Y),
         r"the trained parameters a\.weight: .* freeze"),
        ((Parts(lambda own, X: own.b(X)), MSE, X, Y), r"trained parameters a\.weight, a\.bias"),
        ((LINE, lambda o, y: (o - y).detach().square().mean(), X, Y), r"parameters weight, bias"),
        ((Scale(), MSE, X, X), r"no reset_parameters\(\) of the module draws scale"),
    ],
)  # fmt: skip
def test_bad_input_says_what_and_where(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        ol.ModuleProblem(*arguments)


@pytest.mark.parametrize("training", [True, False])
def test_a_parameter_may_be_used_in_one_of_the_modes_alone(training):
    def forward(own, X):
        return own.b(own.a(X)) if own.training == training else own.b(X)

    problem = ol.ModuleProblem(Parts(forward), MSE, X, Y)
    assert list(problem.start(torch.Generator())) == ["a.weight", "a.bias", "b.weight", "b.bias"]
    frozen = Parts(lambda own, X: own.b(own.a(X)))
    frozen.a.requires_grad_(False)
    problem = ol.ModuleProblem(frozen, MSE, X, Y)
    assert list(problem.start(torch.Generator())) == ["b.weight", "b.bias"]


@pytest.mark.parametrize("validation", [0, 1, 1.5, -0.1, "half", True, np.nan])
def test_validation_outside_0_to_1_is_refused(validation):
    with pytest.raises(ValueError, match="validation must be a share of the rows"):
        ol.ModuleProblem(LINE, MSE, X, Y, validation=validation)


def test_validation_that_leaves_nothing_is_refused():
    with pytest.raises(ValueError, match="leaves 4 to train on and 0 held out"):
        ol.ModuleProblem(LINE, MSE, X, Y, validation=0.01)


@pytest.mark.parametrize("name", ["loss", "validation_loss", "two words", 3])
def test_a_measures_name_must_be_free(name):
    with pytest.raises(ValueError, match="a measure"):
        ol.ModuleProblem(LINE, MSE, X, Y, measures={name: accuracy})


def test_initial_must_be_one_of_two():
    with pytest.raises(ValueError, match="initial must be 'drawn' or 'given', not 'zero'"):
        ol.ModuleProblem(LINE, MSE, X, Y, initial="zero")
    assert ol.ModuleProblem(Scale(), MSE, X, X + 1, initial="given").dtype == torch.float32


def test_the_lab_judges_and_keeps_the_buffers_of_the_run():
    problem = images_problem(validation=0.2, measures={"accuracy": accuracy})
    adam = ol.TorchOptimizer(torch.optim.Adam, lr=0.01)
    often = ol.minimize(problem, adam, epochs=12, batch_size=8, seed=3, recorded_epochs=1)
    seldom = ol.minimize(problem, adam, epochs=12, batch_size=8, seed=3, recorded_epochs=[12])
    last = iterates(problem, adam, 12)[-1]
    assert_same_bits(often.parameters, seldom.parameters)
    assert_same_bits(often.parameters, last)
    judged = problem.evaluate(last)
    assert (often.loss, often.trace["gradient_norm"].iloc[-1]) == (judged.loss, judged[2])
    assert often.trace[[*problem.measures]].iloc[-1].to_dict() == judged.more


def test_an_experiment_is_judged_against_its_best_known_loss():
    problem = images_problem(validation=0.2, measures={"accuracy": accuracy})
    results = ol.compare(
        problem, [ol.ManualSGD(0.1), ol.Adam(0.02), ol.TorchOptimizer(torch.optim.Adam, lr=0.02)],
        batch_sizes=[8, "full"], epochs=6, seeds=[1], dtypes=["float32", "float64"],
    )  # fmt: skip
    assert set(results.trials["status"]) == {"finished"}
    least = results.traces["loss"].min()
    gaps = results.traces["suboptimality"]
    np.testing.assert_array_equal(gaps, results.traces["loss"] - least)
    assert (results.trials["validation_accuracy"] > 0.3).all()
    assert set(results.trials["reference"]) == {"best known"}
    (facts,) = results.problems.values()
    assert (facts.reference.kind, facts.reference.loss) == ("best known", least)


def test_the_same_network_is_known_again_in_a_store_and_another_is_not(tmp_path):
    def run(module):
        X, y = images()
        problem = ol.ModuleProblem(module, nn.CrossEntropyLoss(), X, y, name="images")
        problem.loss(problem.start(torch.Generator()))  # the state of a run is no part of it
        ol.compare(problem, ol.ManualSGD(0.1), epochs=2, store=tmp_path / "network.db")
        return len(ol.Results.load(tmp_path / "network.db").trials), object_hash(problem)

    module = network()
    first, again = run(module), run(copy.deepcopy(module))
    assert first == again
    with torch.no_grad():
        module[0].weight += 1
    assert run(module)[1] != first[1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_devices(dtype):
    """On a GPU too: the same seed the same bits, and nobody else's random numbers change."""
    problem, states = images_problem(), (torch.get_rng_state(), torch.cuda.get_rng_state())
    adam = ol.TorchOptimizer(torch.optim.Adam, lr=0.01)
    one, two = (
        ol.minimize(problem, adam, epochs=5, batch_size=8, seed=3, device="cuda", dtype=dtype)
        for _ in range(2)
    )
    assert_same_bits(one.parameters, two.parameters)
    assert one.parameters["1.num_batches_tracked"] == 30
    assert torch.equal(torch.get_rng_state(), states[0])
    assert torch.equal(torch.cuda.get_rng_state(), states[1])
    # Without dropout both devices make the same steps, but for rounding.
    plain = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Linear(8, 3))
    X, y = images()
    problem = ol.ModuleProblem(plain, nn.CrossEntropyLoss(), X, y)
    sgd = ol.ManualSGD(0.1)
    cpu, gpu = (
        ol.minimize(problem, sgd, epochs=3, batch_size=8, seed=3, device=device, dtype="float64")
        for device in ("cpu", "cuda")
    )
    for name, value in cpu.parameters.items():
        torch.testing.assert_close(gpu.parameters[name], value, rtol=1e-9, atol=1e-10)


class Tied(nn.Module):
    """An autoencoder whose two layers share their weight."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(4, 4), nn.Linear(4, 4)
        self.decode.weight = self.encode.weight

    def forward(self, X):
        return self.decode(self.encode(X).tanh())


class Last(nn.Module):
    """The last output of a recurrent layer, which keeps its weights in a list of its own too."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, X):
        return self.layer(X[:, None])[0][:, -1]


@pytest.mark.parametrize(
    ("module", "initial"),
    [
        (Tied(), "drawn"),
        (Last(nn.LSTM(4, 4, batch_first=True)), "drawn"),
        (Last(nn.GRU(4, 4, num_layers=2, batch_first=True)), "drawn"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), "given"),
        (nn.utils.parametrizations.orthogonal(nn.Linear(4, 4)), "given"),
        (nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4), nn.PReLU()), "drawn"),
    ],
    ids=["tied", "LSTM", "GRU", "weight norm", "orthogonal", "layer norm"],
)
def test_what_is_trained_on_is_what_is_judged(module, initial):
    """Without dropout and batch norm, train mode and eval mode are one function of parameters."""
    X = torch.linspace(-1, 1, 28).reshape(7, 4).double()
    problem = ol.ModuleProblem(module, nn.MSELoss(), X, X.square(), initial=initial)
    problem = problem.to("cpu", torch.float64)
    points = iterates(problem, ol.ManualSGD(0.05), 3, batch_size=3)
    trained = problem.start(torch.Generator().manual_seed(9))
    losses = []
    for point in points:
        leaves = {name: point[name].requires_grad_() for name in trained}
        loss = problem.loss(leaves)
        judged = problem.evaluate(point)
        slopes = torch.autograd.grad(loss, list(leaves.values()))
        norm = torch.cat([slope.reshape(-1) for slope in slopes]).norm().item()
        assert judged.loss == pytest.approx(loss.item(), rel=1e-13)
        assert judged.gradient_norm == pytest.approx(norm, rel=1e-11)
        losses.append(judged.loss)
    assert losses == sorted(losses, reverse=True)
