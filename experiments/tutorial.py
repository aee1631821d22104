"""The tutorial's line, fitted by four optimizers at four batch sizes on both devices.

Prints the article's own log and final parameters for the article's own loop: ManualSGD at batch
size 1 with seed 1.

    python experiments/tutorial.py
"""

import optlab as ol

LOG_EPOCHS = 10


def print_the_articles_log(results: ol.Results) -> None:
    """Print what the article's listing prints, read from the results of its own loop."""
    trials = results.trials
    own = trials[
        (trials["optimizer"] == "ManualSGD")
        & (trials["batch_size"] == 1)
        & (trials["device"] == "cpu")
        & (trials["seed"] == 1)
    ]
    if own.empty:  # these options left it out
        return
    trial = int(own["trial"].iloc[0])
    print("\nThe article's loop (ManualSGD, batch size 1, seed 1, cpu):\n")
    trace = results.traces[results.traces["trial"] == trial]
    for _, row in trace.iterrows():
        epoch = int(row["epoch"]) - 1  # the article counts from 0; our epoch 0 is the start
        if epoch >= 0 and epoch % LOG_EPOCHS == 0:
            print(f"Epoch {epoch}  Loss {row['batch_loss']:.4f}")
    found = results.parameters(trial)
    print("Final Parameters:", found["weight"].item(), found["bias"].item())


experiment = ol.Experiment(
    name="tutorial",
    problems=ol.LinearRegression.from_dataset(ol.datasets.tutorial().standardized()),
    optimizers=[
        ol.ManualSGD(learning_rate=0.001),
        ol.TorchSGD(learning_rate=0.001),
        ol.Lstsq(),
        ol.SklearnLinearRegression(),
    ],
    batch_sizes=[1, 2, 5, "full"],
    devices=["cpu", "cuda"],
    seeds=[1],
    epochs=2000,
    recorded_epochs=LOG_EPOCHS,
    conclude=print_the_articles_log,
)

if __name__ == "__main__":
    experiment.main()
