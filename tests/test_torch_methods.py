"""Optimizers and schedulers of torch against a direct loop with them: the same bits."""

import json
import pickle
from functools import partial
from itertools import islice

import pytest
import torch
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, TensorDataset

import optlab as ol
from optlab.app import cli
from optlab.lab import rounds
from optlab.optimizers import hyperparameters, registry, unsupported
from optlab.optimizers.adapters.torch_methods import torch_method

EPOCHS, SEED = 8, 5


class Halving(torch.optim.Optimizer):
    """A class of a person's own: steps along the gradient's sign, each half of the one before."""

    def __init__(self, params, lr=0.5):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure):
        with torch.enable_grad():
            loss = closure()
        for group in self.param_groups:
            for value in group["params"]:
                value.sub_(group["lr"] * value.grad.sign())
            group["lr"] /= 2
        return loss


@pytest.fixture(scope="module")
def problem():
    return ol.LinearRegression.from_dataset(ol.datasets.synthetic(23, 3, condition=3, seed=1))


def direct(problem, make, scheduler=None, per="epoch"):
    """Train as a plain script does, over a DataLoader, and return the parameters' way."""
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        weight = torch.randn(3, dtype=torch.float32).to(problem.X.dtype).requires_grad_()
        bias = torch.zeros((), dtype=problem.X.dtype, requires_grad=True)
        optimizer = make([weight, bias])
        schedule = scheduler(optimizer) if scheduler else None
        points, losses = [], []

        def advance():
            if isinstance(schedule, lr_scheduler.ReduceLROnPlateau):
                schedule.step(torch.stack(losses).mean().item())
                losses.clear()
            elif schedule:
                schedule.step()

        loader = DataLoader(TensorDataset(problem.X, problem.y), 5, shuffle=True)
        for _ in range(EPOCHS):
            for X, y in loader:

                def closure(X=X, y=y):
                    optimizer.zero_grad()
                    loss = (X @ weight + bias - y).pow(2).mean()
                    loss.backward()
                    return loss

                losses.append(optimizer.step(closure).detach())
                if per == "step":
                    advance()
            if per == "epoch":
                advance()
            points.append(torch.cat([weight.detach(), bias.detach()[None]]))
    return torch.stack(points)


def ours(problem, optimizer):
    generator = torch.Generator().manual_seed(SEED)
    start = problem.start(generator)
    batches = ol.Batches(problem.X, problem.y, 5, generator)
    points = []
    for iterate in islice(optimizer.iterates(problem, batches, start), EPOCHS):
        parts = iterate.parameters
        points.append(torch.cat([parts["weight"].detach(), parts["bias"].detach()[None]]))
    return torch.stack(points)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("torch-adam", {"lr": 0.1, "amsgrad": True}),
        ("torch-adamw", {"lr": 0.1, "weight_decay": 0.2}),
        ("torch-rmsprop", {"momentum": 0.5}),
        ("torch-adagrad", {"lr": 0.3}),
        ("torch-lbfgs", {"max_iter": 3, "line_search_fn": "strong_wolfe"}),
        ("torch.optim:NAdam", {"lr": 0.05}),
        ("torch.optim:Rprop", {}),
        ("torch.optim.adamax:Adamax", {"betas": (0.8, 0.9)}),
        (f"{__name__}:Halving", {"lr": 0.25}),
    ],
)
def test_each_method_gives_the_bits_of_a_direct_loop(name, options, problem):
    cls = registry.get(name)
    expected = direct(problem, partial(cls.torch_class, **options))
    assert torch.equal(ours(problem, cls(**options)), expected)
    adapted = ol.TorchOptimizer(cls.torch_class, **options)
    assert torch.equal(ours(problem, adapted), expected)


SCHEDULERS = {
    "step": partial(lr_scheduler.StepLR, step_size=2, gamma=0.5),
    "cosine": partial(lr_scheduler.CosineAnnealingLR, T_max=10),
    "one cycle": partial(lr_scheduler.OneCycleLR, max_lr=0.3, total_steps=100),
    "plateau": partial(lr_scheduler.ReduceLROnPlateau, patience=0, factor=0.3),
    "lambda": partial(lr_scheduler.LambdaLR, lr_lambda=lambda step: 1 / (1 + step)),
    "two in turn": lambda made: lr_scheduler.SequentialLR(
        made,
        [lr_scheduler.ConstantLR(made, 0.1), lr_scheduler.ExponentialLR(made, 0.8)],
        milestones=[3],
    ),
}


@pytest.mark.parametrize("per", ["epoch", "step"])
@pytest.mark.parametrize("name", SCHEDULERS)
def test_any_scheduler_gives_the_bits_of_a_direct_loop(name, per, problem):
    scheduler = SCHEDULERS[name]
    expected = direct(problem, partial(torch.optim.Adam, lr=0.1), scheduler, per)
    adam = ol.TorchOptimizer(torch.optim.Adam, lr=0.1, scheduler=scheduler, scheduler_per=per)
    assert torch.equal(ours(problem, adam), expected)
    constant = ours(problem, ol.TorchOptimizer(torch.optim.Adam, lr=0.1))
    assert not torch.equal(expected, constant)


def test_each_evaluation_of_a_step_is_counted(problem):
    lbfgs = ol.TorchOptimizer(torch.optim.LBFGS, max_iter=4)
    batches = ol.Batches(problem.X, problem.y, "full", torch.Generator())
    calls = []

    class Counted:
        data = problem.data

        def loss(self, parameters, batch):
            calls.append(len(batch.y))
            return problem.loss(parameters, batch)

    start = problem.start(torch.Generator().manual_seed(0))
    iterate = next(lbfgs.iterates(Counted(), batches, start))
    assert len(calls) > 2
    assert iterate.cost == ol.Cost(len(calls), len(calls))


@pytest.mark.parametrize("name", ["torch-adam", "torch-lbfgs", "torch.optim:Rprop"])
def test_methods_by_name_pickle_and_come_back_from_json(name):
    one = registry.get(name)(lr=0.25)
    again = type(one)(**json.loads(json.dumps(hyperparameters(one))))
    assert again == one
    assert pickle.loads(pickle.dumps(one)) == one
    assert registry.get(name) is type(one)


def test_the_documentation_says_where_the_class_is_and_its_arguments():
    torchs, own = registry.get("torch.optim:SGD"), torch_method(Halving)
    assert torchs.__doc__.startswith("Minimise by `torch.optim:SGD`, with torch's own")
    assert "\nlr, momentum, dampening, weight_decay, nesterov\n    As torch" in torchs.__doc__
    assert f"Minimise by `{Halving.__module__}:Halving`, with" in own.__doc__
    assert own.__name__ == "TorchHalving"


def test_a_class_that_does_not_take_the_parameters_is_declined_in_a_sentence(problem):
    cls = registry.get("torch.optim:Muon")
    reason = unsupported(cls(), problem, torch.device("cpu"))
    assert reason.startswith("torch's Muon does not take the parameters of LinearRegression: ")
    matrix = torch.nn.Linear(3, 2, bias=False)
    network = ol.ModuleProblem(matrix, torch.nn.MSELoss(), torch.eye(3), torch.ones(3, 2))
    assert ol.minimize(network, cls(lr=0.1), epochs=20).loss < 0.5


def test_hyperparameters_name_the_scheduler():
    scheduler = partial(lr_scheduler.StepLR, step_size=2)
    adam = ol.TorchOptimizer(torch.optim.Adam, lr=0.1, scheduler=scheduler)
    values = hyperparameters(adam)
    assert "StepLR" in values["scheduler"]
    assert "step_size=2" in values["scheduler"]
    assert "0x" not in json.dumps(values)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"scheduler": lr_scheduler.StepLR}, "makes no scheduler of Adam: .*step_size"),
        ({"scheduler": "cosine"}, "scheduler must be a function of torch's optimizer"),
        ({"scheduler": lambda made: made}, "must return a scheduler of torch.optim.lr_scheduler"),
        ({"scheduler_per": "batch"}, "scheduler_per must be 'epoch' or 'step', not 'batch'"),
    ],
)
def test_bad_schedulers_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        ol.TorchOptimizer(torch.optim.Adam, **options)


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("torch.optim:Nothing", "cannot be loaded"),
        ("no.such.module:Class", "cannot be loaded"),
        ("torch.optim.swa_utils:AveragedModel.forward", "is none, but"),
        ("torch.optim:Optimizer", "no default for defaults"),
    ],
)
def test_places_that_hold_no_optimizer_are_refused(place, sentence):
    with pytest.raises(ValueError, match=sentence):
        registry.get(place)


def test_the_command_line_takes_methods_by_name_and_place_with_a_learning_rate(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(rounds, "LEAST", 1e9)  # so that all trials are short, and repeated
    store = tmp_path / "methods.db"
    names = "torch-adam,torch.optim:NAdam,torch-lbfgs"
    arguments = ["--optimizers", names, "--learning-rate", "0.5", "--epochs", "2"]
    with pytest.raises(SystemExit) as done:
        cli.app(["compare", "tutorial", *arguments, "--store", str(store)])
    assert done.value.code in {0, None}
    trials = ol.Results.load(store).trials
    assert trials["optimizer"][:3].tolist() == ["torch Adam", "torch NAdam", "torch LBFGS"]
    assert trials.groupby("optimizer")["repeat"].apply(set).tolist() == [{1, 2, 3}] * 3
    assert trials["hp_lr"].tolist() == [0.5] * 9


def test_options_of_the_wrong_length_are_refused_in_words():
    with pytest.raises(ValueError, match=r"Adam does not take .*betas.*index out of range"):
        ol.TorchOptimizer(torch.optim.Adam, betas=[0.1])
