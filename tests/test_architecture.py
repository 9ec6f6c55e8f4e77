"""Which part may import which: dependencies point one way, and the core knows hooks, not methods."""

from __future__ import annotations

import ast
import importlib
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_origin

import pytest

import kdzoo

ROOT = Path(__file__).parents[1]
CORE = ROOT / "kdzoo"
PLUGINS = ROOT / "plugins"
TESTS = ROOT / "tests"
METHODS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][
    "kdzoo"
]

# What each room may use beside itself: dependencies point one way.
_FOUNDATION = {"errors", "files", "spelling"}
_METHODS = {*_FOUNDATION, "methods"}
MAY_USE = {
    "errors": set[str](),
    "files": {"errors"},
    "spelling": set[str](),
    "methods": _FOUNDATION,
    "testing": {*_METHODS, "tasks", "recipe"},
    "engine": _METHODS,
    "tasks": _METHODS,
    "recipe": {*_METHODS, "tasks"},
    "report": {*_METHODS, "tasks", "recipe"},
    "runs": {*_METHODS, "engine", "tasks", "recipe", "report"},
    "commands": {*_METHODS, "engine", "tasks", "recipe", "report", "runs", "testing"},
    "cli": {"commands", "errors", "files"},
    "__main__": {"cli"},
}
# The same for the rooms of the engine.
WITHIN_THE_ENGINE = {
    "models": set[str](),
    "losses": {"models"},
    "prompts": {"models", "losses"},
    "memory": {"models", "losses", "prompts"},
    "training": {"models", "losses", "prompts"},
    "measure": {"models", "losses", "prompts"},
}

# Modules, and rooms, without a test file at the place that mirrors theirs: the one that tests them instead, and why.
TESTED_ELSEWHERE = {
    "commands/data.py": ("commands/test_data_check.py", "it only groups two commands"),
    "commands/method_table.py": ("commands/test_list_methods.py", "what the command prints"),
    "commands/quiet_libraries.py": ("commands/test_run.py", "what the screen shows of a run"),
    "commands/report.py": ("commands/test_report_paper.py", "it only groups commands"),
    "engine/prompts/probe/trial.py": (
        "engine/prompts/probe/test_choice.py",
        "each model that is tried is chosen for",
    ),
    "engine/models/gguf_export/refusal.py": (
        "engine/models/gguf_export/test_architecture.py",
        "it words refusals, which are tested where they are made",
    ),
    "engine/training/other_logits.py": (
        "engine/training/test_models_by_name.py",
        "models by name, in a divergence",
    ),
    "engine/training/saving_trainer.py": (
        "engine/training/test_train.py",
        "what a training leaves and continues from",
    ),
    "methods/loss_sum.py": ("engine/training/test_step.py", "a name for what a sum is divided by"),
    "methods/step.py": ("testing/test_conditioned_table.py", "protocols: what implements them is tested"),
    "recipe/checks.py": (
        "recipe/test_problems.py",
        "it words problems; the words are tested from whole recipes",
    ),
    "recipe/head.py": ("recipe/test_load.py", "tables of a recipe, which loading fills"),
    "recipe/model_tables.py": ("recipe/test_load.py", "tables of a recipe, which loading fills"),
    "recipe/origin.py": ("recipe/test_problems.py", "messages name the places that it holds"),
    "recipe/prompt_table.py": ("recipe/test_load.py", "a table of a recipe, which loading fills"),
    "recipe/schema.py": ("recipe/test_load.py", "tables of a recipe, which loading fills"),
    "recipe/tables.py": ("recipe/test_load.py", "tables of a recipe, which loading fills"),
    "runs/checks/before_run.py": (
        "commands/test_run.py",
        "the order of all checks, as the command line shows it",
    ),
    "runs/checks/trained.py": ("runs/checks/test_weights.py", "it looks at weights of finished stages"),
    "runs/dry_run.py": ("commands/test_run.py", "what it prints is held against what a run then does"),
    "runs/sweep_dry_run.py": (
        "commands/test_run_sweep.py",
        "what it prints is held against what a sweep does",
    ),
    "runs/evaluation/measuring.py": ("test_third_party_data.py", "what metrics are given, and when"),
    "runs/lora.py": ("runs/test_context.py", "adapters of models to train, and the base that is kept"),
    "runs/training/examples.py": ("runs/training/test_train.py", "what is told, and when none is left"),
    "runs/unfinished.py": ("commands/test_run_interrupted.py", "it tells what an interruption has left"),
    "tasks/asking.py": ("tasks/text_to_sql/test_asking.py", "a protocol: what implements it is tested"),
    "tasks/example.py": ("tasks/text_to_sql/test_spider.py", "data that every dataset gives"),
    "tasks/metric.py": ("test_third_party_data.py", "what metrics are given and give"),
    "tasks/registry.py": ("test_third_party_data.py", "what packages bring is found"),
    "tasks/sql/executor.py": ("test_third_party_data.py", "what packages bring runs SQL"),
    "tasks/sql/execute.py": ("tasks/sql/test_limits.py", "a statement is run within limits"),
    "tasks/sql/functions.py": (
        "tasks/sql/test_hostile_statements.py",
        "a list, held against statements that abuse it",
    ),
    "tasks/sql/fuzz/values.py": (
        "tasks/sql/fuzz/test_random_database.py",
        "the values are seen in databases",
    ),
    "tasks/sql/judge.py": ("tasks/sql/test_worker.py", "it is the owner of the workers"),
    "tasks/sql/sandbox.py": ("tasks/sql/test_worker.py", "the near end of a worker's pipe"),
    "tasks/text_to_sql/embedded": (
        "tasks/text_to_sql/test_embedded_benchmark.py",
        "parts of one generated benchmark",
    ),
    "tasks/text_to_sql/prompt_style.py": ("tasks/text_to_sql/test_prompt.py", "what prompts are made of"),
    "tasks/text_to_sql/sql_data.py": ("tasks/test_fingerprint.py", "what datasets on disk are made from"),
    "tasks/text_to_sql/sql_examples.py": (
        "tasks/text_to_sql/test_spider.py",
        "what reading a dataset ends with",
    ),
    "testing/checks.py": ("testing/test_check_method.py", "named after its public function"),
    "testing/dataset_case.py": ("testing/test_dataset_rules.py", "what the rules are tried on"),
    "testing/global_generators.py": (
        "testing/test_check_sequences.py",
        "rules that nothing is drawn from them are broken there",
    ),
    "testing/metric_case.py": ("testing/test_metric_rules.py", "what the rules are tried on"),
}

# Where the core may say a method's name: a recipe's default, and how a table calls what others are compared with.
NAMED = {
    ("recipe/stages.py", '"sft"'),
    ("report/table.py", '"relative to SFT"'),
    ("report/comparison.py", '"the SFT student"'),
}

# Methods that are called by a word of the field, which the core uses for what it means.
WORDS = {"hidden"}

# From Python 3.12 on the text of an f-string is a token of its own.
TEXT_TOKENS = {tokenize.NAME, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


# A package of its own, which `kdzoo new` copies.
TEMPLATE = CORE / "commands/method_template"

# The modules that bring a method: kdzoo's own, those of the examples, and the one that others begin with.
METHOD_MODULES = [
    *sorted(PLUGINS.rglob("*.py")),
    *sorted((ROOT / "examples").glob("*/*.py")),
    *TEMPLATE.glob("*.py"),
]


def modules(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*.py") if not file.is_relative_to(TEMPLATE))


def room_of(file: Path, house: Path) -> str:
    return file.relative_to(house).parts[0].removesuffix(".py")


def statements(tree: ast.AST, *, at_import: bool) -> Iterator[ast.stmt]:
    """The import statements in a module; ``at_import`` leaves out those that run later, or never."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        is_later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        if not (at_import and is_later):
            yield from statements(node, at_import=at_import)


def imported(file: Path, *, at_import: bool = False) -> set[str]:
    """The dotted names that a module imports: modules, and what is taken from them."""
    names: set[str] = set()
    for node in statements(ast.parse(file.read_text(encoding="utf-8")), at_import=at_import):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name == "kdzoo" or name.startswith("kdzoo.")}


@pytest.mark.parametrize("file", modules(CORE), ids=lambda file: str(file.relative_to(CORE)))
def test_a_room_uses_only_what_lies_below_it(file: Path) -> None:
    room = room_of(file, CORE)
    if room == "__init__":
        return  # it names the public names' homes, and imports none
    assert {name.split(".")[1] for name in ours(imported(file))} <= MAY_USE[room] | {room}


@pytest.mark.parametrize(
    "file", modules(CORE / "engine"), ids=lambda file: str(file.relative_to(CORE / "engine"))
)
def test_a_room_of_the_engine_uses_only_what_lies_below_it(file: Path) -> None:
    room = room_of(file, CORE / "engine")
    used = {name.split(".")[2] for name in imported(file) if name.startswith("kdzoo.engine.")}
    assert used <= WITHIN_THE_ENGINE.get(room, set()) | {room}


@pytest.mark.parametrize(
    "file",
    [*modules(CORE / "runs"), *modules(CORE / "recipe"), *modules(CORE / "report")],
    ids=lambda file: str(file.relative_to(CORE)),
)
def test_runs_and_recipes_know_no_dataset_and_no_sql(file: Path) -> None:
    used = {".".join(name.split(".")[:3]) for name in imported(file) if name.startswith("kdzoo.tasks.")}
    assert not used & {"kdzoo.tasks.sql", "kdzoo.tasks.text", "kdzoo.tasks.text_to_sql"}


def test_the_top_holds_rooms_and_what_belongs_to_none() -> None:
    assert {file.stem for file in CORE.glob("*.py")} == {
        "__init__",
        "__main__",
        "cli",
        "errors",
        "files",
        "spelling",
    }
    assert {folder.name for folder in CORE.iterdir() if any(folder.glob("*.py"))} | {
        file.stem for file in CORE.glob("*.py")
    } == {*MAY_USE, "__init__"}


class TestTestsMirrorTheRooms:
    @pytest.mark.parametrize(
        "file",
        [file for file in modules(CORE) if not file.stem.startswith("__")],
        ids=lambda file: str(file.relative_to(CORE)),
    )
    def test_a_module_is_tested_at_the_place_that_mirrors_its_own(self, file: Path) -> None:
        place = file.relative_to(CORE)
        mirrored = TESTS / place.with_name(f"test_{place.name}")
        assert mirrored.is_file() or {str(place), *map(str, place.parents)} & TESTED_ELSEWHERE.keys(), (
            f"{place} has no tests/{mirrored.relative_to(TESTS)}"
        )

    @pytest.mark.parametrize("place", TESTED_ELSEWHERE)
    def test_an_exception_is_there_is_needed_and_is_tested(self, place: str) -> None:
        file = Path(place)
        assert (CORE / file).exists()
        assert not (TESTS / file.with_name(f"test_{file.name}")).exists()
        tested_by, why = TESTED_ELSEWHERE[place]
        assert (TESTS / tested_by).is_file()
        assert why


@pytest.mark.parametrize("file", [*modules(CORE), *METHOD_MODULES], ids=lambda file: file.stem)
def test_a_file_can_be_read_at_one_sitting(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300


def test_no_modules_need_each_other_to_be_imported() -> None:
    names = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
        for file in modules(CORE)
    }
    needs = {
        name: {
            found
            for found in (
                next((n for n in (needed, needed.rpartition(".")[0]) if n in names), None)
                for needed in ours(imported(file, at_import=True))
            )
            if found is not None
        }
        for name, file in names.items()
    }
    while needs:
        free = {name for name, others in needs.items() if not others & needs.keys()}
        assert free, f"a circle of imports among {sorted(needs)}"
        needs = {name: others for name, others in needs.items() if name not in free}


@pytest.mark.parametrize("file", modules(CORE), ids=lambda file: str(file.relative_to(CORE)))
def test_the_core_names_no_method_and_imports_no_plugin(file: Path) -> None:
    names = "|".join(METHODS.keys() - WORDS)
    name = re.compile(rf"(?<![a-z])({names})(?![a-z])", re.IGNORECASE)
    text = file.read_text(encoding="utf-8")
    documentation = {
        docstring_line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for docstring_line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    found = {
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type in TEXT_TOKENS and token.start[0] not in documentation and name.search(token.string)
    }
    allowed = {word for module, word in NAMED if module == str(file.relative_to(CORE))}
    assert found == allowed
    assert not {needed.split(".")[0] for needed in imported(file)} & set(METHODS.values())


@pytest.mark.parametrize(
    "file",
    [file for file in modules(CORE) if room_of(file, CORE) in ("recipe", "runs", "report")],
    ids=lambda file: str(file.relative_to(CORE)),
)
def test_a_stage_says_what_it_does_and_is_not_asked_for_its_class(file: Path) -> None:
    asked_for = {
        name.id
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance"
        for name in ast.walk(node.args[1])
        if isinstance(name, ast.Name)
    }
    assert not {name for name in asked_for if name.endswith("Stage")}


class TestPlugins:
    @pytest.mark.parametrize("file", METHOD_MODULES, ids=lambda file: file.stem)
    def test_a_plugin_uses_public_names_and_no_other_plugin(self, file: Path) -> None:
        used = imported(file)
        assert ours(used) <= {f"kdzoo.{name}" for name in kdzoo.__all__}
        assert not {name.split(".")[0] for name in used} & set(METHODS.values())

    @pytest.mark.parametrize("file", METHOD_MODULES, ids=lambda file: file.stem)
    def test_a_plugin_leaves_torch_alone_until_a_hook_runs(self, file: Path) -> None:
        needed = {name.split(".")[0] for name in imported(file, at_import=True)}
        assert needed <= {"__future__", "typing", "kdzoo", "pydantic", "enum", "math"}

    def test_each_is_an_entry_point_like_a_third_party_s(self) -> None:
        assert sorted(METHODS.values()) == [file.stem for file in modules(PLUGINS)]


def test_every_public_name_is_there_and_is_not_hidden_behind_another() -> None:
    assert sorted(kdzoo.__all__) == kdzoo.__all__
    assert kdzoo.Kind is kdzoo.Source  # a second name, of plugins that were written before the first
    for name in set(kdzoo.__all__) - {"Kind"}:
        found = getattr(kdzoo, name)
        assert found.__name__ in (name, f"kdzoo.methods.{name}") or get_origin(found) is Annotated
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kdzoo.nothing  # noqa: B018
    assert importlib.import_module("kdzoo.methods.divergences") is kdzoo.methods.divergences
