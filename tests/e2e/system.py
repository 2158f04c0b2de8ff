"""A whole Pointsman on free ports and in a private folder: Redis, models, sidecar, Envoy."""

import http.client
import itertools
import json
import os
import signal
import time
from pathlib import Path

import httpx
import redis

from sidecar.app.local import Local
from sidecar.config.documents import KINDS
from sidecar.demo import DemoModel, start
from sidecar.settings import Address, Settings
from tests.ports import free_port

MODELS = ("small", "large", "canary")
_names = itertools.count()


class System:
    """Starts in `start`, ends in `stop`; everything in between is what a user could do."""

    def __init__(self, folder: Path, redis_address=None, **settings):
        self.redis_address = redis_address or Address("127.0.0.1", free_port())
        self.settings = Settings(
            listen=Address("127.0.0.1", free_port()),
            admin=Address("127.0.0.1", free_port()),
            envoy_admin=Address("127.0.0.1", free_port()),
            run_dir=folder / "run",
            state_dir=folder / "state",
            **{
                "redis_url": f"redis://{self.redis_address}/0",
                "workers": 2,
                "log_format": "json",
                **settings,
            },
        )
        self.local = Local(self.settings)
        self.models: dict[str, DemoModel] = {}
        self.base = f"http://{self.settings.listen}"
        self.http = httpx.Client(base_url=self.base, timeout=30)
        self.redis = redis.Redis(
            host="127.0.0.1", port=self.redis_address.port, decode_responses=True
        )

    def start(self, *, with_redis=True, documents=None, **model_options):
        if with_redis:
            self.local.start_redis(self.redis_address)
        for name in MODELS:
            self.models[name] = start(
                name, first_token_ms=5, tokens_per_second=2000, **model_options
            )
        if with_redis:
            self.write(documents if documents is not None else self.base_documents())
        self.local.start_sidecar()
        self.local.start_envoy()
        if with_redis:
            decided = "x-pointsman-decision"
            self.until(lambda: decided in self.chat().headers, "the first decided answer")
        return self

    def stop(self):
        self.http.close()
        self.redis.close()
        self.local.__exit__()
        for model in self.models.values():
            model.stop()

    # ── rules ──────────────────────────────────────────────────────────────

    def backend(self, model="small", **fields):
        """Return a backend document that points at the simulated model ``model``."""
        return {
            "model": model,
            "provider": "demo",
            "endpoints": [f"http://{self.models[model].address}"],
            "timeout_seconds": 10,
            **fields,
        }

    def base_documents(self):
        return {
            "backends": {
                # Tests make these fail in turn: what one does to them must not reach the next.
                name: self.backend(name, priority=place, ejection=False)
                for place, name in enumerate(MODELS)
            },
            "routers": {"resilient": {"type": "fallback", "targets": ["small", "large"]}},
            "routes": {"default": {"order": 1000, "router": "resilient"}},
        }

    def write(self, documents):
        """Replace all documents, as somebody with redis-cli would."""
        with self.redis.pipeline() as pipe:
            for kind in KINDS:
                pipe.delete(f"{self.settings.prefix}{kind}")
                for name, document in documents.get(kind, {}).items():
                    pipe.hset(f"{self.settings.prefix}{kind}", name, json.dumps(document))
            pipe.execute()

    def put(self, kind, name, document):
        self.redis.hset(f"{self.settings.prefix}{kind}", name, json.dumps(document))

    def drop(self, kind, *names):
        self.redis.hdel(f"{self.settings.prefix}{kind}", *names)

    def fresh_backend(self, model="small", **fields):
        """Add a backend under a name of its own: ejection in Envoy is per name."""
        name = f"{model}-{next(_names)}"
        self.put("backends", name, self.backend(model, **fields))
        return name

    def fresh_route(self, *targets, **router):
        """Route a virtual model of its own over ``targets``; return that model's name."""
        model = f"virtual-{next(_names)}"
        document = {"type": "fallback", "targets": list(targets), **router}
        self.put("routes", model, {"order": 1, "match": {"model": model}, "router": document})
        self.until(lambda: self.chat(model=model).headers["x-pointsman-route"] == model, model)
        self.calm()
        return model

    def until_all_workers_use(self, backend):
        """Wait until Envoy has the backend and every worker knows: workers are asked in turn."""
        model = self.fresh_route(backend, "small")

        def is_used():
            answers = [self.chat(model=model) for _ in range(4 * self.settings.workers)]
            return all(one.headers["x-pointsman-backend"] == backend for one in answers)

        self.until(is_used, f"{backend} in all workers")

    def calm(self):
        """Let every model behave, and forget what it was asked."""
        for model in self.models.values():
            model.reset()
            model.forget()

    def last(self, name):
        """Return the request that model ``name`` has received last."""
        return self.models[name].requests()[-1]

    # ── requests ───────────────────────────────────────────────────────────

    def chat(self, text="hello", model="any", headers=None, **fields):
        body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.http.post("/v1/chat/completions", json=body, headers=headers)

    def status_alone(self, text="hello"):
        """Ask on a connection of its own and return the status: for many threads at once."""
        body = {"model": "any", "messages": [{"role": "user", "content": text}]}
        connection = http.client.HTTPConnection(*self.settings.listen, timeout=30)
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(body))
            return connection.getresponse().status
        finally:
            connection.close()

    def post(self, content, path="/v1/chat/completions", **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.post(
            path, content=content, headers={"content-type": "application/json", **named}
        )

    def metric(self, name, **labels):
        """Return the sum of the samples of ``name`` whose labels include ``labels``."""
        from prometheus_client.parser import text_string_to_metric_families

        text = httpx.get(f"http://{self.settings.admin}/metrics").text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def ready(self):
        return httpx.get(f"http://{self.settings.admin}/readyz").json()

    # ── processes and time ─────────────────────────────────────────────────

    def worker_pids(self):
        parent = self.local.children["sidecar"].pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [int(pid) for pid in children]

    def signal_workers(self, number: signal.Signals):
        for pid in self.worker_pids():
            os.kill(pid, number)

    def until(self, holds, what, seconds=10.0):
        """Wait until ``holds()`` is true; errors count as not yet."""
        deadline = time.monotonic() + seconds
        last = None
        while time.monotonic() < deadline:
            try:
                if holds():
                    return
            except (httpx.HTTPError, KeyError, OSError, redis.RedisError) as error:
                last = error
            time.sleep(0.02)
        raise AssertionError(f"waited {seconds} s in vain for: {what} ({last})")
