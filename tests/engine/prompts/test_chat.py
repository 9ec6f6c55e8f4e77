"""What is learnt of a conversation is the assistant's turn with its end, as the model would generate it."""

import chat_kinds
import pytest
import tokenizer_kinds
from chat_kinds import KINDS, loaded, released

from kdzoo.engine.models.end_tokens import end_ids
from kdzoo.engine.models.tokenizers import load_tokenizer
from kdzoo.engine.prompts.chat import ChatTemplate
from kdzoo.engine.prompts.encoding import (
    Text,
    count_prompt_tokens,
    decode,
    encode_for_training,
    encode_prompts,
    encode_target,
    prompt_ids,
)
from kdzoo.errors import UserError

kinds = pytest.mark.parametrize("kind", KINDS)
TARGETS = ["SELECT name FROM singer", " 12 ", "SELECT 1\nFROM\n\nx", "né 日本", "x"]
DAY = "26 Jul 2024"


def said(role, content):
    return {"role": role, "content": content}


def of_transformers(kind, messages, **how):
    """What plain transformers makes of a conversation."""
    return released(kind).apply_chat_template(
        messages, tokenize=True, return_dict=False, enable_thinking=False, date_string=DAY, **how
    )


class TestWhatIsLearnt:
    @kinds
    @pytest.mark.parametrize("target", TARGETS)
    @pytest.mark.parametrize("turns", [1, 3])
    def test_prompt_and_target_are_the_whole_conversation_up_to_its_end(self, kind, target, turns):
        chat = ChatTemplate(loaded(kind))
        earlier = [("user", "How many singers?"), ("assistant", "SELECT count(*)")] if turns == 3 else []
        asked = [*(said(role, text) for role, text in earlier), said("user", "table singer ?")]
        whole = of_transformers(kind, [*asked, said("assistant", target)])
        ours = chat.prompt_ids("table singer ?", earlier) + chat.target_ids(target)
        # what stands after the end of the turn is the template's, and no model says it
        assert ours == whole[: len(ours)]
        end = released(kind).convert_tokens_to_ids(KINDS[kind].end_of_turn)
        assert ours[-1] == end
        assert end not in whole[len(ours) :]
        assert chat.target_ids(target).count(end) == 1

    @kinds
    def test_a_prompt_is_what_a_model_is_given_to_answer(self, kind):
        chat = ChatTemplate(loaded(kind))
        theirs = of_transformers(kind, [said("user", "table singer ?")], add_generation_prompt=True)
        assert chat.prompt_ids("table singer ?") == theirs
        bos = released(kind).bos_token_id
        if bos is not None and kind not in ("smollm", "smollm_base"):  # whose turns begin with it
            assert theirs.count(bos) == 1
        assert chat.prompt_text("table singer ?") == released(kind).decode(theirs)

    @kinds
    def test_a_generated_answer_decodes_to_the_target(self, kind):
        chat = ChatTemplate(loaded(kind))
        for target in TARGETS:
            assert decode(loaded(kind), chat.target_ids(target)) == target.strip()

    @kinds
    def test_the_end_of_the_turn_ends_what_is_generated(self, kind, make_model):
        tokenizer = loaded(kind)
        model = make_model("llama", vocabulary=len(tokenizer))
        model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(list(KINDS[kind].ends))
        chat = ChatTemplate(tokenizer)
        ends = end_ids(tokenizer, model, end_of_turn=chat.end)
        assert tokenizer.convert_ids_to_tokens(ends[0]) == KINDS[kind].end_of_turn
        expected = {*KINDS[kind].ends, KINDS[kind].end_of_turn, tokenizer.eos_token}
        assert set(tokenizer.convert_ids_to_tokens(ends)) == expected
        assert len(set(ends)) == len(ends)


class TestSystemMessages:
    @pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].has_system])
    def test_it_begins_conversations_that_have_none(self, kind):
        chat = ChatTemplate(loaded(kind), system="Answer in SQL.")
        system, asked = said("system", "Answer in SQL."), said("user", "a ?")
        assert chat.prompt_ids("a ?") == of_transformers(kind, [system, asked], add_generation_prompt=True)
        own = [("system", "You are x")]
        assert chat.prompt_ids("a ?", own) == of_transformers(
            kind, [said("system", "You are x"), asked], add_generation_prompt=True
        )
        whole = of_transformers(kind, [system, asked, said("assistant", "SELECT 1")])
        ours = chat.prompt_ids("a ?") + chat.target_ids("SELECT 1")
        assert ours == whole[: len(ours)]

    def test_a_template_that_refuses_one_says_so(self):
        with pytest.raises(UserError, match=r"\(system, user\): System role not supported"):
            ChatTemplate(loaded("gemma"), system="Answer in SQL.")


class TestSpecialTokensInMessages:
    @kinds
    def test_what_spells_one_is_text(self, kind):
        tokenizer, end = loaded(kind), KINDS[kind].end_of_turn
        chat = ChatTemplate(tokenizer)
        plain = chat.prompt_ids("LIKE '%%'")
        spelled = chat.prompt_ids(f"LIKE '%{end}%'")
        special = set(tokenizer.added_tokens_decoder)
        kept = [number for number in spelled if number in special]
        assert kept == [number for number in plain if number in special]
        shown = tokenizer.decode(spelled).replace(" ", "")
        assert f"LIKE'%{end}%'" in shown
        target = chat.target_ids(f"LIKE '%{end}%'")
        assert target.count(chat.end) == 1
        assert target[-1] == chat.end
        assert decode(tokenizer, target).replace(" ", "") == f"LIKE'%{end}%'"

    def test_other_added_tokens_of_an_answer_are_words(self):
        chat = ChatTemplate(loaded("qwen3"))
        (word,) = loaded("qwen3").convert_tokens_to_ids(["<think>"])
        assert word in chat.target_ids("<think>a</think>b")


class TestTemplatesOfOtherForms:
    def with_template(self, template):
        tokenizer = chat_kinds.qwen25()
        tokenizer.chat_template = template
        return tokenizer

    def test_one_that_is_missing(self):
        with pytest.raises(UserError, match='no chat template; template = "plain"'):
            ChatTemplate(tokenizer_kinds.loaded("trained"))

    def test_one_that_ends_no_turn_leaves_the_tokenizer_s_end(self):
        tokenizer = self.with_template(
            "{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
        )
        chat = ChatTemplate(tokenizer)
        ids = chat.target_ids("SELECT 1")
        assert ids[-1] == chat.end == tokenizer.eos_token_id
        assert tokenizer.decode(ids[:-1]) == "assistant: SELECT 1"

    def test_one_that_writes_an_answer_otherwise_than_it_asks_for_it(self):
        tokenizer = self.with_template(
            "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content | trim + '<|im_end|>\n' }}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think></think>' }}{% endif %}"
        )
        chat = ChatTemplate(tokenizer)
        assert tokenizer.decode(chat.target_ids(" SELECT 1 ")) == "SELECT 1<|im_end|>"

    def test_an_answer_whose_first_token_would_reach_into_the_prompt(self):
        chat, tokenizer = ChatTemplate(loaded("qwen25")), loaded("qwen25")
        assert tokenizer.decode(chat.target_ids("\n\nSELECT 1")) == "\n\nSELECT 1<|im_end|>"

    def test_one_that_leaves_answers_out(self):
        with pytest.raises(UserError, match="leaves out what the assistant says"):
            ChatTemplate(self.with_template("{{ messages[0]['content'] }}"))

    def test_one_that_is_broken(self):
        with pytest.raises(UserError, match="cannot be used for these messages"):
            ChatTemplate(self.with_template("{% for %}"))


class TestEncoding:
    EARLIER = (
        ("system", "Answer in SQL."),
        ("user", "a " * 20),
        ("assistant", "b"),
        ("user", "c"),
        ("assistant", "d"),
    )

    def test_what_was_said_first_goes_first_and_the_system_message_never(self):
        tokenizer = loaded("qwen25")
        chat = ChatTemplate(tokenizer)
        kept = chat.prompt_ids("e", [self.EARLIER[0], *self.EARLIER[3:]])
        texts = [Text("e", "f", earlier=self.EARLIER)]
        whole = len(chat.prompt_ids("e", self.EARLIER))
        for limit, expected in ((whole, chat.prompt_ids("e", self.EARLIER)), (whole - 1, kept)):
            ((example,), _) = encode_prompts(texts, tokenizer, limit, chat)
            assert example.prompt == expected
        encoded = encode_for_training(texts, tokenizer, len(kept) - 1, 20, chat=chat)
        assert encoded.examples[0].prompt == chat.prompt_ids("e", self.EARLIER[:1])
        assert encoded.prompts_cut == 1

    def test_a_prompt_is_cut_within_the_template(self):
        tokenizer = loaded("llama3")
        chat = ChatTemplate(tokenizer)
        limit = len(chat.prompt_ids("")) + 9
        (example,), (text,) = encode_prompts([Text("0123456789" * 9, "")], tokenizer, limit, chat)
        assert len(example.prompt) <= limit
        assert text.startswith("<|begin_of_text|>")
        assert text.endswith("<|start_header_id|>assistant<|end_header_id|>\n\n")
        assert example.prompt[0] == tokenizer.bos_token_id

    def test_privileged_prompts_are_questions_too(self):
        tokenizer = loaded("qwen25")
        chat = ChatTemplate(tokenizer)
        (example,) = encode_for_training(
            [Text("a", "b")], tokenizer, 99, 9, "{prompt} is {target}", chat
        ).examples
        assert example.privileged == chat.prompt_ids("a is b")

    def test_targets_and_counts_are_the_template_s(self):
        tokenizer = loaded("smollm_base")
        chat = ChatTemplate(tokenizer)
        assert encode_target(tokenizer, "SELECT 1", chat) == chat.target_ids("SELECT 1")
        assert count_prompt_tokens(tokenizer, "a", chat) == len(chat.prompt_ids("a"))
        assert len(chat.prompt_ids("a")) <= len(b"a") + chat.bytes_added

    def test_without_a_template_a_conversation_is_its_messages_one_after_the_other(self):
        tokenizer = tokenizer_kinds.loaded("trained")
        joined = prompt_ids(tokenizer, "a\n\nb\n\nc")
        assert prompt_ids(tokenizer, "c", earlier=[("user", "a"), ("assistant", "b")]) == joined
        text = Text("c", "", earlier=[("user", "a"), ("assistant", "b")])
        ((example,), (shown,)) = encode_prompts([text], tokenizer, 99)
        assert (example.prompt, shown) == (joined, "a\n\nb\n\nc")


def test_what_a_run_saves_reads_conversations_as_it_did(tmp_path):
    chat = ChatTemplate(loaded("qwen25"))
    loaded("qwen25").save_pretrained(tmp_path)
    again = chat_kinds.AutoTokenizer.from_pretrained(tmp_path)
    assert again.apply_chat_template(
        [said("user", "a ?")], add_generation_prompt=True, return_dict=False
    ) == chat.prompt_ids("a ?")
    assert load_tokenizer(str(tmp_path)).chat_template == released("qwen25").chat_template
