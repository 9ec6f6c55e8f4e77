"""The stage that trains a model of the run by a method: `finetune` and `distill` differ only in the models."""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedModel

from kdzoo.engine.models.decoder_and_head import shared_vocabulary
from kdzoo.engine.models.loading import count_parameters, save_trained
from kdzoo.engine.models.sharding import whole_weights
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.encoding import with_teacher_targets
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.training.checkpoints import CHECKPOINTS, checkpoints_in, find_last
from kdzoo.engine.training.chosen_method import ChosenMethod, chosen
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.engine.training.nonfinite import DivergedError
from kdzoo.engine.training.train import Trained, train
from kdzoo.errors import RunError, UserError
from kdzoo.files import new_folder
from kdzoo.methods.method import Options
from kdzoo.methods.model_names import TEACHER
from kdzoo.methods.used_options import watched
from kdzoo.recipe import Training, TrainingStage
from kdzoo.runs.context import ModelRef, RunContext
from kdzoo.runs.interruption import Interrupted
from kdzoo.runs.threads import threads_for
from kdzoo.runs.training.arguments import step_size, trainer_arguments
from kdzoo.runs.training.examples import training_examples
from kdzoo.runs.training.micro_batch import with_micro_batch
from kdzoo.runs.training.peak_memory import PeakMemory
from kdzoo.runs.training.prepared import with_prepared
from kdzoo.runs.training.progress import TrainingProgress
from kdzoo.runs.training.scoring import Best, StageScorer, scorer_of
from kdzoo.runs.training.teacher_targets import teacher_targets
from kdzoo.runs.training.unused_options import UnusedOptions


@dataclass(frozen=True)
class _Loaded:
    """The stage's models: the one that learns, and those that it learns from by their names."""

    student: PreTrainedModel | PeftModel
    teachers: dict[str, PreTrainedModel | PeftModel]
    limits: SamplingLimits


def run(
    context: RunContext, stage: TrainingStage, folder: Path, models: Mapping[str, ModelRef]
) -> dict[str, Any]:
    """Train the stage's model by its method and leave it in ``folder/model`` in Hugging Face format.

    ``models`` are the stage's own by their names, the teachers that the method uses among them. Continues from what an
    interrupted start left in ``folder``. Gives the numbers that the report shows. Over all starts, ``training_seconds`` is the
    time of preparing and training, without loading and scoring, ``preparing_seconds`` that of the teacher's generations and
    of what the method prepares alone, ``step_seconds`` the median time of an optimizer step, and ``peak_memory_bytes`` the most memory at a time. Where the best
    weights are kept, ``best_step`` and ``best_score`` say which they are.

    Raises:
        UserError: the method needs a teacher, and there is none.
        RunError: no example is left to train on, or the training diverged.
    """
    # what each process keeps for itself; the checkpoints and the model are the main one's
    own = context.processes.own_folder(folder)
    options = stage.method_options()
    noted, read = watched(options)
    method = chosen(stage.plugin(), noted)
    loaded = _load(context, stage, folder, models)
    examples = training_examples(context, stage)
    by_role = {models[name].role: model for name, model in loaded.teachers.items()}
    training = context.processes.of_main(
        lambda: with_micro_batch(context, stage, folder, {**by_role, stage.role: loaded.student}, examples)
    )
    memory = PeakMemory(own / "peak_memory_bytes", context.device)
    with threads_for(loaded.student, context.recipe.threads):
        module, examples, preparing_seconds = _prepared(
            context, stage, folder, loaded, method, noted, examples, training
        )
        unused = UnusedOptions(options, read)
        progress = TrainingProgress(context.reporter, stage.name, own / "seconds", unused)
        per_epoch = training.steps_per_epoch(len(examples))
        scorer = scorer_of(
            context, stage, own, loaded.student, loaded.limits.end_ids, per_epoch, progress.leave_out
        )
        try:
            result = _train(context, stage.name, folder, own, module, examples, training, progress, scorer)
        finally:
            seconds, peak = progress.stop(), memory.keep()
    best = _save(context, folder, loaded, scorer)
    trainable = sum(p.numel() for p in loaded.student.parameters() if p.requires_grad)
    return {
        "method": method.name,
        "parameters": count_parameters(loaded.student),
        "trainable_parameters": trainable,
        "examples": len(examples),
        "steps": result.steps,
        "loss": result.loss if math.isfinite(result.loss) else None,
        **({"skipped_steps": result.skipped} if result.skipped else {}),
        "tokens_per_second": result.tokens_per_second,
        "training_seconds": preparing_seconds + seconds,
        "preparing_seconds": preparing_seconds,
        "step_seconds": result.step_seconds,
        "peak_memory_bytes": peak,
        **({} if best is None else {"best_step": best.step, "best_score": best.score}),
    }


def _load(context: RunContext, stage: TrainingStage, folder: Path, models: Mapping[str, ModelRef]) -> _Loaded:
    with context.processes.main_first():
        student = context.model_to_train(models[stage.role], folder)
    teachers = {name: context.model_to_use(models[name]) for name in stage.teachers}
    end_ids = context.end_ids(student, *teachers.values())
    output_limit = context.recipe.training_of(stage).output_limit
    return _Loaded(student, teachers, SamplingLimits(output_limit, end_ids))


def _prepared(
    context: RunContext,
    stage: TrainingStage,
    folder: Path,
    loaded: _Loaded,
    method: ChosenMethod,
    options: Options,
    examples: list[EncodedExample],
    training: Training,
) -> tuple[DistillationModule, list[EncodedExample], float]:
    """What is trained, on examples with all that the method wants of each beforehand, and the seconds which that has taken."""
    seed = context.recipe.seed_of_stage(stage)
    others = dict(loaded.teachers)
    teacher = others.pop(TEACHER, None)
    generating_seconds = preparing_seconds = 0.0
    if options.needs_teacher_target:
        if teacher is None:
            raise UserError(
                f"stage {stage.name!r}: its method needs a teacher's generations, and there is no teacher"
            )
        readable = replace(loaded.limits, vocabulary=shared_vocabulary(loaded.student, teacher))
        decoding = options.teacher_target_decoding
        generated, generating_seconds = teacher_targets(
            context, stage.name, folder, teacher, examples, readable, training, decoding, seed
        )
        examples = with_teacher_targets(examples, generated)
    module = DistillationModule(
        loaded.student,
        teacher,
        method,
        context.tokenizer,
        loaded.limits,
        seed=seed,
        sharing=training.sharing,
        prompt_limit=max(len(example.prompt) for example in examples),
        steps=training.steps(len(examples)),
        others=others,
        privileged_limit=max(len(example.privileged or ()) for example in examples),
    )
    if method.prepares:
        examples, preparing_seconds = with_prepared(context, stage.name, folder, module, examples, training)
    return module, examples, generating_seconds + preparing_seconds


def _train(
    context: RunContext,
    name: str,
    folder: Path,
    own: Path,
    module: DistillationModule,
    examples: list[EncodedExample],
    training: Training,
    progress: TrainingProgress,
    scorer: StageScorer | None,
) -> Trained:
    """Train and tell how it goes; checkpoints are in ``folder``, and what each process keeps in its ``own``."""
    processes = context.processes
    total = training.steps(len(examples))
    found = processes.of_main(lambda: find_last(folder / CHECKPOINTS))
    done = 0 if found.last is None else found.last.step
    for damaged in found.damaged:
        progress.say(f"{damaged}; it is left out, and the training continues after step {done}")
    progress.begin(total, done)
    arguments = trainer_arguments(training, module.seed, total, folder / CHECKPOINTS, processes.count)
    try:
        with context.interruption.deferred() as stops:
            result = train(
                module,
                examples,
                own,
                arguments,
                progress.step,
                lambda: processes.any(stops()),
                found=found,
                size=step_size(training),
                group_size=training.size_of_groups,
                scorer=scorer,
                nonfinite_steps=training.nonfinite_steps,
                skipped=progress.skipped,
            )
            stopped = processes.any(stops())
            if stopped:
                context.reporter.stop()
                progress.say(f"ended after step {result.steps} of {total}, with a checkpoint of it")
        if stopped:  # a signal that only another process has received ends this one too
            raise Interrupted(signal.SIGTERM)
    except DivergedError as error:
        what, *steps = str(error).split("\n")
        advice = "a lower learning_rate, a longer warmup or a max_gradient_norm may help"
        told = f"stage {name!r}: the training diverged: {what}; {advice}{_last_good(folder)}"
        raise RunError("\n  ".join([told, *steps])) from None
    finally:
        context.reporter.stop()
    return result


def _save(context: RunContext, folder: Path, loaded: _Loaded, scorer: StageScorer | None) -> Best | None:
    """Leave the trained model, or the one that scored best if that is kept, in ``folder/model``."""
    weights = whole_weights(loaded.student)  # which all processes gather
    if not context.processes.is_main:
        return None
    best = None if scorer is None else scorer.leave_best(folder / "model")
    if best is None:
        with new_folder(folder / "model") as temporary:
            save_trained(loaded.student, context.tokenizer, loaded.limits.end_ids, temporary, weights)
    return best


def _last_good(folder: Path) -> str:
    """Where the weights are that were still good."""
    kept = checkpoints_in(folder / CHECKPOINTS)
    return f"; the last checkpoint before it is kept: {kept[0].path}" if kept else ""
