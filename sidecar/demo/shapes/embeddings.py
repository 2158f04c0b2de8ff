"""OpenAI's embeddings."""

import base64
import hashlib
import struct

from sidecar.demo.ask import Ask
from sidecar.demo.shapes.reply import Json


def embeddings(ask: Ask) -> Json:
    """Return one vector for each input, made of its hash: equal texts have equal vectors."""
    count = sum((len(text) + 3) // 4 for text in ask.inputs)
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(text, ask)}
        for index, text in enumerate(ask.inputs)
    ]
    spent = {"prompt_tokens": count, "total_tokens": count}
    return {"object": "list", "model": ask.model, "data": data, "usage": spent}


def _vector(text: str, ask: Ask) -> list[float] | str:
    digest = hashlib.shake_128(text.encode("utf-8", "replace")).digest(ask.dimensions)
    numbers = [(byte - 127.5) / 127.5 for byte in digest]
    if not ask.base64:
        return numbers
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
