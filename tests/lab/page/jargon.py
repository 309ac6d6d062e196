"""Words that plain readers do not know: the names of tensors, formulas, and the field's terms."""

from __future__ import annotations

import re

# A path of a number, or a tensor's or a parameter's name
PATHS = re.compile(
    r"\b(?:pos|layer|head)\d+\.\w+|\b(?:wte|wpe|lm_head|attn_w[qkvo]|mlp_fc[12])\b"
    r"|\b(?:attn|mlp|emb|tok|pos|resid|final)_\w+|\b(?:m|v)_hat\b|\bn_(?:embd|head|layer)\b|\b(?:block|vocab)_size\b"
)
FORMULAS = re.compile(r"[√Σ∂∇∑]|−log\b|\b(?:softmax|exp|log|rmsnorm|relu|max|tanh)\(|\w\^\(|²|\bd\w+ ?/ ?d\w+\b|x̂|v̂|m̂")
# Terms that are not English words in this meaning; their everyday words are in texts/everyday.text.ts and the glossary
TERMS = [
    *("autograd", "backpropagation", "Jacobian", "topological", "gradient", "gradients", "derivative", "scalar"),
    *("logit", "logits", "softmax", "cross-entropy", "entropy", "perplexity", "nat", "nats", "argmax", "top-k"),
    *("embedding", "embeddings", "tensor", "tensors", "vector", "vectors", "matrix", "matrices", "dot product"),
    *("query", "queries", "KV cache", "residual stream", "RMSNorm", "MLP", "ReLU", "causal mask", "minus infinity"),
    *("Adam", "SGD", "learning rate", "hyperparameter", "hyperparameters", "block size", "tokenizer", "BOS"),
    *("parameter", "parameters", "operand", "operands", "activation", "activations", "bias correction", "moment"),
]
FINDERS = {term: re.compile(rf"(?<![\w-]){re.escape(term)}(?![\w-])", re.I) for term in TERMS}


def names_and_formulas(texts: list[str]) -> list[str]:
    """Return the texts with a tensor's name, a path or a formula."""
    return [text for text in texts if PATHS.search(text) or FORMULAS.search(text)]


def unexplained(texts: list[str], explained: list[str]) -> list[str]:
    """Return the terms in the texts that no word of the section explains: `explained` opens in the glossary."""
    known = " | ".join(explained)
    return [term for term, finder in FINDERS.items() if any(map(finder.search, texts)) and not finder.search(known)]
