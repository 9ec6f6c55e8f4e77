"""What a card says of a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from made_runs import FINETUNE, HEAD, SFT, kid

from kdzoo.runs.export.method_described import method_lines, teacher_lines, training_lines
from kdzoo.runs.trained_stage import find_trained_stage

Make = Callable[..., Path]
RESULTS = {
    "finetune": {"examples": 3000, "steps": 1500, "training_seconds": 9000.0},
    "kid": {"examples": 1200, "steps": 75, "training_seconds": 600.0},
}


def test_a_method_is_told_with_its_options_and_paper(made_run: Make) -> None:
    lines = method_lines(find_trained_stage(made_run(FINETUNE, kid(0.25))))
    assert lines[0].startswith("- Method: `kid`: Reverse KL")
    assert lines[1] == (
        "- Training sequences: imperfect: masked, predicted, rewritten; divergence: KL(q‖p); auxiliary loss: MLE on y"
    )
    assert "`alpha = 0.25`" in lines[2]
    assert "`mask_eos = false`" in lines[2]
    assert lines[3].endswith("([arXiv 2410.11371](https://arxiv.org/abs/2410.11371))")


def test_so_is_what_comes_from_others(made_run: Make) -> None:
    mixed = f'{kid(0.25)}\ndivergence = {{ method = "gkd", options = {{ divergence = "jsd" }} }}'
    lines = method_lines(find_trained_stage(made_run(FINETUNE, mixed)))
    (part,) = (line for line in lines if line.startswith("- Its divergence is that of `gkd`"))
    assert '`divergence = "jsd"`' in part


def test_what_has_no_divergence_says_so(made_run: Make) -> None:
    lines = method_lines(find_trained_stage(made_run(SFT)))
    assert "divergence: none" in lines[1]
    assert lines[2] == "- Options: it has none"


def test_a_teacher_is_told_with_what_it_learnt_first(made_run: Make) -> None:
    lines = teacher_lines(find_trained_stage(made_run(FINETUNE, kid(0.25), results=RESULTS)))
    assert lines == [
        "- Teacher: t, after the stage `finetune` (method `sft`, 3,000 examples and 1,500 steps)"
    ]
    assert teacher_lines(find_trained_stage(made_run(kid(0.25), name="other"))) == ["- Teacher: t"]


def test_further_teachers_have_their_names(made_run: Make) -> None:
    head = f'{HEAD}\n[teachers.big]\npath = "owner/big"\n'
    multi = 'kind = "distill"\nmethod = "multi"\noptions = { weights = { teacher = 0.5, big = 0.5 } }'
    assert teacher_lines(find_trained_stage(made_run(multi, head=head))) == [
        "- Teacher: t",
        "- Teacher `big`: owner/big",
    ]


def test_there_may_be_none(made_run: Make) -> None:
    assert teacher_lines(find_trained_stage(made_run(SFT))) == [
        "- Teacher: none; it learns from the data alone"
    ]


def test_one_may_be_the_student_itself(made_run: Make) -> None:
    opsd = 'kind = "distill"\nmethod = "opsd"'
    head = HEAD.replace('path = "s"', 'path = "s"\nlora = { rank = 8 }')
    assert teacher_lines(find_trained_stage(made_run(opsd, head=head))) == [
        "- Teacher: none; it learns from its own 'base'"
    ]


def test_a_training_is_told_with_what_was_before_it(made_run: Make) -> None:
    head = HEAD.replace(
        'path = "s"', 'path = "s"\nlora = { rank = 8, alpha = 16, target_modules = ["q_proj"] }'
    )
    start = f'{FINETUNE}\nname = "start"\nmodel = "student"'
    stage = f'{kid(0.25)}\nstudent_from = "start"\ntraining = {{ max_steps = 75 }}'
    results = {"start": RESULTS["finetune"], "kid": RESULTS["kid"]}
    lines = training_lines(find_trained_stage(made_run(start, stage, head=head, seed=7, results=results)))
    assert lines[:2] == ["- Stage: `kid` of the recipe `source`, 1,200 examples and 75 steps", "- Seed: 7"]
    assert lines[2].startswith("- Settings: max_steps 75, batch_size 16, learning_rate 0.0002,")
    assert lines[3:] == [
        "- Adapter: LoRA of rank 8, alpha 16, dropout 0, on q_proj",
        "- Time: 10 min of training",
        "- Before that, the stage `start`: method `sft`, 3,000 examples and 1,500 steps",
    ]
    finetuned = {"finetune": {**RESULTS["finetune"], "best_step": 1200}}
    whole = training_lines(find_trained_stage(made_run(FINETUNE, results=finetuned, name="whole")))
    assert "- Weights: those after step 1,200, which had the best score while training" in whole
    assert "- Adapter: none; all weights were trained" in whole
    assert "- Time: 2.5 h of training" in whole
