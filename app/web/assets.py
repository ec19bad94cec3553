"""The files of the pages: stylesheets, and what a theme names of ours."""

from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from app.web.rendering import locate_asset

_FOR_EVER = "public, max-age=31536000, immutable"
_FOR_A_WHILE = "public, max-age=300"


class CachedFiles(StaticFiles):
    """The pages' addresses carry a digest of the content, and so a copy is never stale."""

    def file_response(self, full_path: Any, stat_result: Any, scope: Any, status_code: int = 200) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        asked = f"{scope['path']}?{scope['query_string'].decode('latin-1')}"
        # A page of a newer version may ask a process of an older one while they are being replaced.
        current = asked == locate_asset(self.get_path(scope))
        response.headers["Cache-Control"] = _FOR_EVER if current else _FOR_A_WHILE
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return response
