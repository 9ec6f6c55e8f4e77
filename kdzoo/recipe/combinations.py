"""Combinations of settings that are each right and together impossible."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pydantic import ValidationError

from kdzoo.methods.model_names import BASE, STUDENT, TEACHER
from kdzoo.recipe.data_combinations import check_data_of_stages
from kdzoo.recipe.lines import Key
from kdzoo.recipe.names import called
from kdzoo.recipe.overrides import HEAD, TABLES
from kdzoo.recipe.places import place_in_options, place_of_model
from kdzoo.recipe.problems import Problems
from kdzoo.recipe.schema import Recipe
from kdzoo.recipe.scoring import why_not_scored
from kdzoo.recipe.stages import DistillStage, EvaluateStage, FinetuneStage, Stage, TrainingStage
from kdzoo.recipe.tables import Role
from kdzoo.spelling import hint


def check_combinations(recipe: Recipe, problems: Problems) -> None:
    """Note everything in a recipe that cannot be done."""
    _check_tokenizer(recipe, problems)
    check_data_of_stages(recipe, problems)
    _check_placement(recipe, problems)
    names: set[str] = set()
    for index, stage in enumerate(recipe.stages):
        at: Key = ("stage", index)
        _check_name(stage, at, names, recipe.teachers, problems)
        earlier = recipe.stages[:index]
        if stage.role is None:
            _check_models(recipe, stage, at, earlier, problems)
            continue
        _check_training(recipe, stage, at, problems)
        _check_dtype(recipe, stage.role, problems)
        _check_base(recipe, stage, problems)
        _check_beginning(recipe, stage, at, earlier, problems)
        if stage.kind == "finetune":
            _check_finetune(recipe, stage, at, problems)
        else:
            _check_distill(recipe, stage, at, earlier, problems)


def _check_tokenizer(recipe: Recipe, problems: Problems) -> None:
    tokenizer = recipe.tokenizer
    for role, model in recipe.models.items():
        if problems.concern("teachers" if role in recipe.teachers else role) or problems.concern("tokenizer"):
            continue  # what is wrong with one table by itself would show here again
        if model.from_scratch is not None and tokenizer is None:
            problems.add(
                place_of_model(role, "from_scratch"),
                "a model from scratch needs a [tokenizer], for example train = { vocab_size = 2000 }",
            )
        if model.path is not None and tokenizer is not None and tokenizer.train is not None:
            problems.add(
                ("tokenizer", "train"),
                f"{called(role)} comes with a vocabulary of its own, which a new tokenizer would not fit; "
                "leave [tokenizer] out, or give its path",
                place_of_model(role, "path"),
            )


def _check_placement(recipe: Recipe, problems: Problems) -> None:
    for key in ("device_map", "quantization"):
        if getattr(recipe.student, key) is not None:
            problems.add(("student", key), "belongs to [teacher]; the student is trained whole on one device")


def _check_name(
    stage: Stage, at: Key, names: set[str], teachers: Collection[str], problems: Problems
) -> None:
    # compared without case: the names become folders, and some file systems do not tell "KID" from "kid"
    if stage.name.lower() in names:
        problems.add((*at, "name"), "another stage has this name already; give one of them a name of its own")
    if stage.name in (*TABLES, *HEAD):
        problems.add((*at, "name"), f'"{stage.name}" names another part of a recipe; choose another name')
    if stage.name in teachers:
        problems.add((*at, "name"), f'"{stage.name}" names a further teacher; choose another name')
    names.add(stage.name.lower())


def _check_training(recipe: Recipe, stage: TrainingStage, at: Key, problems: Problems) -> None:
    def place(key: str) -> Key:
        return (*at, "training", key) if key in stage.training else ("training", key)

    try:
        for key, message in why_not_scored(recipe, stage):
            problems.add(place(key), message)
    except ValidationError as error:
        for problem in error.errors():
            keys = [place(key) for key in problem.get("ctx", {}).get("keys", ())]
            own = [key for key in keys if key[0] == "stage"]
            if own:  # otherwise [training] has the problem by itself, and has told it
                problems.add(own[0], problem["msg"], *keys)


def _check_dtype(recipe: Recipe, role: Role, problems: Problems) -> None:
    """An update is small beside its weight: bfloat16's 8 bits round most of them away. LoRA's adapters are float32."""
    model = recipe.model(role)
    if model is None or model.lora is not None:
        return
    if model.quantization is not None:
        problems.add(
            place_of_model(role, "quantization"),
            f"{called(role)} is trained without LoRA, and weights of {model.quantization} cannot be trained; add lora",
        )
    elif model.dtype != "float32":
        problems.add(
            place_of_model(role, "dtype"),
            f"{called(role)} is trained without LoRA, and weights kept in {model.dtype} lose most updates to rounding; write "
            'dtype = "float32" here and precision = "bf16" in [training], or add lora',
        )


def _check_base(recipe: Recipe, stage: TrainingStage, problems: Problems) -> None:
    """What a model is without its adapter is at hand as long as it has one; a copy of all weights would be another model."""
    model, options = recipe.model(stage.role), stage.method_options()
    asked_for = (options.teacher_model, *options.teacher_names)
    if BASE in asked_for and model is not None and model.lora is None:
        problems.add(
            place_in_options(recipe, stage, BASE),
            f"{called(stage.role)} is trained without LoRA, so that there is no base of it, which it is without its "
            "adapter; add lora, or choose another model to learn from",
            place_of_model(stage.role, "lora"),
        )


def _check_beginning(
    recipe: Recipe, stage: TrainingStage, at: Key, earlier: Sequence[Stage], problems: Problems
) -> None:
    name = stage.student_from
    if name is None:
        return
    key, trained = (*at, "student_from"), _trained_by(earlier)
    if stage.role != STUDENT:
        problems.add(key, f"the stage trains {called(stage.role)}, which begins as its own table says")
    elif name not in trained:
        known = [n for n, role in trained.items() if recipe.may_begin_as(role)]
        _add_unknown(recipe, key, name, known, problems)
    elif not recipe.may_begin_as(trained[name]):
        problems.add(
            key,
            f'the stage "{name}" trains {called(trained[name])}, not the student, and the two do not begin with '
            "the same path",
            place_of_model(STUDENT, "path"),
        )


def _trained_by(stages: Sequence[Stage]) -> dict[str, Role]:
    """Which model each of the stages trains that train one."""
    return {stage.name: stage.role for stage in stages if stage.role is not None}


def _check_finetune(recipe: Recipe, stage: FinetuneStage, at: Key, problems: Problems) -> None:
    if stage.model == TEACHER and recipe.teacher is None:
        problems.add((*at, "model"), "the recipe has no [teacher] to train")
    elif stage.model not in recipe.models:
        known = [TEACHER, STUDENT, *recipe.teachers]
        problems.add((*at, "model"), f"there is no [teachers.{stage.model}]{hint(stage.model, known)}")
    if _needs_teacher(stage) or stage.teachers:
        problems.add(
            (*at, "method"),
            f'the method "{stage.method}" needs a teacher; use it in a distill stage',
            (*at, "options"),
        )


def _check_distill(
    recipe: Recipe, stage: DistillStage, at: Key, earlier: Sequence[Stage], problems: Problems
) -> None:
    if recipe.teacher is None and _needs_teacher(stage):
        problems.add(
            (*at, "method"),
            f'the method "{stage.plugin().method.name}" needs a teacher; add a [teacher] table',
        )
    for teacher in stage.teachers:
        if teacher != TEACHER and teacher not in recipe.teachers:
            instead = hint(teacher, [TEACHER, *recipe.teachers]) if recipe.teachers else "; add the table"
            problems.add(
                place_in_options(recipe, stage, teacher),
                f'the method "{stage.plugin().method.name}" asks for a teacher "{teacher}", and there is no '
                f"[teachers.{teacher}]{instead}",
            )
    name = stage.teacher_from
    if name is not None:
        key, trained = (*at, "teacher_from"), _trained_by(earlier)
        if name not in trained:
            _add_unknown(recipe, key, name, [n for n, role in trained.items() if role == TEACHER], problems)
        elif trained[name] != TEACHER:
            problems.add(
                key, f'the stage "{name}" trains {called(trained[name])}, not the model of [teacher]'
            )


def _check_models(
    recipe: Recipe, stage: EvaluateStage, at: Key, earlier: Sequence[Stage], problems: Problems
) -> None:
    trained = _trained_by(earlier)
    if not stage.models and not trained:
        problems.add((*at, "models"), "no stage before this one trains a model, and models names none")
    for name in dict.fromkeys(stage.models):
        model = recipe.model(name)
        if model is None and name != TEACHER:
            if name not in trained:
                known = [TEACHER, STUDENT, *recipe.teachers, *trained]
                _add_unknown(recipe, (*at, "models"), name, known, problems)
            continue
        finetuned = any(s.role is not None and s.result_name == name for s in earlier)
        if model is None:
            problems.add((*at, "models"), "the recipe has no [teacher] to evaluate")
        elif model.from_scratch is not None and not finetuned:
            others = [n for n, role in trained.items() if role == name]
            instead = f"; name the stages that train it: {', '.join(others)}" if others else ""
            problems.add(
                (*at, "models"), f"{called(name)} is from scratch and not trained before this stage{instead}"
            )


def _add_unknown(recipe: Recipe, key: Key, name: str, known: list[str], problems: Problems) -> None:
    if any(stage.name == name and stage.role is not None for stage in recipe.stages):
        message = f'the stage "{name}" does not come before this one'
    else:
        message = f'no stage before this one is called "{name}" and trains a model{hint(name, known)}'
    problems.add(key, message)


def _needs_teacher(stage: TrainingStage) -> bool:
    return stage.uses_teacher or stage.method_options().needs_teacher_target
