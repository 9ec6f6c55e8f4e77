"""Settings of architectures that depend on the length of a row."""

_LAYERS = {"layer_types": ["sliding_attention", "full_attention"]}


def _longrope(switch):
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "original_max_position_embeddings": switch,
        "short_factor": [1.0, 1.1, 1.2, 1.3],
        "long_factor": [2.0, 3.0, 4.0, 5.0],
    }
    return {"original_max_position_embeddings": switch, "rope_parameters": rope}


# Settings that depend on the length of a row, of 58 tokens at the most, in a batch that is up to 82 columns wide:
# "within" a row, between the longest row and the columns ("around"), or just as long as a row ("exactly").
SWITCHES = {
    "afmoe-within": ("afmoe", {"sliding_window": 24}),
    "biogpt-table-exactly": ("biogpt", {"max_position_embeddings": 58}),
    "codegen-table-exactly": ("codegen", {"n_positions": 58}),
    "cohere2-within": ("cohere2", {"sliding_window": 24}),
    "cwm-within": ("cwm", {"sliding_window": 24}),
    "deepseek_v32-within": ("deepseek_v32", {"index_topk": 16}),
    "deepseek_v4-within": ("deepseek_v4", {"sliding_window": 24}),
    "doge-within": ("doge", {"keep_window_size": 24}),
    "exaone4-within": ("exaone4", {"sliding_window": 24}),
    "gemma2-within": ("gemma2", {"sliding_window": 24}),
    "gemma2-around": ("gemma2", {"sliding_window": 70}),
    "gemma3_text-within": ("gemma3_text", {"sliding_window": 24, **_LAYERS}),
    "gemma3_text-around": ("gemma3_text", {"sliding_window": 70, **_LAYERS}),
    "gemma4_text-within": ("gemma4_text", {"sliding_window": 24}),
    "gpt2-table-exactly": ("gpt2", {"n_positions": 58}),
    "gpt_bigcode-table-exactly": ("gpt_bigcode", {"n_positions": 58}),
    "gpt_neo-within": ("gpt_neo", {"window_size": 24}),
    "gpt_neo-around": ("gpt_neo", {"window_size": 70}),
    "gpt_neo-table-exactly": ("gpt_neo", {"max_position_embeddings": 58}),
    "gpt_oss-within": ("gpt_oss", {"sliding_window": 24}),
    "gpt_oss-around": ("gpt_oss", {"sliding_window": 70}),
    "gptj-table-exactly": ("gptj", {"n_positions": 58}),
    "granite_swa-within": ("granite_swa", {"sliding_window": 24}),
    "llama-yarn-within": (
        "llama",
        {
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 1e4,
                "factor": 4.0,
                "original_max_position_embeddings": 40,
            }
        },
    ),
    "llama4_text-within": ("llama4_text", {"attention_chunk_size": 24}),
    "minimax-within": ("minimax", {"block_size": 8}),
    "minimax-linear-first-within": (
        "minimax",
        {"block_size": 8, "layer_types": ["linear_attention", "full_attention"]},
    ),
    "ministral-within": ("ministral", {"sliding_window": 24}),
    "mistral-within": ("mistral", {"sliding_window": 24}),
    "mistral-exactly": ("mistral", {"sliding_window": 58}),
    "mistral-around": ("mistral", {"sliding_window": 70}),
    "mixtral-within": ("mixtral", {"sliding_window": 24}),
    "modernbert-decoder-within": ("modernbert-decoder", {"local_attention": 24}),
    "olmo3-within": ("olmo3", {"sliding_window": 24}),
    "opt-table-exactly": ("opt", {"max_position_embeddings": 58}),
    "phi3-within": ("phi3", {"sliding_window": 24}),
    "phi3-around": ("phi3", {"sliding_window": 70}),
    "phi3-longrope-within": ("phi3", _longrope(40)),
    "phi3-longrope-around": ("phi3", _longrope(70)),
    "phimoe-within": ("phimoe", {"sliding_window": 24}),
    "qwen2-within": ("qwen2", {"sliding_window": 24, "use_sliding_window": True, "max_window_layers": 1}),
    "qwen2-around": ("qwen2", {"sliding_window": 70, "use_sliding_window": True, "max_window_layers": 1}),
    "qwen3-within": ("qwen3", {"sliding_window": 24, "use_sliding_window": True, "max_window_layers": 1}),
    "recurrent_gemma-within": ("recurrent_gemma", {"attention_window_size": 24}),
    "smollm3-within": ("smollm3", {"sliding_window": 24, "use_sliding_window": True, **_LAYERS}),
    "starcoder2-within": ("starcoder2", {"sliding_window": 24}),
}
