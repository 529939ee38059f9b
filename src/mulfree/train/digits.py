"""The digits demonstration: the same small Vision Transformer trained with and without multiplications."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, median, stdev

import torch
from rich.progress import Progress

from mulfree.audit import Audit, audit
from mulfree.data import Digits, load_digits
from mulfree.models import VisionTransformer
from mulfree.train import networks
from mulfree.train.config import ConfigError, TrainingConfig
from mulfree.train.loop import Epoch, train
from mulfree.train.networks import NetworkName
from mulfree.train.output import append_record, output_folder, save_weights
from mulfree.train.plots import save_curves

METRICS, CURVES, SUMMARY = "metrics.jsonl", "curves.png", "summary.json"


@dataclass
class Result:
    """The runs of one network, in the order of the seeds."""

    label: str
    runs: list[list[Epoch]] = field(default_factory=list)

    @property
    def accuracies(self) -> list[float]:
        """Held-out accuracy after the last epoch of each run, in [0, 1]."""
        return [run[-1].accuracy for run in self.runs]

    @property
    def spread(self) -> float:
        """Sample standard deviation of the accuracies over the seeds; 0 for one seed."""
        return stdev(self.accuracies) if len(self.runs) > 1 else 0.0

    @property
    def milliseconds(self) -> float:
        """Median duration of a training step; 0 where only an audited step was made."""
        durations = [step for run in self.runs for epoch in run for step in epoch.milliseconds]
        return median(durations) if durations else 0.0

    @property
    def seconds(self) -> float:
        """Mean duration of the training steps of a run."""
        return fmean(sum(epoch.seconds for epoch in run) for run in self.runs)


@dataclass(frozen=True)
class Summary:
    """Outcome of a run: results by network, the audit of a training step without multiplications, the files."""

    config: TrainingConfig
    results: dict[NetworkName, Result]
    audit: Audit | None
    files: tuple[Path, ...]

    @property
    def ratio(self) -> float | None:
        """Step time of the multiplication-free network over that of the standard one."""
        if len(self.results) < 2 or not self.results["standard"].milliseconds:
            return None
        return self.results["mulfree"].milliseconds / self.results["standard"].milliseconds


def checkpoint_name(network: NetworkName, seed: int) -> str:
    return f"{network}-seed{seed}.pt"


def model(config: TrainingConfig) -> VisionTransformer:
    """The network before training, in ordinary arithmetic."""
    return VisionTransformer(dropout=config.dropout).to(config.device)


def train_digits(config: TrainingConfig, progress: Progress) -> Summary:
    """Train the standard network and, unless the policy is "standard", its multiplication-free twin.

    Both start from the same weights and see the same batches. The output folder receives the metrics of every
    epoch, the weights after the last one, the curves and a summary.

    Raises:
        ConfigError: the batch is larger than the training set.
        OutputError: the output folder cannot be written to; known before training starts.
        NonFiniteLossError: training diverged; nothing is written.
    """
    digits = load_digits()
    if config.batch_size > len(digits.train):
        raise ConfigError(f"batch_size must be at most {len(digits.train)}, got {config.batch_size}")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = torch.device(config.device)
    digits = Digits(train=digits.train.to(device), test=digits.test.to(device))
    results = {name: Result(networks.label(name, config.policy)) for name in networks.names(config.policy)}
    watch = None if config.policy == "standard" else audit()
    with output_folder(config.output_dir) as folder:
        for seed in range(config.seed, config.seed + config.seeds):
            for name, result in results.items():
                first = name == "mulfree" and seed == config.seed
                result.runs.append(
                    _train_one(
                        name,
                        seed,
                        config=config,
                        digits=digits,
                        folder=folder,
                        watch=watch if first else None,
                        progress=progress,
                    )
                )
        save_curves(folder / CURVES, {result.label: result.runs for result in results.values()}, _title(config))
        summary = Summary(config, results, watch, ())
        (folder / SUMMARY).write_text(json.dumps(_as_data(summary), indent=2) + "\n", encoding="utf-8")
        files = tuple(config.output_dir / file.name for file in sorted(folder.iterdir()))
    return Summary(config, results, watch, files)


def _train_one(
    name: NetworkName,
    seed: int,
    *,
    config: TrainingConfig,
    digits: Digits,
    folder: Path,
    watch: Audit | None,
    progress: Progress,
) -> list[Epoch]:
    torch.manual_seed(seed)
    initial = model(config)
    steps_per_epoch = len(digits.train) // config.batch_size
    network = networks.build(name, initial, config, steps_per_epoch)
    task = progress.add_task(f"{network.label}, seed {seed}", total=config.epochs * steps_per_epoch, status="")
    torch.manual_seed(seed)  # dropout starts alike, however many random numbers building took
    generator = torch.Generator().manual_seed(seed)
    epochs = []
    for epoch in train(
        network,
        data=digits.train,
        held_out=digits.test,
        epochs=config.epochs,
        batch_size=config.batch_size,
        generator=generator,
        audit=watch,
        on_step=lambda: progress.advance(task),
    ):
        progress.update(task, status=f"loss {epoch.loss:.3f}, accuracy {epoch.accuracy:.1%}")
        record = {"network": name, "seed": seed, **asdict(epoch)}
        record["milliseconds"] = median(epoch.milliseconds) if epoch.milliseconds else None
        append_record(folder / METRICS, record)
        epochs.append(epoch)
    save_weights(network.model, folder / checkpoint_name(name, seed))
    return epochs


def _title(config: TrainingConfig) -> str:
    seeds = f"{config.seeds} seeds" if config.seeds > 1 else f"seed {config.seed}"
    return (
        f"Vision Transformer on 8x8 handwritten digits: {config.epochs} epochs, "
        f"batch {config.batch_size}, AdamW at {config.lr:g}, {seeds}"
    )


def _as_data(summary: Summary) -> dict[str, object]:
    config = {name: str(value) if isinstance(value, Path) else value for name, value in asdict(summary.config).items()}
    return {
        "config": config,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "networks": {
            name: {
                "label": result.label,
                "accuracies": result.accuracies,
                "mean_accuracy": fmean(result.accuracies),
                "spread": result.spread,
                "milliseconds_per_step": result.milliseconds,
                "training_seconds": result.seconds,
            }
            for name, result in summary.results.items()
        },
        "time_ratio": summary.ratio,
        "audit": json.loads(summary.audit.to_json()) if summary.audit else None,
    }
