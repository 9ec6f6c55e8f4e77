"""Small models, examples and a tokenizer for tests of the training step."""

import random
from dataclasses import replace

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from kdzoo.engine.prompts.batches import EncodedExample, make_batch
from kdzoo.engine.training.training_step import Moment

VOCABULARY = 60
BEGINNING = Moment(step=0, progress=0.0)


def make_tokenizer():
    words = {"<pad>": 0, "<s>": 1, "</s>": 2, **{f"t{i}": i for i in range(3, VOCABULARY)}}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="<pad>")),
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
    )


def make_examples(count, seed=0):
    source = random.Random(seed)
    draw = lambda n: [source.randrange(3, VOCABULARY) for _ in range(n)]  # noqa: E731
    beginnings = [draw(20), draw(24)]
    examples = [
        EncodedExample(
            i,
            beginnings[i % 2] + draw(source.randrange(1, 6)),
            [*draw(source.randrange(1, 7)), 2],
            group=str(i % 2),
            teacher_target=[*draw(source.randrange(1, 5)), 2],
        )
        for i in range(count)
    ]
    return [replace(e, privileged=[*e.prompt, 5, *e.target[:-1], 9, 4]) for e in examples]


METHODS = [
    ("sft", {}),
    ("fkd", {}),
    ("rkd", {"kd_weight": 0.5}),
    ("kid", {}),
    ("kid", {"mle_context": "imperfect", "strategy": "hard", "sample": True}),
    ("kid", {"strategy": "uniform", "rewrite": "mask_only"}),
    ("gkd", {}),
    ("gkd", {"lambda": 0.5, "seq_kd": True, "divergence": "jsd"}),
    ("imitkd", {}),
    ("imitkd", {"mix": "batch", "constant": 0.0}),
    ("fdistill", {}),
    ("fdistill", {"mix": "request"}),
    ("fdistill", {"mix": "both"}),
    ("fdistill", {"divergence": "js", "mix": "both"}),
    ("amid", {"data": "student", "mle_weight": 0.5}),
    ("opd", {}),
    ("opsd", {"teacher": "average", "skip_tokens": 1}),
    ("opsd", {"teacher": "student", "divergence": "rkl"}),
    ("seqkd", {"mle_weight": 0.5}),
    ("atkd", {}),
    ("atkd", {"data": "student", "mle_weight": 0.5}),
    ("taid", {"mle_weight": 0.5}),
    ("distillm", {"init_threshold": 1.0, "replay_ratio": "increasing"}),
    ("rskd", {"rounds": 5}),
    ("skd", {"top_k": 5}),
    ("dpkd", {}),
    ("minillm", {}),
    ("distillm2", {}),
    ("hidden", {"loss": "mse", "projection": "always", "layers": [1, -1], "teacher_layers": [0, 2]}),
]
NAMES = [f"{name}-{'-'.join(str(v) for v in options.values())}".strip("-") for name, options in METHODS]


def with_prepared(module, examples):
    """The examples with what the module's method prepares of them, if it prepares anything."""
    if not module.method.prepares:
        return examples
    batch = make_batch(examples, share_beginnings=True)
    prepared = module.prepare(batch)
    rows = {index: row for row, index in enumerate(batch.examples)}
    return [
        replace(
            example,
            prepared={name: tensor[rows[example.index]] for name, tensor in prepared.items()},
        )
        for example in examples
    ]


def gradients_of(module):
    return torch.cat([p.grad.flatten() for p in module.student.parameters() if p.grad is not None])


def step_of(module, examples):
    """The loss of one step and its gradients."""
    examples = with_prepared(module, examples)
    loss = module(make_batch(examples, share_beginnings=module.shares_beginnings), BEGINNING).total
    loss.backward()
    return loss.item(), gradients_of(module)
