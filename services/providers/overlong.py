"""How servers say that a conversation is too long: how many tokens it has, and how many they take.

Pure functions. Some give the numbers in fields of their own, most only in prose, each in its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_NUMBER = r"(\d[\d,]{0,14})"
_CHARS = 4_000

# https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md and
# https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html, Tokenizer API.
_COUNTED = frozenset({"llamacpp", "vllm"})

# llama.cpp, vLLM, TGI, LM Studio, OpenAI, Anthropic, Mistral, Gemini, and whoever passes on what these say.
_WINDOW = re.compile(
    r"(?:maximum (?:context|model) length (?:is|of)|context length of only|configured limit of|"
    r"context size \(|\bn_ctx[:=]|must be <=|tokens >|tokens allowed \(|model with)\s*" + _NUMBER,
    re.I,
)
_ASKED = (
    re.compile(r"\(" + _NUMBER + r" in (?:the|your) (?:messages|prompt)", re.I),
    re.compile(
        r"(?:resulted in|request(?:ed)?(?: about| has)?|keep the first|\bn_keep[:=]|is too long:|count|contains|given:)"
        r"\s*\(?" + _NUMBER,
        re.I,
    ),
)


def tokens_in(text: str, body: object) -> tuple[int | None, int | None]:
    """Return how many tokens a refused request had and how many are taken, as far as the refusal says it."""
    error = body.get("error") if isinstance(body, Mapping) else None
    fields: Mapping[str, object] = error if isinstance(error, Mapping) else {}
    text = text[:_CHARS]
    asked = _count(fields.get("n_prompt_tokens")) or next(filter(None, (_found(each, text) for each in _ASKED)), None)
    return asked, _count(fields.get("n_ctx")) or _found(_WINDOW, text)


def windows_in(body: object) -> dict[str, int]:
    """Return how many tokens each model of a server's list takes, as far as the list says it.

    What llama.cpp calls `n_ctx` is what it has loaded, and counts; `n_ctx_train` would be what the model was made for.
    """
    listed = body.get("data") if isinstance(body, Mapping) else body
    found: dict[str, int] = {}
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, Mapping) and isinstance(name := item.get("id"), str):
            meta = item.get("meta")
            said = (
                meta.get("n_ctx") if isinstance(meta, Mapping) else None,
                *map(item.get, ("max_model_len", "context_window", "max_context_length", "context_length")),
            )
            window = next(filter(None, map(_count, said)), None)
            if window is not None:
                found[name] = window
    return found


def tokenizer_in(body: object) -> str | None:
    """Return which server's list of models this is, if it is one that counts tokens for whoever asks."""
    listed = body.get("data") if isinstance(body, Mapping) else body
    first = listed[0] if isinstance(listed, list) and listed else None
    owner = first.get("owned_by") if isinstance(first, Mapping) else None
    return owner if isinstance(owner, str) and owner in _COUNTED else None


def counting(server: str, model: str, text: str) -> dict[str, str]:
    """Return the body of a request to such a server's `/tokenize`, which stands beside its `/v1`."""
    return {"content": text} if server == "llamacpp" else {"model": model, "prompt": text}


def counted_in(body: object) -> int | None:
    """Return the tokens that it counted; None where that is no answer to it."""
    if not isinstance(body, Mapping):
        return None
    listed = body.get("tokens")
    return _count(body.get("count")) or (len(listed) if isinstance(listed, list) else None)


def _found(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.search(text)
    return _count(int(found[1].replace(",", ""))) if found else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**10 else None
