"""A recipe: read from TOML, checked, changed by options, written down."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import tomli_w
import torch
from pydantic import TypeAdapter, ValidationError

from mulfree.recipes.registry import kind
from mulfree.train.arithmetic import Arithmetic
from mulfree.train.errors import ConfigError
from mulfree.train.loop import Trainer
from mulfree.train.settings import OptimizerSettings, ScheduleSettings, TrainingSettings
from mulfree.train.task import Task

SUFFIX = ".toml"
_FILES = resources.files("mulfree.recipes") / "files"
_SECTIONS: dict[str, type[Any]] = {
    "optimizer": OptimizerSettings,
    "schedule": ScheduleSettings,
    "training": TrainingSettings,
    "arithmetic": Arithmetic,
}


@dataclass(frozen=True)
class Recipe:
    """An experiment.

    Attributes:
        name: of the file, without its suffix.
        description: what is trained, in a line.
        source: where the settings come from.
        kind: of the task.
        task: the task's settings, an instance of its own class.
        optimizer, schedule, training, arithmetic: the other sections.
    """

    name: str
    description: str
    source: str
    kind: str
    task: Any
    optimizer: OptimizerSettings
    schedule: ScheduleSettings
    training: TrainingSettings
    arithmetic: Arithmetic

    def make_task(self) -> Task:
        """Raises what the task raises where its data are missing."""
        return kind(self.kind).make(self.task)

    def make_trainer(self) -> Trainer:
        """On the processor, alone. Raises as ``make_task``."""
        parts = self.arithmetic, self.optimizer, self.schedule, self.training
        return Trainer(self.make_task(), *parts, torch.device("cpu"))


def names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.name.removesuffix(SUFFIX) for path in _FILES.iterdir() if path.name.endswith(SUFFIX))


def load(name: str) -> Recipe:
    """The recipe of that name in the package, or in the file of that name.

    Raises:
        ConfigError: there is none, or it is not valid.
    """
    if name.endswith(SUFFIX):
        path = Path(name)
        try:
            return parse(path.name.removesuffix(SUFFIX), path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read the recipe {path}: {error.strerror or error}") from error
    if name not in names():
        raise ConfigError(f"no recipe {name!r}; there are {', '.join(names())}, or give the path of a {SUFFIX} file")
    return parse(name, (_FILES / (name + SUFFIX)).read_text(encoding="utf-8"))


def parse(name: str, text: str) -> Recipe:
    """A recipe from the text of its file.

    Raises:
        ConfigError: names section and field, what was expected, and what was given.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"recipe {name}: not valid TOML: {error}") from error
    return from_data(name, data)


def from_data(name: str, data: Mapping[str, Any]) -> Recipe:
    """``parse`` for what TOML was read into."""
    known = {"description", "source", "task", *_SECTIONS}
    for key in data:
        if key not in known:
            raise ConfigError(f"recipe {name}: unknown section {key!r}; there are {', '.join(sorted(known))}")
    for key in ("description", "source"):
        if not isinstance(data.get(key), str):
            raise ConfigError(f"recipe {name}: {key} must be a string, got {data.get(key)!r}")
    for key in ("task", *_SECTIONS):
        if not isinstance(data.get(key, {}), dict):
            raise ConfigError(f"recipe {name}: {key} must be a section, got {data[key]!r}")
    task = dict(data.get("task", {}))
    chosen = task.pop("kind", None)
    sections = {key: _checked(key, settings, data.get(key, {})) for key, settings in _SECTIONS.items()}
    return Recipe(
        name=name,
        description=data["description"],
        source=data["source"],
        kind=str(chosen),
        task=_checked("task", kind(chosen).settings, task),
        **sections,
    )


def _checked(section: str, settings: type[Any], values: Mapping[str, Any]) -> Any:
    try:
        return TypeAdapter(settings).validate_python(dict(values))
    except ValidationError as error:
        raise ConfigError("; ".join(_message(section, dict(entry)) for entry in error.errors())) from None


def _message(section: str, entry: Mapping[str, Any]) -> str:
    place = ".".join([section, *(str(part) for part in entry["loc"])])
    reason = entry["msg"].removeprefix("Value error, ")
    if entry["type"] == "missing":
        return f"{place} is missing"
    if entry["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{place} is no setting"
    if entry["type"] == "value_error":
        return f"{section}: {reason}"
    return f"{place}: {reason[:1].lower()}{reason[1:]}, got {entry['input']!r}"


def to_data(recipe: Recipe) -> dict[str, Any]:
    """The recipe as its file would be read, with every default written out; unset values are left out."""
    data: dict[str, Any] = {"description": recipe.description, "source": recipe.source}
    data["task"] = {"kind": recipe.kind, **asdict(recipe.task)}
    for section in _SECTIONS:
        data[section] = asdict(getattr(recipe, section))
    cleaned: dict[str, Any] = _without_none(data)
    return cleaned


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(entry) for key, entry in value.items() if entry is not None}
    return list(value) if isinstance(value, tuple) else value


def to_toml(recipe: Recipe) -> str:
    """The text that ``parse`` makes the recipe of."""
    return tomli_w.dumps(to_data(recipe))


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with other values, by "section.field" or "section.sub.field".

    ``training.epochs`` and ``training.steps`` take each other's place.

    Raises:
        ConfigError: a field that does not exist or a value that it cannot have.
    """
    data = to_data(recipe)
    for place, value in changes.items():
        *sections, field = place.split(".")
        if not sections:
            raise ConfigError(f"{place!r} must be named with its section, such as training.epochs")
        if sections[0] not in data or not isinstance(data[sections[0]], dict):
            raise ConfigError(f"no section {sections[0]!r}; there are task, {', '.join(_SECTIONS)}")
        target = data
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise ConfigError(f"{place}: {section} is no section")
        target[field] = value
    if "training.epochs" in changes and "training.steps" not in changes:
        data["training"]["steps"] = 0
    if "training.steps" in changes and "training.epochs" not in changes:
        data["training"]["epochs"] = 0
    return from_data(recipe.name, data)


HARMLESS = ("workers", "log_every", "keep", "audit_every", "compare", "checkpoint_every")
"""Settings of ``[training]`` that may change when a run goes on."""


def differences(old: Recipe, new: Recipe) -> list[str]:
    """What makes two recipes different trainings, as "section.field: old -> new"."""
    same = {name: getattr(new.training, name) for name in HARMLESS}
    before = _flat(to_data(replace(old, training=replace(old.training, **same))))
    after = _flat(to_data(new))
    places = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return [f"{key}: {before.get(key)} -> {after.get(key)}" for key in places if "." in key]


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in data.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found
