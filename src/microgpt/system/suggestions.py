"""Suggest the name that somebody meant: an abbreviation, another word of the field, or a misspelling."""

from __future__ import annotations

from collections.abc import Sequence

# Our names, and the words of other programs for them; options first, then commands
WORDS = {
    "learning_rate": "lr rate alpha step_size",
    "num_steps": "epochs epoch steps iters iterations max_iters max_steps n_steps",
    "batch_size": "batch bs minibatch",
    "block_size": "context ctx n_ctx context_length context_size seq_len sequence_length max_len window",
    "n_layer": "layers num_layers depth n_layers blocks",
    "n_head": "heads num_heads n_heads attention_heads",
    "n_embd": "dim d_model hidden hidden_size width embd embedding_dim emb_size",
    "activation": "act nonlinearity activation_function",
    "clip": "grad_clip clip_grad max_norm max_grad_norm gradient_clip",
    "weight_decay": "wd l2 adamw regularization",
    "warmup_steps": "warmup warmup_iters",
    "decay": "schedule scheduler lr_schedule lr_decay",
    "eps_adam": "eps epsilon adam_eps",
    "init_std": "std init init_scale",
    "val_fraction": "val val_split test_split holdout valid validation val_frac",
    "validate_every": "eval_every eval_interval val_every",
    "temperature": "temp t",
    "num_samples": "num count n_samples samples",
    "max_new_tokens": "max_tokens max_length length num_tokens n_predict",
    "top_k": "topk k",
    "top_p": "topp p nucleus nucleus_sampling",
    "stop": "stop_sequence stop_sequences stop_words until",
    "interactive": "chat repl",
    "prompt_file": "prompt_from file",
    "prompt": "prefix begin",
    "out": "output out_dir output_dir save save_dir dir folder run_dir",
    "resume": "continue resume_from restart",
    "checkpoint_every": "save_every save_interval checkpoint_interval ckpt_every",
    "device": "gpu cuda mps cpu",
    "precision": "dtype fp16 fp32 bf16 float16 half amp",
    "threads": "jobs num_threads cores",
    "engine": "backend framework",
    "tokenizer": "vocab tokeniser encoding bpe",
    "documents": "stream lines split mode",
    "separator": "delimiter sep",
    "field": "column col key text_field text_column",
    "seed": "random_seed rng",
    "micro_batch_size": "accumulate grad_accum gradient_accumulation_steps accumulation_steps",
    "quiet": "silent no_progress",
    "on_step": "callback callbacks on_batch",
    "sample": "generate complete completion chat infer predict write samples",
    "train": "fit run learn finetune fine_tune pretrain start",
    "evaluate": "eval test score loss perplexity",
    "lab": "serve server ui web gui open visualize visualise show page",
    "bench": "benchmark speed time",
    "prepare": "tokenize tokenise preprocess pack",
    "info": "describe inspect summary stats ls list",
    "verify": "check compare selftest",
    "plot": "chart curve curves draw",
    "graph": "dot graphviz draw_dot",
    "export": "onnx convert",
}
# There is no such thing here, and a name that only looks similar would mislead
NOTHING = "dropout optimizer optim bias workers verbose debug vocab_size"
ALIKE = 0.75  # the least similarity of a misspelling, from 0 to 1


def suggestion(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that somebody most likely meant; None if none is likely.

    Args:
        name: The unknown name.
        known: The names to choose from, such as `--learning-rate` or `learning_rate`.

    Example:
        >>> suggestion("--lr", ["--learning-rate", "--clip"])
        '--learning-rate'
        >>> suggestion("--dropout", ["--documents", "--out"])
    """
    import difflib  # only for a mistake

    plain = {_plain(each): each for each in known}
    word = _plain(name)
    for ours, words in WORDS.items():
        if word in words.split() and ours in plain:
            return plain[ours]
    if word in NOTHING.split():
        return None
    similar = [each for each in plain if each.startswith(word)] or difflib.get_close_matches(word, plain, 1, ALIKE)
    return plain[similar[0]] if similar else None


def _plain(name: str) -> str:
    return name.lstrip("-").replace("-", "_").lower()
