"""Runs of a small recipe by one process or several, started as `torchrun` starts them."""

import json
import socket
from pathlib import Path

from tests.forked import Forked

FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "false",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "false",
    "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT",
}

RECIPE = """
name = "small"
seed = 3

[data]
kind = "jsonl"
train = "train.jsonl"
evaluation = "test.jsonl"

[tokenizer]
train = { vocab_size = 300 }

[teacher]
from_scratch = { architecture = "llama", hidden_size = 16, intermediate_size = 32, num_hidden_layers = 2, num_attention_heads = 2, max_position_embeddings = 128 }

[student]
from_scratch = { architecture = "llama", hidden_size = 8, intermediate_size = 16, num_hidden_layers = 2, num_attention_heads = 2, max_position_embeddings = 128 }

[training]
epochs = 4
max_steps = 20
batch_size = 10
learning_rate = 3e-3
input_limit = 96
output_limit = 12
logging_steps = 1
group_by = "database"
group_size = 4

[evaluation]
metrics = ["exact_match"]
output_limit = 12
batch_size = 4

[[stage]]
kind = "finetune"
"""


def write_recipe(folder: Path, methods: list[str], more: str = "") -> Path:
    """A recipe that distils by these methods, with its data beside it. 51 examples: the last step of an epoch takes one."""
    for name, count in (("train", 51), ("test", 7)):
        lines = (json.dumps(_example(number)) for number in range(count))
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    stages = "".join(f'\n[[stage]]\nkind = "distill"\nmethod = "{method}"\n' for method in methods)
    recipe = folder / "small.toml"
    recipe.write_text(f'{RECIPE}{stages}{more}\n[[stage]]\nkind = "evaluate"\n')
    return recipe


def _example(number: int) -> dict[str, str]:
    group = number % 3
    beginning = " ".join(f"w{group}{i}" for i in range(9))
    return {
        "prompt": f"{beginning} count {number} :",
        "target": " ".join(str(number + i) for i in range(1 + number % 4)),
        "group": f"g{group}",
    }


class Launched:
    """Processes that do a run together, which have been started."""

    def __init__(
        self, recipe: Path, out: Path, count: int, *, sharded: bool = False, settings: tuple[str, ...] = ()
    ) -> None:
        given = [part for setting in settings for part in ("--set", setting)]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self.processes = [
            Forked(
                ["run", str(recipe), "--out", str(out), *given],
                environment={
                    **({} if count == 1 else _place(number, count, port)),
                    **(FSDP if sharded else {}),
                },
                before="tests.runs.sharded_on_processors" if sharded else None,
                one_output=True,
            )
            for number in range(count)
        ]

    def ended(self, timeout: float = 480.0) -> list[tuple[int, str]]:
        """Each process's exit code and what it has printed."""
        try:
            outputs = [process.communicate(timeout=timeout)[0] for process in self.processes]
        finally:
            for process in self.processes:
                process.kill()
        return [(process.returncode, output) for process, output in zip(self.processes, outputs, strict=True)]


def _place(number: int, count: int, port: str) -> dict[str, str]:
    return {
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }


def run_by(recipe: Path, out: Path, count: int, **how: object) -> tuple[Path, list[str]]:
    """Do a run by so many processes: the run's folder, and what each has printed."""
    ended = Launched(recipe, out, count, **how).ended()
    assert [code for code, _ in ended] == [0] * count, ended
    (run,) = out.glob("small-*")
    return run, [output for _, output in ended]
