"""What the tables of a recipe have in common, and those that say how: training, evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from kdzoo.errors import UserError
from kdzoo.recipe.intervals import Interval
from kdzoo.recipe.rows_at_a_time import AUTO, RowsAtATime
from kdzoo.tasks import registry

Role: TypeAlias = str
"""What a model of the recipe is called: "teacher", "student", or a further teacher's name."""

Location = Annotated[str, Field(min_length=1)]
_SEEDS = Field(ge=0, lt=2**31)
Seed = Annotated[int, _SEEDS]
OwnSeed = Annotated[int | None, _SEEDS]


class Table(BaseModel):
    """A table of a recipe: an unknown key is an error, and nothing changes after reading."""

    # settings of an architecture may be infinite, and JSON's null would lose that
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, ser_json_inf_nan="constants")


def conflict(message: str, *keys: str) -> PydanticCustomError:
    """An error of several keys together; the message of the recipe then points at the first of them."""
    return PydanticCustomError("conflict", "{message}", {"message": message, "keys": keys})


def _installed(found: registry.Registry[Any]) -> Callable[[str], str]:
    """A check that something of that name is installed and can be loaded."""

    def check(name: str) -> str:
        if name not in found.names():
            raise PydanticCustomError(
                "literal_error",
                "{expected}",
                {"expected": ", ".join(f"'{known}'" for known in found.names())},
            )
        try:
            found.find(name)
        except UserError as error:
            raise conflict(str(error)) from None
        return name

    return check


MetricName = Annotated[str, AfterValidator(_installed(registry.metrics))]
SqlExecutorName = Annotated[str, AfterValidator(_installed(registry.sql_executors))]


class Training(Table):
    """[training]: how models are trained. Every stage may override any of it in a table of its own.

    Limits are in tokens, the end of sequence included.
    """

    epochs: float = Field(
        3.0,
        gt=0,
        le=10_000,
        description="how often each training example is seen; a fraction ends within an epoch",
    )
    max_steps: int | None = Field(
        None, ge=1, description="optimizer steps; given, they count instead of epochs"
    )
    batch_size: int = Field(16, ge=1, description="rows of one optimizer step")
    micro_batch_size: RowsAtATime | None = Field(
        None,
        description='rows computed at a time, which must divide batch_size, or "auto": the most that are estimated to fit in '
        "memory; all of them unless given",
    )
    learning_rate: float = Field(2e-4, gt=0, lt=1, description="the highest learning rate of AdamW")
    schedule: Literal["cosine", "linear", "constant", "constant_with_warmup"] = Field(
        "cosine", description="how the learning rate goes on after the warm-up"
    )
    warmup: float = Field(
        0.03, ge=0, lt=1, description="fraction of the steps over which the learning rate rises from 0"
    )
    weight_decay: float = Field(0.0, ge=0, description="weight decay of AdamW")
    max_gradient_norm: float = Field(
        1.0, ge=0, description="gradients of a greater norm are scaled down to it; 0 leaves them as they are"
    )
    nonfinite_steps: int = Field(
        3,
        ge=1,
        description="a step whose loss or gradient is not finite changes nothing; so many of them in a row end the stage",
    )
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="the numbers that models compute in while they are trained"
    )
    input_limit: int = Field(
        1024, ge=8, description="tokens of a prompt; longer ones are shortened, or cut in the middle"
    )
    long_prompts: Literal["shorten", "leave_out"] = Field(
        "shorten",
        description="what is done with a training prompt beyond input_limit; shortened ones share less with others",
    )
    output_limit: int = Field(
        128, ge=2, description="tokens of a target, longer ones being left out, and of a generated sequence"
    )
    sharing: Literal["on", "prompt", "off"] = Field(
        "on",
        description="compute prompts and their common beginnings once (on), each prompt once (prompt), or all as usual "
        "(off); the results are the same",
    )
    group_by: Literal["database", "none"] = Field(
        "none", description="draw batches in groups of rows that have this in common"
    )
    group_size: int = Field(4, ge=1, description="rows of a group")
    logging_steps: int | None = Field(
        None,
        ge=1,
        description="steps from one line of metrics.jsonl to the next; unless given, a twentieth, at most 10",
    )
    save_steps: int | None = Field(
        None, ge=1, description="steps from one checkpoint to the next; unless given, an epoch"
    )
    loggers: tuple[str, ...] = Field(
        (),
        description="further loggers by transformers' names; tensorboard and wandb are shown samples of answers, too",
    )
    evaluate_every: Interval | None = Field(
        None,
        description="score the model while it is trained: after every so many steps (200) or epochs "
        '("0.5 epochs"), and after the last step; 0 for not at all, and so unless given',
    )
    evaluate_set: Location | None = Field(
        None,
        description="the evaluation set whose questions it answers then; the recipe's first unless given",
    )
    evaluate_metric: MetricName | None = Field(
        None,
        description="the metric that judges the answers, one that compares with no teacher; the set's first of these "
        "unless given",
    )
    evaluate_examples: int = Field(
        100, ge=1, description="the first so many questions of the set are answered"
    )
    keep_best: bool = Field(
        False,
        description="keep the weights of the best score, the latest of equal ones, instead of the last step's; "
        "needs evaluate_every",
    )

    @property
    def part_size(self) -> int:
        """The rows computed at a time: all of a batch where that is not given, or still to be found out."""
        return self.batch_size if self.micro_batch_size in (None, AUTO) else int(self.micro_batch_size)

    @property
    def size_of_groups(self) -> int | None:
        """The rows of a group; None where rows are drawn one by one."""
        return None if self.group_by == "none" else self.group_size

    def steps(self, examples: int) -> int:
        """The optimizer steps on so many examples: an epoch's last one may have fewer rows, and epochs be a fraction."""
        return self.max_steps or math.ceil(self.epochs * self.steps_per_epoch(examples))

    def steps_per_epoch(self, examples: int) -> int:
        """The optimizer steps that see each of so many examples once."""
        return math.ceil(examples / self.batch_size)

    @model_validator(mode="after")
    def _parts_fit(self) -> Training:
        if self.batch_size % self.part_size:
            raise conflict(
                f"micro_batch_size = {self.micro_batch_size} does not divide batch_size = {self.batch_size}",
                "micro_batch_size",
                "batch_size",
            )
        return self


class EvaluationTable(Table):
    """[evaluation]: how models are evaluated. Decoding is greedy. An evaluate stage may override any of it.

    docs/exaccerr.md says what each ``exaccerr_`` key means for that metric.
    """

    metrics: tuple[MetricName, ...] = Field(
        (), description="names of metrics; unless given, the data's usual ones"
    )
    batch_size: int = Field(32, ge=1, description="questions that are answered at a time")
    max_examples: int | None = Field(
        None, ge=1, description="the first so many questions of each evaluation set; all unless given"
    )
    time_limit: float | None = Field(
        None,
        gt=0,
        le=600,
        description="seconds of CPU time of an SQL statement on one database; unless given, the metric's own (Spider's "
        "10, BIRD's 30)",
    )
    sql_executor: SqlExecutorName = Field("sqlite", description="what runs SQL statements")
    extract: Literal["auto", "none"] | None = Field(
        None,
        description="auto: of an answer in SQL, judge the statement alone, out of fenced code or after reasoning; "
        "none: judge the whole answer; unless given, auto where prompts are chats",
    )
    samples: int = Field(
        8,
        ge=1,
        description="answers that are sampled for each question, for metrics that need several (ex_vote)",
    )
    temperature: float = Field(0.8, gt=0, le=100, description="the temperature at which these are sampled")
    input_limit: int | None = Field(
        None, ge=8, description="tokens of a prompt; unless given, the training's"
    )
    output_limit: int | None = Field(
        None, ge=2, description="tokens of an answer; unless given, the training's"
    )
    exaccerr_samples: int = Field(1, ge=1, description="sequences that each model samples per prompt")
    exaccerr_prefix: Literal["teacher", "gold"] = Field(
        "teacher", description="whose prefixes the oracle's are: the teacher's own, or the gold target's"
    )
    exaccerr_average: Literal["all", "unfinished"] = Field(
        "all",
        description="a step's error is the mean over all sequences, of which the finished add nothing, or over the unfinished",
    )
    exaccerr_first_token: bool = Field(
        True, description="whether the step that predicts the first token of an answer counts"
    )
    exaccerr_length: int | None = Field(
        None,
        ge=1,
        description="the number of steps whose ExAccErr is the score; at most, and by default, all",
    )


class Evaluation(EvaluationTable):
    """The settings of one evaluate stage, with everything filled in."""

    input_limit: int
    output_limit: int
    extract: Literal["auto", "none"] = "none"
