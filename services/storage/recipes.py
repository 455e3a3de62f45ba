"""Recipes of requests as JSON text, and back. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import cast, get_args

from services.endpoints import PROFILE_NAMES, Api, Endpoint, ProfileName
from services.errors import InputError
from services.messages import clean_text
from services.options import Options
from services.parameters import from_plain, plain
from services.recipes import Kept, Recipe, Told
from services.storage.codec import Fields, Json, dump


def to_json(recipe: Recipe) -> str:
    """Return a recipe, of whose texts there is only the hash: they are kept once, and not with each run."""
    endpoint = recipe.endpoint
    kept: dict[str, Json] = {"kept": [recipe.kept.parts, recipe.kept.chars]} if recipe.kept is not None else {}
    prompt: dict[str, Json] = {"prompt": name_of(recipe.system_prompt)} if recipe.system_prompt else {}
    memory: dict[str, Json] = {}
    if recipe.memory is not None:
        summary = recipe.memory.summary
        memory = {"begins": recipe.memory.begins, "summary": None if summary is None else name_of(summary)}
    return dump(
        {
            "endpoint": endpoint.name,
            "base_url": endpoint.base_url,
            "profile": endpoint.profile,
            "api": endpoint.speaks,
            "key_env": endpoint.key_env,
            "dropped": sorted(endpoint.dropped),
            "model": recipe.model,
            "options": plain(replace(recipe.options, system_prompt=None)),
            "blind": recipe.blind,
            **prompt,
            **kept,
            **memory,
        }
    )


def from_json(text: str, texts: Mapping[str, str]) -> Recipe:
    """Return the recipe that `to_json` wrote, given its texts by their hashes; StorageError if it is damaged."""
    data = Fields("recipe of a request", text)

    def named(name: str) -> str | None:
        sha256 = data.text_or_none(name)
        if sha256 is not None and sha256 not in texts:
            raise data.damaged(name)
        return None if sha256 is None else texts[sha256]

    kept, begins = data.all.get("kept"), data.text_or_none("begins")
    match kept:
        case None:
            before = None
        case [int(parts), int(chars)]:
            before = Kept(parts, chars)
        case _:
            raise data.damaged("kept")
    endpoint = Endpoint(
        name=data.text("endpoint"),
        base_url=data.text("base_url"),
        profile=cast(ProfileName, data.word("profile", PROFILE_NAMES)),
        api=cast(Api, data.word("api", get_args(Api))),
        key_env=data.text_or_none("key_env"),
        dropped=frozenset(data.words("dropped")),
    )
    model, options = data.text("model"), data.inner("options")
    try:
        asked = from_plain(Options(endpoint=endpoint.name, model=model), options.all if options else {})
    except InputError as error:
        raise data.damaged(str(error)) from error
    return Recipe(
        endpoint=endpoint,
        model=model,
        options=asked,
        system_prompt=named("prompt"),
        blind=data.all.get("blind") is True,
        kept=before,
        memory=None if begins is None else Told(begins, named("summary")),
    )


def texts_of(recipe: Recipe) -> dict[str, str]:
    """Return the texts that a recipe has only the hashes of, by these."""
    told = (recipe.system_prompt, recipe.memory.summary if recipe.memory is not None else None)
    return {name_of(text): clean_text(text) for text in told if text is not None}


def name_of(text: str) -> str:
    """Return the hash of a text as it is stored."""
    return hashlib.sha256(clean_text(text).encode()).hexdigest()
