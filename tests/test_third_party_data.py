"""Datasets, metrics and SQL executors in a package of their own, the first two as CONTRIBUTING.md shows them."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from kdzoo.cli import main
from kdzoo.errors import UserError
from kdzoo.recipe import check_paths, load_recipe, rehearsed, resolved_toml
from kdzoo.report.progress import Reporter
from kdzoo.runs import fingerprints, pipeline
from kdzoo.tasks import registry
from kdzoo.testing import check_dataset, check_metric

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")

RECIPE = """\
[data]
kind = "tsv"
train = "train.tsv"
evaluation = "test.tsv"
[tokenizer]
train = { vocab_size = 400 }
[teacher]
from_scratch = { architecture = "llama", hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 4 }
[student]
from_scratch = { architecture = "llama", hidden_size = 16, intermediate_size = 32, num_hidden_layers = 1, num_attention_heads = 2 }
[training]
max_steps = 2
batch_size = 4
input_limit = 64
output_limit = 8
[[stage]]
kind = "finetune"
[[stage]]
kind = "distill"
method = "rkd"
[[stage]]
kind = "evaluate"
"""

JSONL = RECIPE.replace('"tsv"', '"jsonl"')
EMBEDDED = '[data]\nkind = "embedded"\nquestions = 60\ntest_questions = 10\ndatabases = 2\n' + RECIPE[
    RECIPE.index("[tokenizer]") :
].replace("input_limit = 64\noutput_limit = 8", "input_limit = 512\noutput_limit = 48")

EXECUTOR = """\
from contextlib import contextmanager
from kdzoo import SqlExecutor
from kdzoo.tasks.sql import Verdict

class Lenient:
    def judge(self, items, metric, progress=None, tell=None):
        return [Verdict(item.gold.split()[0] == "SELECT", reason=f"{metric} {seconds}") for item in items]

@contextmanager
def opened(metric, time_limit):
    global seconds
    seconds = time_limit
    yield Lenient()

LENIENT = SqlExecutor(name="lenient", summary="everything is right", open=opened)
"""

COMPARING = """\
from kdzoo import Measured, Metric

def measure(answers):
    models = answers.models
    sizes = [sum(p.numel() for p in model.parameters()) for model in (models.student, models.teacher)]
    items = list(answers.track("counting", models.prompts, len(models.prompts)))
    return Measured(sizes[0] / sizes[1], details={"prompts": len(items), "seed": models.seed})

SIZE = Metric(name="size", summary="of the teacher's", measure=measure, compares_with_teacher=True, datasets=("jsonl",),
    heading="size", text_of=lambda score: f"x{score:.2f}")
"""

Install = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is searched for packages like site-packages, for as long as the test runs."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)
    monkeypatch.chdir(tmp_path)
    registry.forget()
    yield site
    registry.forget()
    for name in [name for name in sys.modules if (site / f"{name}.py").is_file()]:
        del sys.modules[name]


@pytest.fixture
def install(site: Path) -> Install:
    """Put a package of one module where an installer would put it; ``entries`` are "name = object" by group."""

    def install(module: str, source: str, **entries: str) -> Path:
        (site / f"{module}.py").write_text(source, encoding="utf-8")
        info = site / f"{module}-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.2.3\n")
        lines = [
            f"[kdzoo.{group}]\n{entry.replace('= ', f'= {module}:')}\n" for group, entry in entries.items()
        ]
        (info / "entry_points.txt").write_text("".join(lines))
        importlib.invalidate_caches()
        registry.forget()
        return site / f"{module}.py"

    return install


@pytest.fixture
def documented(install: Install) -> Path:
    """The package of CONTRIBUTING.md, installed."""
    (source,) = re.findall(r"^```python\n(# my_data\.py\n.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return install("my_data", source, datasets="tsv = TSV", metrics="first_letter = FIRST_LETTER")


@pytest.fixture
def recipe(tmp_path: Path) -> Callable[[str], Path]:
    """Write a recipe beside data that it can name."""

    def recipe(text: str = RECIPE) -> Path:
        pairs = [
            (f"say {word} to me", f"{word} to you") for word in ("a", "be", "see", "dee", "e", "eff", "gee")
        ]
        jsonl = [json.dumps({"prompt": p, "target": t}) for p, t in pairs]
        lines = jsonl if '"jsonl"' in text else ["\t".join(pair) for pair in pairs]
        for name in ("train.tsv", "test.tsv"):
            (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
        (tmp_path / "r.toml").write_text(text)
        return tmp_path / "r.toml"

    return recipe


def run(path: Path, *overrides: str) -> tuple[Path, str]:
    """Run a recipe; gives its folder and what was printed."""
    printed = StringIO()
    done = pipeline.run(
        load_recipe(path, overrides), Path("runs"), Reporter(Console(file=printed, width=200))
    )
    return done.path, printed.getvalue()


class TestTheDocumentedOnes:
    def test_run_from_a_recipe_and_the_first_metric_is_the_default(
        self, documented: Path, recipe: Callable[..., Path]
    ) -> None:
        folder, printed = run(recipe())
        lines = [
            json.loads(line) for line in (folder / "evaluate/predictions.jsonl").read_text().splitlines()
        ]
        assert [line["gold"] for line in lines if line["model"] == "rkd"][:2] == ["a to you", "be to you"]
        scores = json.loads((folder / "evaluate/scores.json").read_text())
        for model in ("teacher", "rkd"):
            right = [line["prediction"][:1] == line["gold"][:1] for line in lines if line["model"] == model]
            assert len(right) == 7
            assert scores[model]["sets"]["tsv"]["scores"] == {"first_letter": sum(right) / 7}
            assert [line["first_letter"] for line in lines if line["model"] == model] == right
        assert "FIRST_LETTER" in printed

    def test_the_resolved_recipe_is_read_as_the_same(
        self, documented: Path, recipe: Callable[..., Path]
    ) -> None:
        loaded = load_recipe(recipe())
        assert type(loaded.data).__name__ == "TsvConfig"
        Path("again.toml").write_text(resolved_toml(loaded).replace('name = "again"', 'name = "r"'))
        assert load_recipe(Path("again.toml")) == loaded

    def test_built_in_metrics_are_told_where_they_do_not_fit(
        self, documented: Path, recipe: Callable[..., Path]
    ) -> None:
        with pytest.raises(UserError) as caught:
            load_recipe(recipe(), ['evaluation.metrics=["ex"]'])
        assert '"ex" does not fit data of kind "tsv", which has first_letter, exact_match, exaccerr' in str(
            caught.value
        )

    def test_a_metric_fits_the_datasets_of_others_that_it_names(
        self, documented: Path, recipe: Callable[..., Path]
    ) -> None:
        metrics = 'evaluation.metrics=["exact_match", "first_letter"]'
        stage = load_recipe(recipe(JSONL), [metrics])
        assert stage.evaluation.metrics == ("exact_match", "first_letter")
        with pytest.raises(UserError, match='"first_letter" does not fit data of kind "embedded"'):
            load_recipe(recipe(EMBEDDED), ['evaluation.metrics=["first_letter"]'])
        with pytest.raises(UserError, match="which has exact_match, rouge_l, exaccerr, first_letter"):
            load_recipe(recipe(JSONL), ['evaluation.metrics=["ex"]'])

    def test_keys_of_the_table_are_checked(self, documented: Path, recipe: Callable[..., Path]) -> None:
        with pytest.raises(UserError, match=r'r\.toml:3: data\.trian: unknown key; did you mean "train"\?'):
            load_recipe(recipe(RECIPE.replace('train = "train', 'trian = "train')))

    def test_data_that_are_not_there_are_told_and_a_rehearsal_does_without(
        self, documented: Path, recipe: Callable[..., Path]
    ) -> None:
        loaded = load_recipe(
            recipe(RECIPE.replace('"test.tsv"', '"none.tsv"')), ['evaluation.metrics=["first_letter"]']
        )
        with pytest.raises(UserError, match=r"r\.toml:4: data\.evaluation: there is no .*/none\.tsv"):
            check_paths(loaded)
        little = rehearsed(loaded)
        assert (little.data.kind, little.evaluation.metrics) == ("embedded", ())

    def test_they_keep_the_rules(self, documented: Path, recipe: Callable[..., Path]) -> None:
        recipe()
        check_dataset("tsv", {"train": "train.tsv", "evaluation": "test.tsv"})
        check_metric("first_letter")

    def test_the_page_s_commands_check_them(
        self,
        documented: Path,
        recipe: Callable[..., Path],
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        recipe()
        commands = [line.split() for line in re.findall(r"^    (kdzoo check --.*)$", PAGE, re.MULTILINE)]
        assert len(commands) == 3
        for command in commands:
            monkeypatch.setattr(sys, "argv", command)
            main()
        summaries = re.findall(r"^\w+: (\d+ passed.*)$", capsys.readouterr().out, re.MULTILINE)
        assert summaries == ["16 passed, 1 does not apply", "15 passed", "15 passed"]

    def test_their_names_are_told_beside_the_built_in_ones(
        self, documented: Path, recipe: Callable[..., Path]
    ) -> None:
        with pytest.raises(UserError) as caught:
            load_recipe(recipe(RECIPE.replace('"tsv"', '"tvs"')), ['evaluation.metrics=["first_leter"]'])
        assert str(caught.value).splitlines() == [
            f'{Path("r.toml").resolve()}:2: data.kind: must be "bird", "embedded", "hf", "jsonl", "spider" or "tsv", not "tvs"; '
            'did you mean "tsv"?',
            '--set evaluation.metrics=["first_leter"]: evaluation.metrics[0]: must be "ex", "ex_vote", "exaccerr", "exact_match", '
            '"first_letter", "rouge_l" or "ts", not "first_leter"; did you mean "first_letter"?',
        ]


class TestFingerprints:
    def changed(self, path: Path, file: Path, *overrides: str) -> set[str]:
        """The stages that are done again when a file gets a line more."""
        before = fingerprints.of_stages(load_recipe(path, overrides))
        file.write_text(file.read_text() + "\n# more\n")
        after = fingerprints.of_stages(load_recipe(path, overrides))
        return {stage for stage in before if before[stage] != after[stage]}

    def test_the_code_of_a_dataset_shapes_all(self, documented: Path, recipe: Callable[..., Path]) -> None:
        assert self.changed(recipe(), documented) == {"finetune", "rkd", "evaluate"}

    def test_so_do_its_files(self, documented: Path, recipe: Callable[..., Path]) -> None:
        assert self.changed(recipe(), Path("test.tsv")) == {"finetune", "rkd", "evaluate"}

    def test_the_code_of_a_metric_shapes_the_evaluations_that_it_takes_part_in(
        self, documented: Path, recipe: Callable[..., Path]
    ) -> None:
        metrics = 'evaluation.metrics=["first_letter"]'
        assert self.changed(recipe(JSONL), documented, metrics) == {"evaluate"}
        assert self.changed(recipe(JSONL), documented) == set()

    def test_the_code_of_an_executor_shapes_the_evaluations_that_run_sql(
        self, install: Install, recipe: Callable[..., Path]
    ) -> None:
        executor = install("lenient", EXECUTOR, sql_executors="lenient = LENIENT")
        chosen = 'evaluation.sql_executor="lenient"'
        assert self.changed(recipe(EMBEDDED), executor, chosen) == {"evaluate"}
        assert self.changed(recipe(JSONL), executor, chosen) == set()


def test_an_executor_gives_the_verdicts_of_the_metrics_on_sql(
    install: Install, recipe: Callable[..., Path]
) -> None:
    install("lenient", EXECUTOR, sql_executors="lenient = LENIENT")
    folder, _ = run(recipe(EMBEDDED), "evaluation.sql_executor=lenient", "evaluation.time_limit=7")
    scores = json.loads((folder / "evaluate/scores.json").read_text())
    assert scores["rkd"]["sets"]["embedded"]["scores"] == {"ex": 1.0}
    line = json.loads((folder / "evaluate/predictions.jsonl").read_text().splitlines()[0])
    assert (line["ex"], line["error"]) == (True, "ex 7.0")


def test_an_unknown_executor_is_told(recipe: Callable[..., Path]) -> None:
    with pytest.raises(
        UserError,
        match=r'evaluation\.sql_executor=sqlit: must be "sqlite", not "sqlit"; did you mean "sqlite"\?',
    ):
        load_recipe(recipe(EMBEDDED), ["evaluation.sql_executor=sqlit"])


class TestAMetricThatComparesWithTheTeacher:
    def test_is_given_both_models_and_asked_for_students_only(
        self, install: Install, recipe: Callable[..., Path]
    ) -> None:
        install("size", COMPARING, metrics="size = SIZE")
        folder, printed = run(recipe(JSONL), 'evaluation.metrics=["size", "exact_match"]', "seed=5")
        scores = json.loads((folder / "evaluate/scores.json").read_text())
        student, teacher = (scores[name]["parameters"] for name in ("rkd", "teacher"))
        rkd, teacher_s = (scores[name]["sets"]["jsonl"] for name in ("rkd", "teacher"))
        assert rkd["scores"]["size"] == student / teacher
        # what costs models comes last, whatever the order in the recipe
        assert list(rkd["scores"]) == ["exact_match", "size"]
        assert rkd["details"] == {"size": {"prompts": 7, "seed": 5}}
        assert list(teacher_s["scores"]) == ["exact_match"]
        assert f"x{student / teacher:.2f}" in printed

    def test_needs_a_teacher(self, install: Install, recipe: Callable[..., Path]) -> None:
        install("size", COMPARING, metrics="size = SIZE")
        text = re.sub(r"\[teacher\]\n.*\n", "", JSONL).replace('"rkd"', '"sft"')
        text = text.replace('kind = "finetune"', 'kind = "finetune"\nmodel = "student"')
        with pytest.raises(UserError, match='"size" compares with the teacher; add a \\[teacher\\] table'):
            load_recipe(recipe(text), ['evaluation.metrics=["size"]'])


class TestBrokenOnes:
    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
            ("X = 1", "AttributeError: module 'bad' has no attribute 'TSV'"),
            ("TSV = 1", "TypeError: bad:TSV must be a Dataset, not 1"),
            ("raise SystemExit(3)", "SystemExit: 3"),
            (
                "from kdzoo import *\nTSV = Dataset(name='tvs', summary='', config=DataConfig, load=None, metrics=('ex',))",
                "ValueError: the entry point is named 'tsv', its dataset 'tvs'; they must agree",
            ),
            (
                "from kdzoo import *\nTSV = Dataset(name='tsv', summary='', config=dict, load=None, metrics=('ex',))",
                "TypeError: dataset 'tsv': config must derive from DataConfig, not <class 'dict'>",
            ),
            (
                "from kdzoo import *\nTSV = Dataset(name='tsv', summary='', config=DataConfig, load=None, metrics=())",
                "ValueError: dataset 'tsv': metrics must name one at least, and all default_metrics",
            ),
            (
                "from kdzoo import *\nTSV = Dataset(name='tsv', summary='', config=DataConfig, load=None, metrics=('ex',), "
                "file_keys=('train',))",
                "ValueError: dataset 'tsv': its table has no key 'train'",
            ),
        ],
        ids=["import", "object", "type", "exit", "name", "config", "metrics", "keys"],
    )
    def test_a_recipe_that_names_a_dataset_is_told_why(
        self, install: Install, recipe: Callable[..., Path], source: str, reason: str
    ) -> None:
        install("bad", source, datasets="tsv = TSV")
        with pytest.raises(UserError) as caught:
            load_recipe(recipe())
        assert str(caught.value).endswith(
            f"r.toml:2: data.kind: dataset 'tsv' (package bad) cannot be loaded: {reason}"
        )

    def test_a_recipe_that_names_a_metric_is_told_why(
        self, install: Install, recipe: Callable[..., Path]
    ) -> None:
        install("bad", "import no_such_module", metrics="bleu = BLEU")
        text = JSONL.replace("[training]", '[evaluation]\nmetrics = ["exact_match", "bleu"]\n[training]')
        with pytest.raises(UserError) as caught:
            load_recipe(recipe(text))
        assert str(caught.value).endswith(
            "r.toml:12: evaluation.metrics[1]: metric 'bleu' (package bad) cannot be loaded: ModuleNotFoundError: No module "
            "named 'no_such_module'"
        )

    def test_metadata_of_an_older_version_are_told(
        self, monkeypatch: pytest.MonkeyPatch, recipe: Callable[..., Path]
    ) -> None:
        monkeypatch.setattr("kdzoo.tasks.registry.entries_of", lambda group: [])
        registry.forget()
        with pytest.raises(
            UserError, match=r"no dataset is installed \(entry points kdzoo\.datasets\); install kdzoo again"
        ):
            load_recipe(recipe(JSONL))
        registry.forget()

    def test_other_recipes_do_not_even_import_them(
        self, install: Install, recipe: Callable[..., Path]
    ) -> None:
        install(
            "bad",
            "raise SystemExit(3)",
            datasets="bad = BAD",
            metrics="worse = WORSE",
            sql_executors="worst = WORST",
        )
        loaded = load_recipe(recipe(JSONL))
        fingerprints.of_stages(loaded)
        assert loaded.data.kind == "jsonl"
        assert "bad" not in sys.modules

    def test_one_that_works_stands_in_for_a_broken_one_of_the_same_name(
        self, documented: Path, install: Install, recipe: Callable[..., Path]
    ) -> None:
        install("a_bad", "import no_such_module", datasets="tsv = TSV")
        assert load_recipe(recipe()).data.kind == "tsv"
