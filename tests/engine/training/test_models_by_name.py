"""Models by name in a whole step: losses by hand from plain forward passes of copies, however the batch is run or split."""

import copy
from dataclasses import replace

import pytest
import torch
from keeping_method import HOOKS, keeping
from tiny_training import BEGINNING, make_examples
from transformers import TrainingArguments

from kdzoo import Options, Source, divergences
from kdzoo.engine.losses import scored_hidden_states as scored_module
from kdzoo.engine.prompts.batches import make_batch
from kdzoo.engine.training import models_by_name
from kdzoo.engine.training.checkpoints import CHECKPOINTS
from kdzoo.engine.training.train import train
from kdzoo.errors import RunError


class Named(Options):
    """Options that ask for whatever a test wants."""

    names: tuple[str, ...] = ()
    decay: float | None = None
    template: str | None = None
    teacher: str = "teacher"
    privileged: bool = False

    teacher_names = property(lambda self: self.names)
    average_decay = property(lambda self: self.decay)
    privileged_prompt = property(lambda self: self.template)
    teacher_model = property(lambda self: self.teacher)
    teacher_is_privileged = property(lambda self: self.privileged)


def method(options=None, **hooks):
    """A method with these hooks and no others."""
    nothing = dict.fromkeys(hook.__name__ for hook in HOOKS)
    return replace(keeping(**{**nothing, **hooks}), options=options or Named())


def forward_kl(student_logits, teacher_logits):
    return divergences.forward_kl(student_logits, teacher_logits)


def move(module, seed=0):
    """Change the trained weights, as an optimizer's step would."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in module.student.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.2)


def log_probabilities(model, prompts, sequences):
    """Log q in float64 [T, V] of each row, by plain transformers."""
    model = copy.deepcopy(model).double().eval()
    found = []
    for prompt, row, length in zip(
        prompts, sequences.tokens.tolist(), sequences.lengths.tolist(), strict=True
    ):
        with torch.no_grad():
            logits = model(torch.tensor([prompt + row[:length]])).logits[0, len(prompt) - 1 : -1]
        found.append(logits.log_softmax(-1))
    return torch.cat(found)


def mean_kl(log_p, log_q):
    return float((log_p.exp() * (log_p - log_q)).sum(-1).mean())


def weights_of(name, module, initial):
    """A plain model that is what the module's model of that name is."""
    if name == "base":
        return copy.deepcopy(module.student).unload()
    return {"student": module.student, "average": initial}[name]


@pytest.mark.parametrize(
    ("name", "privileged", "sharing", "chunk"),
    [
        ("student", False, "on", 1 << 24),
        ("student", True, "on", 300),
        ("student", True, "off", 1 << 24),
        ("base", False, "on", 1 << 24),
        ("base", True, "on", 300),
        ("average", False, "off", 1 << 24),
        ("average", True, "on", 300),
    ],
)
def test_the_student_may_teach_itself(make_module, name, privileged, sharing, chunk, monkeypatch):
    monkeypatch.setattr(scored_module, "CHUNK_ELEMENTS", chunk)
    options = Named(teacher=name, privileged=privileged, template="{prompt}", decay=1.0)
    module = make_module(method(options, divergence=forward_kl), sharing, lora=True)
    initial = copy.deepcopy(module.student)
    move(module)
    batch = make_batch(make_examples(6), share_beginnings=module.shares_beginnings)
    loss = module(batch, BEGINNING)
    loss.total.backward()
    prompts = batch.privileged[0] if privileged else batch.prompts
    log_p = log_probabilities(weights_of(name, module, initial), prompts, batch.target)
    log_q = log_probabilities(module.student, batch.prompts, batch.target)
    assert float(loss.divergence) == pytest.approx(mean_kl(log_p, log_q), rel=1e-4, abs=1e-6)
    # gradients are the student's own, which has not been given the other's prompts or weights
    found = torch.cat([p.grad.flatten() for p in module.student.parameters() if p.requires_grad])
    again = copy.deepcopy(module.student).double().eval()
    expected = sum(
        -(
            row_p.exp()
            * again(torch.tensor([prompt + row[:n]])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        ).sum()
        for prompt, row, n, row_p in zip(
            batch.prompts,
            batch.target.tokens.tolist(),
            batch.target.lengths.tolist(),
            log_p.split(batch.target.lengths.tolist()),
            strict=True,
        )
    ) / int(batch.target.lengths.sum())
    again.zero_grad()
    expected.backward()
    wanted = torch.cat([p.grad.flatten() for p in again.parameters() if p.requires_grad])
    assert (found - wanted).norm() <= 1e-4 * max(wanted.norm(), 1e-3)


def test_a_divergence_reads_other_models_logits_by_name(make_module, make_model, monkeypatch):
    monkeypatch.setattr(scored_module, "CHUNK_ELEMENTS", 300)
    seen = []

    def divergence(student_logits, teacher_logits, other_logits):
        seen.append(set(other_logits))
        assert len(other_logits) == 5
        losses = torch.zeros(())
        for weight, name in enumerate(("teacher", "wide", "base", "average"), start=1):
            assert not other_logits[name].requires_grad
            assert other_logits[name] is other_logits[name]
            losses = losses + weight * divergences.forward_kl(student_logits, other_logits[name])
        assert torch.equal(other_logits["teacher"], teacher_logits)
        return losses

    others = {"wide": make_model("qwen2", seed=7), "unread": make_model("llama", seed=8)}
    options = Named(names=("wide", "unread"), decay=1.0)
    module = make_module(method(options, divergence=divergence), lora=True, others=others)
    models = {
        "teacher": module.models.underlying("teacher"),
        "wide": copy.deepcopy(others["wide"]),
        "base": copy.deepcopy(module.student).unload(),
        "average": copy.deepcopy(module.student),
    }
    others["unread"].forward = others["unread"].model.forward = None  # to run it is an error
    move(module)
    batch = make_batch(make_examples(6), share_beginnings=True)
    loss = float(module(batch, BEGINNING).divergence)
    log_q = log_probabilities(module.student, batch.prompts, batch.target)
    expected = sum(
        weight * mean_kl(log_probabilities(models[name], batch.prompts, batch.target), log_q)
        for weight, name in enumerate(models, start=1)
    )
    assert loss == pytest.approx(expected, rel=1e-4)
    assert seen[0] == {"teacher", "wide", "unread", "base", "average"}


def test_a_model_of_another_vocabulary_is_cut_to_the_shared_one(make_module, make_model):
    def divergence(student_logits, teacher_logits, other_logits):
        assert student_logits.shape == teacher_logits.shape == other_logits["wide"].shape
        assert student_logits.shape[1] == 50
        return divergences.forward_kl(student_logits, other_logits["wide"])

    wide = make_model("llama", seed=7, vocabulary=50)
    module = make_module(method(Named(names=("wide",)), divergence=divergence), others={"wide": wide})
    assert module.limits.vocabulary == 50
    examples = [
        replace(e, prompt=[t % 50 for t in e.prompt], target=[t % 50 for t in e.target])
        for e in make_examples(3)
    ]
    assert torch.isfinite(module(make_batch(examples, share_beginnings=True), BEGINNING).total)


class TestInAStep:
    def test_the_same_call_gives_the_same_object_and_the_student_is_itself(self, make_module, make_model):
        seen = []

        def aux_loss(step):
            names = ("student", "teacher", "base", "average", "wide")
            seen.append([step.model(name) is step.model(name) for name in names])
            seen.append(step.model("student") is step.student)
            seen.append(step.model("teacher") is step.teacher)
            seen.append(step.model("base") is step.model("base", privileged=True))
            return step.student.cross_entropy(step.target)

        options = Named(names=("wide",), decay=0.5, template="{prompt}")
        others = {"wide": make_model("llama", seed=7)}
        module = make_module(method(options, aux_loss=aux_loss), lora=True, others=others)
        module(make_batch(make_examples(4), share_beginnings=True), BEGINNING)
        assert seen == [[True] * 5, True, True, False]

    @pytest.mark.parametrize("sharing", ["on", "off"])
    def test_a_student_that_reads_the_privileged_prompts_is_trained_by_its_losses(self, make_module, sharing):
        options = Named(template="{prompt}")
        hooks = {"aux_loss": lambda step: step.model("student", privileged=True).cross_entropy(step.target)}
        module = make_module(method(options, **hooks), sharing)
        examples = make_examples(5)
        loss = module(make_batch(examples, share_beginnings=module.shares_beginnings), BEGINNING).total
        loss.backward()
        found = torch.cat([p.grad.flatten() for p in module.student.parameters()])
        module.zero_grad()
        plain = make_module(method(aux_loss=lambda step: step.student.cross_entropy(step.target)), "off")
        swapped = [replace(example, prompt=example.privileged) for example in examples]
        expected = plain(make_batch(swapped, share_beginnings=False), BEGINNING).total
        expected.backward()
        wanted = torch.cat([p.grad.flatten() for p in plain.student.parameters()])
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
        assert (found - wanted).norm() <= 1e-5 * wanted.norm()

    def test_what_models_generate_is_of_the_student_or_of_a_teacher(self, make_module):
        seen = {}

        def make_training_sequence(step):
            for name, privileged in (
                ("student", False),
                ("student", True),
                ("base", True),
                ("teacher", False),
            ):
                made = step.model(name, privileged=privileged).generate(temperature=0)
                seen[name, privileged] = set(made.sources.tolist())
            seen["teacher"] = set(step.teacher.generate(temperature=0).sources.tolist())
            return step.target

        options = Named(teacher="student", privileged=True, template="{prompt}")
        hooks = {"make_training_sequence": make_training_sequence, "divergence": forward_kl}
        module = make_module(method(options, **hooks), lora=True)
        module(make_batch(make_examples(4), share_beginnings=True), BEGINNING)
        assert seen == {
            ("student", False): {Source.STUDENT},
            ("student", True): {Source.STUDENT},
            ("base", True): {Source.TEACHER},
            ("teacher", False): {Source.TEACHER},
            "teacher": {Source.TEACHER},
        }

    @pytest.mark.parametrize(
        ("ask", "words"),
        [
            (lambda step: step.model("base"), "this student has none: train it with lora"),
            (lambda step: step.model("average"), r"Options\.average_decay must be a number"),
            (lambda step: step.model("wid"), r'"wid", .* did you mean "wide"'),
            (
                lambda step: step.model("wide", privileged=True),
                r"Options\.privileged_prompt must be the text",
            ),
        ],
    )
    def test_a_model_that_is_not_there_is_named(self, make_module, make_model, ask, words):
        others = {"wide": make_model("llama", seed=7)}
        hooks = {"aux_loss": lambda step: ask(step).cross_entropy(step.target)}
        module = make_module(method(Named(names=("wide",)), **hooks), others=others)
        examples = [replace(example, privileged=None) for example in make_examples(3)]
        with pytest.raises(RunError, match=words):
            module(make_batch(examples, share_beginnings=True), BEGINNING)

    def test_other_logits_know_no_student(self, make_module):
        hooks = {
            "divergence": lambda student_logits, other_logits: (
                student_logits.sum(-1) * other_logits["student"]
            )
        }
        module = make_module(method(**hooks))
        with pytest.raises(RunError, match='uses a model "student"'):
            module(make_batch(make_examples(3), share_beginnings=True), BEGINNING)


def test_a_base_that_a_student_does_not_have_is_told_before_training(make_module):
    with pytest.raises(RunError, match="this student has none: train it with lora"):
        make_module(method(Named(teacher="base"), divergence=forward_kl))


def test_setup_is_told_the_shapes_of_the_models_that_teach(make_module, make_model):
    seen = []

    def setup(context):
        seen.append(context)

    module = make_module(
        method(Named(teacher="wide", names=("wide",)), setup=setup, divergence=forward_kl),
        others={"wide": make_model("llama", seed=7, hidden_size=48, vocabulary=70)},
    )
    assert seen[0].others["wide"] == seen[0].teacher
    assert (seen[0].teacher.hidden_size, seen[0].teacher.vocabulary) == (48, 70)
    assert not any(p.requires_grad for p in module.models.underlying("wide").parameters())


def test_how_a_model_is_run_is_found_out_on_prompts_as_long_as_it_is_given(make_module, monkeypatch):
    asked = []
    choose_way = models_by_name.choose_way

    def choose(model, role, **settings):
        asked.append((role, settings["prompt"], settings["trains"]))
        return choose_way(model, role, **settings)

    monkeypatch.setattr(models_by_name, "choose_way", choose)
    options = Named(teacher="average", privileged=True, template="{prompt}", decay=0.9)
    module = make_module(method(options, divergence=forward_kl), limits=(30, 41))
    assert asked == [("student", 30, True), ("student", 41, False), ("teacher", 30, False)]
    module(make_batch(make_examples(4), share_beginnings=True), BEGINNING)
    assert len(asked) == 3  # none is found out again


def examples_without_privileged(count):
    return [replace(example, privileged=None) for example in make_examples(count)]


def test_what_nobody_uses_costs_nothing(make_module):
    module = make_module("fkd")
    assert module.average is None
    assert make_batch(examples_without_privileged(3), share_beginnings=True).privileged is None


class TestTraining:
    """Whole trainings of a student that learns from its average, which reads privileged prompts."""

    @staticmethod
    def arguments(folder, micro, **changes):
        return TrainingArguments(
            str(folder / CHECKPOINTS),
            per_device_train_batch_size=micro,
            gradient_accumulation_steps=4 // micro,
            max_steps=5,
            learning_rate=1e-2,
            seed=0,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            **changes,
        )

    @staticmethod
    def module(make_module, lora=True):
        options = Named(teacher="average", privileged=True, template="{prompt}", decay=0.7)
        hooks = {
            "make_training_sequence": lambda step: step.student.generate(),
            "divergence": lambda student_logits, teacher_logits: divergences.jensen_shannon(
                student_logits, teacher_logits, 0.5
            ),
            "aux_loss": lambda step: step.student.cross_entropy(step.target),
        }
        return make_module(method(options, **hooks), lora=lora)

    @pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
    def test_the_average_follows_every_optimizer_step_whatever_parts_its_batch_is_split_into(
        self, make_module, tmp_path, lora, monkeypatch
    ):
        finals = []
        for micro in (4, 2):
            module, seen = self.module(make_module, lora), []
            trained = [(n, p) for n, p in module.student.named_parameters() if p.requires_grad]
            expected = {name: p.detach().double().clone() for name, p in trained}
            step = torch.optim.AdamW.step

            def after(self, *given, expected=expected, trained=trained, step=step, seen=seen):
                step(self, *given)
                seen.append(True)
                for name, parameter in trained:
                    expected[name] = 0.7 * expected[name] + 0.3 * parameter.detach().double()

            monkeypatch.setattr(torch.optim.AdamW, "step", after)
            folder = tmp_path / f"{micro}"
            train(module, make_examples(14), folder, self.arguments(folder, micro), lambda *_: None)
            monkeypatch.setattr(torch.optim.AdamW, "step", step)
            assert len(seen) == 5
            with module.average.block():
                found = {
                    n: p.detach().double() for n, p in module.student.named_parameters() if n in expected
                }
            for name, value in expected.items():
                torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-7)
            finals.append(found)
        whole, parts = finals
        for name, value in whole.items():
            torch.testing.assert_close(parts[name], value, rtol=1e-2, atol=1e-3)

    @pytest.mark.parametrize("lora", [False, True], ids=["full", "lora"])
    def test_stopped_and_continued_it_ends_as_if_it_had_not_been(self, make_module, tmp_path, lora):
        results = []
        for name, stops in (("whole", (None,)), ("parts", (1, 2, None))):
            arguments = self.arguments(tmp_path / name, 4)
            for stop in stops:
                module = self.module(make_module, lora)
                asked = iter(range(1, 6))
                train(
                    module,
                    make_examples(14),
                    tmp_path / name,
                    arguments,
                    lambda *_: None,
                    lambda asked=asked, stop=stop: next(asked) == stop,
                )
            with module.average.block():
                average = [p.detach().clone() for p in module.student.parameters()]
            results.append((average, [p.detach().clone() for p in module.student.parameters()]))
        (average, weights), (average_continued, continued) = results
        assert all(torch.equal(*pair) for pair in zip(weights, continued, strict=True))
        assert all(torch.equal(*pair) for pair in zip(average, average_continued, strict=True))
        assert not all(torch.equal(*pair) for pair in zip(average, weights, strict=True))
