"""Usage, wherever in a stream it stands."""

from __future__ import annotations

import pytest

from services.events import UsageReported
from services.usage import Usage
from tests.providers.folding import PLAIN, delta, finish, run, usage

OPENAI_USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([*PLAIN, {"choices": [], "usage": OPENAI_USAGE}], Usage(input=10, cached_input=4, output=5, reasoning=3)),
        ([*PLAIN, {"usage": OPENAI_USAGE}, "[DONE]"], Usage(input=10, cached_input=4, output=5, reasoning=3)),
        ([{"choices": [], "usage": OPENAI_USAGE}, *PLAIN], Usage(input=10, cached_input=4, output=5, reasoning=3)),
        (  # Moonshot
            [
                delta(content="a"),
                {
                    "choices": [
                        {"delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 2, "completion_tokens": 1}}
                    ]
                },
            ],
            Usage(input=2, output=1),
        ),
        (  # LiteLLM
            [*PLAIN, {"choices": [{"index": 0, "delta": {}}], "usage": {"prompt_tokens": 2, "completion_tokens": 1}}],
            Usage(input=2, output=1),
        ),
        (  # Perplexity: cumulative
            [{**chunk, "usage": {"prompt_tokens": 2, "completion_tokens": n}} for n, chunk in enumerate(PLAIN)],
            Usage(input=2, output=3),
        ),
        (  # xAI: reasoning beside the output
            [*PLAIN, {"usage": {**OPENAI_USAGE, "total_tokens": 18}}],
            Usage(input=10, cached_input=4, output=8, reasoning=3),
        ),
        ([*PLAIN, {"x_groq": {"usage": {"prompt_tokens": 2, "completion_tokens": 1}}}], Usage(input=2, output=1)),
        ([*PLAIN, {"usage": {"prompt_tokens": 0, "completion_tokens": 0}}], None),
        ([*PLAIN, {"usage": {"prompt_tokens": None, "completion_tokens": "5"}}], None),
        ([*PLAIN, {"usage": []}], None),
        (PLAIN, None),
    ],
)
def test_usage(chunks: list[object], expected: Usage | None) -> None:
    events = run(*chunks)
    assert usage(events) == expected
    assert finish(events) == "stop"
    assert len([event for event in events if isinstance(event, UsageReported)]) <= 2
