"""Steady traffic of distinct users through a system, from threads of its own."""

import http.client
import itertools
import json
import threading
import time

PATH = "/v1/chat/completions"


class Traffic:
    """Asks until left, each request by a user of its own; what came back is counted by status."""

    def __init__(self, system, threads=4, pause=0.01):
        self._system = system
        self._pause = pause
        self._users = itertools.count()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(threads)]
        self.statuses = []
        self.versions = []
        """(time, version of the rules) of each answer."""
        self.failures = []
        """(status, headers, body) of each answer that is not 200."""

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def first_with(self, version):
        """Return when the first answer by these rules, or newer ones, came; else infinity."""
        return min((at for at, each in self.versions if each >= version), default=float("inf"))

    def _ask(self):
        connection = http.client.HTTPConnection(*self._system.settings.listen, timeout=30)
        body = json.dumps({"model": "any", "messages": [{"role": "user", "content": "hello"}]})
        while not self._stop.is_set():
            user = f"user-{next(self._users)}"
            headers = {"content-type": "application/json", "x-user-id": user}
            connection.request("POST", PATH, body, headers)
            response = connection.getresponse()
            text = response.read()
            version = int(response.headers["x-pointsman-config-version"] or 0)
            self.versions.append((time.monotonic(), version))
            self.statuses.append(response.status)
            if response.status != 200:
                self.failures.append((response.status, dict(response.headers), text))
            self._stop.wait(self._pause)
        connection.close()
