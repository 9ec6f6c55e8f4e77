"""In every architecture each row's loss, gradients and greedy text are those of the row alone, however it is run.

The oracle is the plain model: one row without padding, mask or cache in one forward pass, and for text one such pass
a token.
"""

import random

import pytest
import torch
from architecture_switches import SWITCHES
from architectures import ARCHITECTURES, VOCABULARY, tiny
from torch.nn.functional import cross_entropy

from kdzoo.engine.models.eval_mode import evaluating
from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.prompts.conditioned_model import condition
from kdzoo.engine.prompts.probe.choice import choose_way
from kdzoo.engine.prompts.sampling import SamplingLimits
from kdzoo.engine.prompts.way import PrefixCached
from kdzoo.methods.randomness import StepGenerator
from kdzoo.methods.sequences import Sequences, Source

OUTPUT = 9
END = 2

# What CI runs on every change; the option --all-architectures adds the others.
USUAL = [
    "bart",
    "bert",
    "bloom",
    "codegen",
    "cohere",
    "deepseek_v3",
    "falcon",
    "gemma",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_neo",
    "gpt_neox",
    "gpt_oss",
    "granite",
    "jamba",
    "lfm2",
    "llama",
    "mamba",
    "mamba2",
    "minimax",
    "mistral",
    "mixtral",
    "mpt",
    "olmo2",
    "opt",
    "phi",
    "phi3",
    "phimoe",
    "qwen2",
    "qwen3",
    "qwen3_moe",
    "qwen3_next",
    "recurrent_gemma",
    "roberta",
    "rwkv",
    "stablelm",
    "starcoder2",
    "xlstm",
]


class OracleRow:
    """What one row has alone."""

    def __init__(self, model, prompt, sequences, weight):
        self.losses = []
        for tokens in sequences:
            logits = model(input_ids=torch.tensor([prompt + tokens]), use_cache=False).logits[
                0, len(prompt) - 1 : -1
            ]
            self.losses.append(cross_entropy(logits, torch.tensor(tokens), reduction="sum"))
        (weight * sum(self.losses)).backward()
        self.losses = [loss.item() for loss in self.losses]
        self.text = []
        with torch.no_grad(), evaluating(model.modules()):
            while len(self.text) < OUTPUT and END not in self.text:
                logits = model(input_ids=torch.tensor([prompt + self.text]), use_cache=False).logits[0, -1]
                self.text.append(int(logits.argmax()))


def gradients_of(model):
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def losses_of_rows(conditioned, sequences):
    logits = conditioned.logits(sequences)
    losses = cross_entropy(logits.transpose(1, 2), sequences.tokens, reduction="none")
    return (losses * sequences.mask).sum(1)


def assert_rows_are_what_they_are_alone(model, rows):
    """``rows`` are (prompt, target, other sequence), of token ids."""
    model.train()
    weights = [1.0 + i / len(rows) for i in range(len(rows))]
    model.zero_grad()
    oracle = [OracleRow(model, p, (t, o), w) for (p, t, o), w in zip(rows, weights, strict=True)]
    expected_gradients = gradients_of(model)
    examples = [EncodedExample(i, prompt, target) for i, (prompt, target, _) in enumerate(rows)]
    ways = {}
    for sharing in ("on", "prompt", "off"):
        way = choose_way(
            model,
            "student",
            prompt=max(len(prompt) for prompt, _, _ in rows),
            output=OUTPUT,
            sharing=sharing,
            trains=True,
        )
        ways[sharing] = way
        batch = make_batch(examples, share_beginnings=sharing == "on" and isinstance(way, PrefixCached))
        other = Sequences.of([rows[i][2] for i in batch.examples], Source.IMPERFECT)
        conditioned = condition(
            model,
            batch,
            SamplingLimits(OUTPUT, (END,)),
            StepGenerator(0, 0, batch.examples),
            source=Source.STUDENT,
            way=way,
            trains=True,
        )
        model.zero_grad()
        conditioned.score_together(batch.target, other)
        losses = torch.stack([losses_of_rows(conditioned, s) for s in (batch.target, other)], dim=1)
        (losses.sum(1) * torch.tensor([weights[i] for i in batch.examples])).sum().backward()
        expected = torch.tensor([oracle[i].losses for i in batch.examples])
        torch.testing.assert_close(losses.detach(), expected, rtol=1e-5, atol=1e-5)
        difference = (gradients_of(model) - expected_gradients).norm() / expected_gradients.norm()
        assert difference <= 1e-5, f"{sharing}: the gradients differ by {difference:.1e}"
        generated = conditioned.generate(temperature=0)
        for i, tokens, length in zip(
            batch.examples, generated.tokens.tolist(), generated.lengths.tolist(), strict=True
        ):
            assert tokens[:length] == oracle[i].text, f"{sharing}: the text of row {i}"
    return ways


@pytest.fixture(scope="module")
def rows():
    """Uneven groups: a long beginning with short rests, a short one with long rests, and two prompts of their own.

    The longest prompt has 49 tokens, the longest row 58; with the padding of the groups a row takes 82 columns.
    """
    source = random.Random(0)

    def draw(count):
        return [source.randrange(3, VOCABULARY) for _ in range(count)]

    long, short = draw(46), draw(18)
    prompts = [long + draw(1), long + draw(3), short + draw(27), short + draw(24), draw(2), draw(21)]
    targets = [[*draw(count), END] for count in (8, 2, 5, 0, 8, 3)]
    others = [[*target[:2], *draw(count)] for target, count in zip(targets, (3, 6, 0, 4, 2, 6), strict=True)]
    return list(zip(prompts, targets, others, strict=True))


@pytest.mark.parametrize(
    "architecture",
    [
        name if name in USUAL else pytest.param(name, marks=pytest.mark.all_architectures)
        for name in sorted(ARCHITECTURES)
    ],
)
def test_rows_are_what_they_are_alone(rows, architecture):
    assert_rows_are_what_they_are_alone(tiny(architecture), rows)


@pytest.mark.parametrize("case", sorted(SWITCHES))
def test_rows_are_what_they_are_alone_across_what_depends_on_length(rows, case):
    architecture, settings = SWITCHES[case]
    ways = assert_rows_are_what_they_are_alone(tiny(architecture, **settings), rows)
    if not case.endswith("within") and architecture != "cohere2":
        assert isinstance(ways["on"], PrefixCached), "no row is that long: prompts can be shared"


@pytest.mark.parametrize(
    "architecture", ["llama", "mistral", "qwen2", "gemma2", "gpt2", "opt", "phi3", "qwen3_moe"]
)
def test_the_common_architectures_share_prompts_and_pack_sequences(rows, architecture):
    way = choose_way(tiny(architecture), "student", prompt=49, output=OUTPUT, trains=True)
    assert way == PrefixCached(packs=True, widest=None, repeatable=True)
