"""What control lets operators edit over HTTP."""

from fastapi import APIRouter

from sidecar.admin.config import config_router
from sidecar.admin.documents import documents_router
from sidecar.admin.experiments import actions_router
from sidecar.app.rules import policy_of
from sidecar.config.edits import Editor
from sidecar.config.redis_store import RedisStore
from sidecar.settings import Settings


class Editing:
    """The editor of this process, with a store of its own: the feed waits for no writer."""

    def __init__(self, settings: Settings) -> None:
        self._store = RedisStore(settings.store_url(), settings.prefix)
        self.editor = Editor(self._store, policy_of(settings))

    def routers(self) -> tuple[APIRouter, ...]:
        """Return the endpoints; they go behind all others, for names may be anything."""
        editor = self.editor
        return config_router(editor), actions_router(editor), documents_router(editor)

    async def close(self) -> None:
        """Close the store; what is being checked is not written any more."""
        self.editor.close()
        await self._store.close()
