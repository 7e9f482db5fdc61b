"""What an endpoint knows of its gateway: the models, the limits, who may ask, and where the books are kept."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pilotfish.model import Model, Request
from pilotfish.serve._asgi import Out, Receive, Scope, Send
from pilotfish.serve._faults import Fault, near
from pilotfish.serve._metrics import Metrics
from pilotfish.serve._parts import Answers, Log, Traces
from pilotfish.serve._visit import Visit, tokens_guessed
from pilotfish.serve.keys import Keys
from pilotfish.serve.settings import Settings

__all__ = ["Application", "Endpoint", "House"]

Endpoint = Callable[[Any, Visit, dict[str, Any], Out], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class House:
    """The state of a gateway, and what every endpoint asks of it; `Gateway` is one that answers ASGI events.

    Attributes:
        models: the models by name.
        encoders: what gives embeddings, by name.
        settings: the limits.
        keys: who may ask.
        answers: a cache of replies; None for none.
        shared_answers: whether all keys share them.
        log: where records go; None for nowhere.
        traces: where they go as spans; None for nowhere.
        metrics: what `/metrics` tells.
        posts: the endpoints by path, and what their answers' ids begin with.
        in_flight: requests that models are answering now.
        draining: set it to refuse new requests with 503, while those under way end.
        ready: what `/readyz` tells, as long as nothing drains.
        began: when it was made, in seconds since 1970.
        rates: what each model's whole replies cost so far, and their tokens.
        page: what answers every path that is not the gateway's own; None for 404.
        names: the hosts that a gateway without keys is asked as; None for any, which suits one that others reach.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        settings: Settings,
        posts: Mapping[str, tuple[Endpoint, str]],
        *,
        encoders: Mapping[str, Any],
        keys: Keys,
        answers: Answers | None,
        shared_answers: bool,
        log: Log | None,
        traces: Traces | None,
        page: Application | None,
    ) -> None:
        self.models, self.encoders = dict(models), dict(encoders)
        self.settings, self.posts = settings, dict(posts)
        self.keys = keys
        self.answers, self.shared_answers = answers, shared_answers
        self.log, self.traces, self.page = log, traces, page
        self.metrics = Metrics()
        self.in_flight = 0
        self.draining, self.ready = False, True
        self.names: frozenset[str] | None = None
        self.rates: dict[str, tuple[float, int]] = {}  # dollars and tokens of each model's whole replies
        self.began = int(time.time())

    def model(self, visit: Visit, data: Mapping[str, Any], among: Mapping[str, Any]) -> Any:
        """Return the model that a body names, once its key may ask it.

        Raises:
            Fault: 400, it names none; 404, there is none of this name.
            Refused: the key may not ask it.
        """
        name = data.get("model")
        if not isinstance(name, str) or not name:
            raise Fault(400, "model must name the model to ask; GET /v1/models lists them", param="model")
        assert visit.key is not None
        found = among.get(name)
        if found is None:
            known = [one for one in among if visit.key.may_use(one)]
            raise Fault(404, f"no model {near(name, known)}", "model_not_found", param="model")
        visit.model = name
        visit.key.check(name)
        return found

    def admit(self, visit: Visit, request: Request, answers: int = 1) -> None:
        """Take the tokens that a request may use out of its key's allowance.

        Raises:
            Refused: there is not enough left.
        """
        visit.request = request
        assert visit.key is not None
        if visit.key.tokens is not None:
            prompt = sum(tokens_guessed(message.text) for message in request.messages)
            visit.admitted = prompt + answers * request.n * (request.max_tokens or 0)
        visit.key.admit(visit.admitted)
