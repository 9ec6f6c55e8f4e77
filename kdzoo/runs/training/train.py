"""The stage that trains a model of the run by a method: `finetune` and `distill` differ only in the models."""

from __future__ import annotations

import math
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from kdzoo.engine.models.decoder_and_head import shared_vocabulary
from kdzoo.engine.models.loading import count_parameters, save_trained
from kdzoo.engine.models.sharding import whole_weights
from kdzoo.engine.prompts.batches import EncodedExample
from kdzoo.engine.prompts.encoding import Encoded, with_teacher_targets
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.training.checkpoints import CHECKPOINTS, checkpoints_in, find_last
from kdzoo.engine.training.chosen_method import chosen
from kdzoo.engine.training.distillation_module import DistillationModule
from kdzoo.engine.training.nonfinite import DivergedError, SkippedStep
from kdzoo.engine.training.train import Trained, train
from kdzoo.errors import RunError, UserError
from kdzoo.files import new_folder
from kdzoo.methods.model_names import TEACHER
from kdzoo.methods.used_options import watched
from kdzoo.recipe import Training, TrainingStage
from kdzoo.runs.context import ModelRef, RunContext
from kdzoo.runs.interruption import Interrupted
from kdzoo.runs.threads import threads_for
from kdzoo.runs.training.arguments import step_size, trainer_arguments
from kdzoo.runs.training.clock import Clock
from kdzoo.runs.training.micro_batch import with_micro_batch
from kdzoo.runs.training.pace import Pace
from kdzoo.runs.training.peak_memory import PeakMemory
from kdzoo.runs.training.prepared import with_prepared
from kdzoo.runs.training.scoring import StageScorer, scorer_of
from kdzoo.runs.training.teacher_targets import teacher_targets
from kdzoo.runs.training.unused_options import UnusedOptions


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
    name, options, training = stage.name, stage.method_options(), context.recipe.training_of(stage)
    processes = context.processes
    # what each process keeps for itself; the checkpoints and the model are the main one's
    own = processes.own_folder(folder)
    noted, read = watched(options)
    method = chosen(stage.plugin(), noted)
    tokenizer = context.tokenizer
    with processes.main_first():
        student = context.model_to_train(models[stage.role], folder)
    teachers = {name: context.model_to_use(models[name]) for name in stage.teachers}
    end_ids = context.end_ids(student, *teachers.values())
    limits = SamplingLimits(training.output_limit, end_ids)
    encoded = encode_training_examples(context, stage)
    if not encoded.examples:
        raise RunError(
            f"stage {name!r}: no example is left to train on; input_limit is {training.input_limit}, output_limit "
            f"{training.output_limit}"
        )
    for count, what in (
        (encoded.prompts_cut, f"prompts cut to {training.input_limit} tokens"),
        (encoded.targets_too_long, f"targets longer than {training.output_limit} tokens left out"),
        (encoded.special_spelled, "examples spell special tokens, which are read as plain text"),
    ):
        if count:
            context.reporter.say(f"{name}: {count} {what}")
    examples = encoded.examples
    loaded = {models[name].role: model for name, model in teachers.items()}
    training = processes.of_main(
        lambda: with_micro_batch(context, stage, folder, {**loaded, stage.role: student}, examples)
    )
    teacher_model = teachers.pop(TEACHER, None)
    memory = PeakMemory(own / "peak_memory_bytes", context.device)
    preparing_seconds = 0.0
    with threads_for(student, context.recipe.threads):
        if options.needs_teacher_target:
            if teacher_model is None:
                raise UserError(
                    f"stage {name!r}: its method needs a teacher's generations, and there is no teacher"
                )
            readable = replace(limits, vocabulary=shared_vocabulary(student, teacher_model))
            decoding = noted.teacher_target_decoding
            generated, preparing_seconds = teacher_targets(
                context, name, folder, teacher_model, examples, readable, training, decoding
            )
            examples = with_teacher_targets(examples, generated)
        module = DistillationModule(
            student,
            teacher_model,
            method,
            tokenizer,
            limits,
            seed=context.recipe.seed_of(stage.role),
            sharing=training.sharing,
            prompt_limit=max(len(example.prompt) for example in examples),
            steps=training.steps(len(examples)),
            others=teachers,
            privileged_limit=max(len(example.privileged or ()) for example in examples),
        )
        if method.prepares:
            examples, seconds = with_prepared(context, name, folder, module, examples, training)
            preparing_seconds += seconds
        clock, pace = Clock(own / "seconds"), Pace()

        def scored(seconds: float) -> None:
            clock.leave_out(seconds)
            pace.pause()

        per_epoch = training.steps_per_epoch(len(examples))
        scorer = scorer_of(context, stage, own, student, limits.end_ids, per_epoch, scored)
        unused = UnusedOptions(options, read)
        try:
            result = _train(
                context, name, folder, own, module, examples, training, unused, clock, pace, scorer
            )
        finally:
            seconds, peak = clock.stop(), memory.keep()
    best, weights = None, whole_weights(student)
    if processes.is_main:
        best = None if scorer is None else scorer.leave_best(folder / "model")
        if best is None:
            with new_folder(folder / "model") as temporary:
                save_trained(student, tokenizer, limits.end_ids, temporary, weights)
    trainable = sum(p.numel() for p in student.parameters() if p.requires_grad)
    return {
        "method": method.name,
        "parameters": count_parameters(student),
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


def _train(
    context: RunContext,
    name: str,
    folder: Path,
    own: Path,
    module: DistillationModule,
    examples: list[EncodedExample],
    training: Training,
    unused: UnusedOptions,
    clock: Clock,
    pace: Pace,
    scorer: StageScorer | None,
) -> Trained:
    """Train and tell how it goes; checkpoints are in ``folder``, and what each process keeps in its ``own``."""
    reporter, processes = context.reporter, context.processes

    def watch(step: int, steps: int, numbers: dict[str, float]) -> None:
        clock.keep()
        reporter.advance(step, f"loss {numbers['loss']:.4f}  {numbers['tokens_per_second']:.0f} tokens/s")
        note = unused.after(step - done, last=step == steps)
        if note is not None:
            reporter.say(f"{name}: {note}")
        collapse = pace.seen(numbers["tokens_seen"])
        if collapse is not None:
            advice = "; threads = 1 in the recipe loses least by that" if torch.get_num_threads() > 1 else ""
            reporter.say(
                f"{name}: {collapse.now:.0f} tokens/s where {collapse.usual:.0f} were usual: "
                f"other programs use the processor{advice}"
            )

    def skipped(step: SkippedStep) -> None:
        reporter.say(f"{name}: skipped, because it is not finite: {step}")

    total = training.steps(len(examples))
    found = processes.of_main(lambda: find_last(folder / CHECKPOINTS))
    done = 0 if found.last is None else found.last.step
    for damaged in found.damaged:
        reporter.say(f"{name}: {damaged}; it is left out, and the training continues after step {done}")
    reporter.start(name, total, done)
    arguments = trainer_arguments(training, module.seed, total, folder / CHECKPOINTS, processes.count)
    try:
        with context.interruption.deferred() as stops:
            result = train(
                module,
                examples,
                own,
                arguments,
                watch,
                lambda: processes.any(stops()),
                found=found,
                size=step_size(training),
                group_size=training.size_of_groups,
                scorer=scorer,
                nonfinite_steps=training.nonfinite_steps,
                skipped=skipped,
            )
            stopped = processes.any(stops())
            if stopped:
                reporter.stop()
                reporter.say(f"{name}: ended after step {result.steps} of {total}, with a checkpoint of it")
        if stopped:  # a signal that only another process has received ends this one too
            raise Interrupted(signal.SIGTERM)
    except DivergedError as error:
        what, *steps = str(error).split("\n")
        advice = "a lower learning_rate, a longer warmup or a max_gradient_norm may help"
        told = f"stage {name!r}: the training diverged: {what}; {advice}{_last_good(folder)}"
        raise RunError("\n  ".join([told, *steps])) from None
    finally:
        reporter.stop()
    return result


def _last_good(folder: Path) -> str:
    """Where the weights are that were still good."""
    kept = checkpoints_in(folder / CHECKPOINTS)
    return f"; the last checkpoint before it is kept: {kept[0].path}" if kept else ""


def encode_training_examples(context: RunContext, stage: TrainingStage) -> Encoded:
    """Shorten the prompts that a stage trains on to the input limit and encode them with their targets."""
    training = context.recipe.training_of(stage)
    examples = context.splits(context.recipe.training_data_of(stage)).train
    fitting = context.prompts.to_train_on(examples, training)
    if len(fitting) < len(examples):
        context.reporter.say(
            f"{stage.name}: {len(examples) - len(fitting)} prompts longer than {training.input_limit} tokens left out"
        )
    return context.prompts.encoded(fitting, training, stage.method_options().privileged_prompt)
