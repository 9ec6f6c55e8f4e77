"""Kills ``kdzoo run`` at random moments and starts it again until it is done: does it end as if nothing had been?

    python tests/runs/killing.py --trials 200 --seed 1

Each trial is a run of a small recipe in a folder of its own. Its first start is killed, about half of the later ones too:
after a random time, or before one of the changes that it makes to its files, chosen at random. The last start must leave the weights
(by hash), the predictions and the scores of a run that nobody has killed.

torch is imported once: each start is a fork of this process, which has not used it.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECIPE = """\
name = "killed"
threads = 1
DATA
[tokenizer]
train = { vocab_size = 400 }
[teacher]
from_scratch = { architecture = "llama", hidden_size = 16, intermediate_size = 16, num_hidden_layers = 1, num_attention_heads = 2, attention_dropout = 0.1 }
[student]
from_scratch = { architecture = "llama", hidden_size = 16, intermediate_size = 16, num_hidden_layers = 1, num_attention_heads = 2, attention_dropout = 0.1 }
STUDENT
[training]
max_steps = 4
save_steps = 1
logging_steps = 1
batch_size = 4
micro_batch_size = 2
learning_rate = 2e-2
input_limit = 64
output_limit = 8
[evaluation]
max_examples = 4
[[stage]]
kind = "finetune"
"""
_DISTILL = '[[stage]]\nkind = "distill"\nmethod = "{}"\n'
_EVALUATE = '[[stage]]\nkind = "evaluate"\n'
_BEST = "training = { evaluate_every = 1, evaluate_examples = 2, keep_best = true }\n"

_QUESTIONS = '[data]\nkind = "embedded"\nquestions = 50\ntest_questions = 10\ndatabases = 1\n'
_TEXTS = '[data]\nkind = "jsonl"\ntrain = "train.jsonl"\nevaluation = "held_out.jsonl"\n'

RECIPES = {
    "full": RECIPE.replace("DATA\n", _QUESTIONS)
    .replace("STUDENT\n", "")
    .replace("output_limit = 8", "output_limit = 32")
    + _DISTILL.format("fdistill")
    + _DISTILL.format("kid")
    + _EVALUATE,
    "lora": RECIPE.replace("DATA\n", _TEXTS).replace("STUDENT", "lora = { rank = 2 }")
    + _DISTILL.format("gkd")
    + _DISTILL.format("kid")
    + _BEST
    + _EVALUATE,
}
"""Two recipes that between them have every kind of stage, and what each keeps while it is done."""

# What changes a file or a name, as Python tells of it beforehand.
_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.truncate", "shutil.rmtree"}
_PATIENCE_SECONDS = 600.0
_MOST_KILLS = 6


@dataclass(frozen=True)
class Result:
    """What a run has left: the hash of each file of weights, the predictions, and the scores, by stage."""

    weights: dict[str, str]
    predictions: dict[str, str]
    scores: dict[str, Any]


@dataclass
class Tally:
    """What the trials have come to."""

    trials: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def result_of(out: Path) -> Result:
    """Read what the one run below ``out`` has left."""
    (run,) = (path for path in out.glob("killed-*") if (path / "run.json").is_file())
    assert json.loads((run / "run.json").read_text())["status"] == "finished"
    weights = {
        str(file.relative_to(run)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(run.glob("*/model/*.safetensors"))
    }
    predictions = {path.parent.name: path.read_text() for path in run.glob("*/predictions.jsonl")}
    scores = {
        f"{path.parent.name}/{model}": {name: of["scores"] for name, of in result["sets"].items()}
        for path in run.glob("*/scores.json")
        for model, result in json.loads(path.read_text()).items()
    }
    best = {
        f"{path.parent.name}/best": json.loads(path.read_text())["results"].get("best_step")
        for path in run.glob("*/stage.json")
    }
    left = [str(path) for path in run.rglob(".*.tmp")]
    assert not left, f"left behind: {left}"
    return Result(weights, predictions, {**scores, **best})


def write_texts(folder: Path) -> None:
    """The data of the recipe that has texts: sums to learn."""
    draws = random.Random(0)
    for name, count in (("train", 24), ("held_out", 4)):
        pairs = [(draws.randrange(50), draws.randrange(50)) for _ in range(count)]
        lines = [json.dumps({"prompt": f"What is {a} and {b}?", "target": str(a + b)}) for a, b in pairs]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def _nothing() -> None:
    pass


def start(
    recipe: Path,
    out: Path,
    log: Path,
    before: Callable[[], None] = _nothing,
    after: Callable[[], None] = _nothing,
) -> int:
    """Start ``kdzoo run`` as a process of its own and give its number; ``before`` and ``after`` are called in it."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        os.setsid()
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        _reseed()
        before()
        sys.argv = ["kdzoo", "run", str(recipe), "--out", str(out)]
        from kdzoo.cli import main

        main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with suppress(BaseException):
            after()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _reseed() -> None:
    """Nothing may depend on where a process's own generators happen to stand."""
    import numpy
    import torch

    seed = int.from_bytes(os.urandom(4), "big")
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)


def before_change(number: int, below: Path) -> Callable[[], None]:
    """Let the process kill itself before its ``number``-th change to files below a folder."""
    left = [number]

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if not _changes(event, arguments, str(below)):
            return
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return lambda: sys.addaudithook(heard)


def counting(file: Path, below: Path) -> Callable[[], None]:
    """Let the process leave the number of its changes in a file, a byte for each."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def heard(event: str, arguments: tuple[Any, ...]) -> None:
        if _changes(event, arguments, str(below)):
            os.write(handle, b".")

    return lambda: sys.addaudithook(heard)


def _changes(event: str, arguments: tuple[Any, ...], below: str) -> bool:
    if event == "open":
        path, mode, flags = arguments
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR)) if mode is None else set("wax+") & set(mode)
        if not writes:
            return False
    elif event not in _CHANGES:
        return False
    path = arguments[0]
    return not isinstance(path, int) and os.fsdecode(path).startswith(below)


def ended(child: int, patience: float) -> int | None:
    """The exit code of a process, as `os.waitstatus_to_exitcode` has it; None if it has not ended after so many seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def kill(child: int) -> int:
    """Kill a process that may have ended, and give its exit code."""
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


@dataclass(frozen=True)
class Whole:
    """A run that nobody has killed: its result, seconds, and changes to files."""

    result: Result
    seconds: float
    changes: int


def _import_what_it_needs(recipe: Path, folder: Path) -> None:
    """Import here what a run imports, so that no start has to."""
    names = folder / "modules"

    def leave_names() -> None:
        names.write_text("\n".join(sys.modules))

    log = folder / "modules.log"
    assert ended(start(recipe, folder / "first", log, after=leave_names), _PATIENCE_SECONDS) == 0, (
        log.read_text()
    )
    for name in names.read_text().splitlines():
        with suppress(Exception):
            importlib.import_module(name)
    shutil.rmtree(folder / "first")


def uninterrupted(recipe: Path, folder: Path) -> Whole:
    """Run a recipe to its end."""
    out, log, counted = folder / "whole", folder / "whole.log", folder / "changes"
    begin = time.monotonic()
    code = ended(start(recipe, out, log, counting(counted, out)), _PATIENCE_SECONDS)
    assert code == 0, log.read_text()
    return Whole(result_of(out), time.monotonic() - begin, counted.stat().st_size)


def trial(recipe: Path, whole: Whole, folder: Path, draws: random.Random, kills: Counter[str]) -> str | None:
    """Kill a run at random moments until it ends, and say what is wrong with what it leaves."""
    out, log = folder / "runs", folder / "log"
    for number in range(_MOST_KILLS + 1):
        if number and (draws.random() < 0.5 or number == _MOST_KILLS):
            code = ended(start(recipe, out, log), _PATIENCE_SECONDS)
        elif draws.random() < 0.5:
            child = start(recipe, out, log)
            code = ended(child, draws.uniform(0, whole.seconds))
            code = kill(child) if code is None else code
        else:
            hook = before_change(draws.randrange(1, whole.changes + 1), out)
            code = ended(start(recipe, out, log, hook), _PATIENCE_SECONDS)
        if code == 0:
            break
        if code != -signal.SIGKILL:
            return f"exit code {code}"
        kills[_where(out)] += 1
    try:
        found = result_of(out)
    except Exception as error:
        return f"cannot be read: {error!r}"
    for what in ("weights", "predictions", "scores"):
        if getattr(found, what) != getattr(whole.result, what):
            return f"other {what}: {getattr(found, what)} instead of {getattr(whole.result, what)}"
    return None


def _where(out: Path) -> str:
    """In which stage a run has been killed: the first without a record."""
    runs = [path for path in out.glob("killed-*") if (path / "recipe.toml").is_file()]
    if not runs:
        return "before the first stage"
    begun = [path for path in runs[0].iterdir() if path.is_dir() and not path.name.startswith(".")]
    open_ = sorted(
        path.name for path in begun if not (path / "stage.json").exists() and path.name != "tokenizer"
    )
    return open_[0] if open_ else "between stages"


def try_all(
    trials: int, seed: int, first: int = 0, say: Callable[[str], None] = print, keep: Path | None = None
) -> Tally:
    """Make so many trials, of the recipes in turn; each is known by the seed and its number, which ``first`` begins.

    What a failed one has left is copied to ``keep``. The code must not change meanwhile: a run belongs to it.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    import kdzoo.runs.pipeline
    import kdzoo.runs.sweep

    assert kdzoo.runs.pipeline is not None
    tally = Tally()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="killed-") as temporary:
        folder = Path(temporary)
        write_texts(folder)
        recipes, wholes = {}, {}
        for name, text in RECIPES.items():
            recipes[name] = folder / f"{name}.toml"
            recipes[name].write_text(text)
            (folder / name).mkdir()
            _import_what_it_needs(recipes[name], folder / name)
            gc.freeze()  # or each start would copy what is imported as soon as it collects
            wholes[name] = uninterrupted(recipes[name], folder / name)
            say(f"{name}: {wholes[name].seconds:.1f} s, {wholes[name].changes} changes to files, undisturbed")
        for number in range(first, first + trials):
            name = list(RECIPES)[number % len(RECIPES)]
            draws = random.Random(f"{seed}/{number}")
            place = folder / f"trial-{number}"
            place.mkdir()
            wrong = trial(recipes[name], wholes[name], place, draws, tally.kills)
            tally.trials += 1
            if wrong is not None:
                tally.failures.append(f"trial {number} of {name} (seed {seed}): {wrong}")
                say(tally.failures[-1])
                say("\n".join((place / "log").read_text().splitlines()[-30:]))
                if keep is not None:
                    shutil.copytree(place, keep / f"trial-{number}", symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(place)
    where = ", ".join(f"{count} in {place}" for place, count in sorted(tally.kills.items()))
    say(
        f"{tally.trials} trials, {sum(tally.kills.values())} kills ({where}), {len(tally.failures)} failures, "
        f"{time.monotonic() - begin:.0f} s"
    )
    return tally


def main() -> None:
    """Make the trials that the command line asks for; exit code 1 if one has failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first trial")
    parser.add_argument("--keep", type=Path, help="where to put what failed trials have left")
    given = parser.parse_args()
    sys.exit(bool(try_all(given.trials, given.seed, given.first, keep=given.keep).failures))


if __name__ == "__main__":
    main()
