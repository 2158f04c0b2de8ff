"""What a request will cost, as far as that can be told before it is answered."""

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec

from sidecar.choose.measured import Windowed
from sidecar.model import Backend, Candidate, InferenceRequest, Price

Dollars = Annotated[float, msgspec.Meta(ge=0, le=1e12)]


class Rate(NamedTuple):
    """US dollars per token; ``output`` is 0 for a request that is answered without tokens."""

    input: float
    output: float

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """Return US dollars for that many tokens."""
        return self.input * tokens_in + self.output * tokens_out


class Priced(Windowed, frozen=True, kw_only=True):
    """What documents of routers that read prices have in common.

    `expected_output_tokens` is the length of an answer when the request does not limit it.
    """

    expected_output_tokens: Annotated[int, msgspec.Meta(ge=0, le=10**9)] = 256


def rate_at(backend: Backend, request: InferenceRequest, now: float) -> Rate:
    """Return what ``backend`` charges for ``request`` at ``now``."""
    price = backend.price_at(now)
    output = 0.0 if request.operation == "embeddings" else price.per_output_token
    return Rate(price.per_input_token, output)


def prices_of(candidates: Sequence[Candidate], now: float) -> list[Price]:
    """Return what the backend that each candidate would try first charges at ``now``."""
    return [each.plan.attempts[0].backend.price_at(now) for each in candidates]


def tokens_in(request: InferenceRequest) -> int:
    """Return the estimated tokens of the prompt, at least one. This decodes the body."""
    return max(request.prompt.tokens, 1)


def tokens_out(request: InferenceRequest, otherwise: int) -> int:
    """Return the tokens that the answer may have, ``otherwise`` when the request has no limit.

    Embeddings are no tokens.
    """
    if request.operation == "embeddings":
        return 0
    limit = request.max_tokens
    return otherwise if limit is None else limit
