"""What ends a sequence of a model: the tokenizer's end, and those that its generation configuration names."""

import pytest
import tokenizer_kinds
import torch
from peft import LoraConfig

from kdzoo.engine.models.end_tokens import end_ids, ending_at
from kdzoo.engine.models.loading import add_lora


class TestEnds:
    @pytest.fixture
    def tokenizer(self):
        return tokenizer_kinds.qwen()

    def model(self, make_model, tokenizer, ends):
        model = make_model("llama", vocabulary=len(tokenizer))
        model.generation_config.eos_token_id = ends
        return model

    def ids(self, tokenizer, *names):
        return tokenizer.convert_tokens_to_ids(list(names))

    def test_they_are_those_of_all_models_the_tokenizer_s_first(self, make_model, tokenizer):
        text, turn = self.ids(tokenizer, "<|endoftext|>", "<|im_end|>")
        assert text < turn
        one, both = self.model(make_model, tokenizer, text), self.model(make_model, tokenizer, [turn, text])
        assert end_ids(tokenizer) == (turn,)
        assert (
            end_ids(tokenizer, one)
            == end_ids(tokenizer, both)
            == end_ids(tokenizer, one, both)
            == (turn, text)
        )
        assert end_ids(tokenizer, self.model(make_model, tokenizer, None)) == (turn,)
        assert end_ids(tokenizer, add_lora(one, LoraConfig(r=2, task_type="CAUSAL_LM"), 0)) == (turn, text)

    def test_what_can_stand_in_a_text_is_no_end(self, make_model, tokenizer):
        # a default of the architecture, and an id that the tokenizer does not have
        (turn,) = self.ids(tokenizer, "<|im_end|>")
        assert end_ids(tokenizer, self.model(make_model, tokenizer, [2, 50256])) == (turn,)


class TestEndingAt:
    """Plain ``generate`` under it takes the most probable token, whatever the checkpoint's own configuration says."""

    PROMPT = torch.tensor([[1, 5, 9]])

    def greedy(self, model, ends, count):
        """The most probable token, one plain forward pass after another."""
        tokens = self.PROMPT
        for _ in range(count):
            with torch.no_grad():
                tokens = torch.cat([tokens, model(tokens).logits[:, -1:].argmax(-1)], dim=1)
            if int(tokens[0, -1]) in ends:
                break
        return tokens

    @pytest.fixture(params=[False, True], ids=["whole", "adapter"])
    def model(self, make_model, request):
        model = make_model("llama", lora=request.param).eval()
        base = model.get_base_model() if request.param else model
        base.generation_config.update(
            do_sample=True,
            temperature=5.0,
            repetition_penalty=9.0,
            no_repeat_ngram_size=1,
            num_beams=3,
            min_length=9,
        )
        return model

    def test_it_is_greedy(self, model):
        expected = self.greedy(model, {2}, 12)
        assert torch.equal(
            model.generate(self.PROMPT, generation_config=ending_at(model, (2,), 0), max_new_tokens=12),
            expected,
        )

    def test_it_stops_at_each_of_the_ends(self, model):
        whole = self.greedy(model, (), 12)[0].tolist()
        ends = (59, whole[5])  # the third that is generated, or the same token before it
        expected = self.greedy(model, ends, 12)
        assert expected.shape[1] < len(whole)
        given = model.generate(self.PROMPT, generation_config=ending_at(model, ends, 0), max_new_tokens=12)
        assert torch.equal(given, expected)

    @pytest.mark.parametrize(("pad", "expected"), [(0, 0), (7, 7), (None, 4)])
    def test_without_padding_of_its_own_it_pads_with_the_first_end(self, model, pad, expected):
        settings = ending_at(model, (4, 2), pad)
        assert (settings.eos_token_id, settings.pad_token_id, settings.bos_token_id) == ([4, 2], expected, 1)
