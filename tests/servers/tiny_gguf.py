"""Writes a llama model with random weights: a few megabytes that make llama.cpp stream common words for ever."""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]

CONTEXT = 8192
"""Tokens that the model was made for."""

# Many thin layers: small on disk, and still slow enough that a test can stop an answer before its end.
_EMBED, _LAYERS, _HEADS, _FEED_FORWARD = 64, 16, 4, 128
_END_OF_TURN, _FIRST_BYTE = 4, 5
_TEXT = """the a of and to in it is that was he for on are with as his they at be this from have or by one had not
but what all were when we there can an your which their said if do will each about how up out them then she many some
so these would other into has more her two like him see time could no make than first been its who now people my made
over did down only way find use may water long little very after words called just where most know"""

# Plain ChatML; Jinja, as llama.cpp reads it.
_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def write(path: Path, seed: int = 7) -> Path:
    """Write the model to `path` and return it. The same seed writes the same weights."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("panelist-tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(_EMBED)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(1)
    writer.add_rope_dimension_count(_EMBED // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    size = _add_vocabulary(writer)
    _add_weights(writer, size, np.random.default_rng(seed))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: gguf.GGUFWriter) -> int:
    """Add a SentencePiece vocabulary: specials, all 256 bytes, printable ASCII and common words. Return its size."""
    kind = gguf.TokenType
    entries = [("<unk>", kind.UNKNOWN, 0.0), ("<s>", kind.CONTROL, 0.0), ("</s>", kind.CONTROL, 0.0)]
    entries += [("<|im_start|>", kind.CONTROL, 0.0), ("<|im_end|>", kind.CONTROL, 0.0)]
    entries += [(f"<0x{byte:02X}>", kind.BYTE, 0.0) for byte in range(256)]
    # "▁" stands for a space. Scores fall, so that earlier (and longer) pieces win a merge.
    pieces = ["▁" + word for word in _TEXT.split()] + ["▁", *map(chr, range(33, 127))]
    entries += [(piece, kind.NORMAL, -float(rank)) for rank, piece in enumerate(pieces)]
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([text for text, _, _ in entries])
    writer.add_token_types([token_type for _, token_type, _ in entries])
    writer.add_token_scores([score for _, _, score in entries])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(_END_OF_TURN)
    writer.add_add_bos_token(True)
    writer.add_chat_template(_TEMPLATE)
    writer.add_vocab_size(len(entries))
    return len(entries)


def _add_weights(writer: gguf.GGUFWriter, vocabulary: int, random: np.random.Generator) -> None:
    def matrix(rows: int, columns: int, scale: float = 0.1) -> Weights:
        return random.normal(0, scale, (rows, columns))

    def add(name: str, weights: Weights) -> None:
        writer.add_tensor(f"{name}.weight", weights.astype(np.float16))

    def add_norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(_EMBED, np.float32))

    # Dimension 0 is the same for every token and no layer writes to it: what the output reads there never changes.
    embedding = matrix(vocabulary, _EMBED)
    embedding[:, 0] = 1
    add("token_embd", embedding)
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        into = {"attn_output": matrix(_EMBED, _EMBED), "ffn_down": matrix(_EMBED, _FEED_FORWARD)}
        for name, weights in into.items():
            weights[0] = 0
            add(f"{block}.{name}", weights)
        add(f"{block}.attn_q", matrix(_EMBED, _EMBED))
        add(f"{block}.attn_k", matrix(_EMBED // _HEADS, _EMBED))
        add(f"{block}.attn_v", matrix(_EMBED // _HEADS, _EMBED))
        add(f"{block}.ffn_gate", matrix(_FEED_FORWARD, _EMBED))
        add(f"{block}.ffn_up", matrix(_FEED_FORWARD, _EMBED))
        add_norm(f"{block}.attn_norm")
        add_norm(f"{block}.ffn_norm")
    add_norm("output_norm")
    # Words are said, bytes and specials hardly ever, the end of the turn now and then.
    output = matrix(vocabulary, _EMBED, 0.3)
    output[: _FIRST_BYTE + 256] = 0
    output[_FIRST_BYTE + ord("\n")] = random.normal(0, 0.3, _EMBED)
    output[_END_OF_TURN, 0] = 12  # seen: answers of 11 to 120 tokens where nothing forbids the end
    add("output", output)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
