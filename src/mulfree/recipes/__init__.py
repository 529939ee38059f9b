"""Recipes: one TOML file for each experiment, every hyper-parameter in it; the tasks that they name."""

from mulfree.recipes.recipe import Recipe, changed, from_data, load, names, parse, to_toml
from mulfree.recipes.runs import Comparison, Options, train_recipe

__all__ = [
    "Comparison",
    "Options",
    "Recipe",
    "changed",
    "from_data",
    "load",
    "names",
    "parse",
    "to_toml",
    "train_recipe",
]
