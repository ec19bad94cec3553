"""Refusals and defects told: a page for a visitor, a problem for a program."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from app import tally
from app.web.preferences import asks_for_json, prefers_html
from app.web.problems import Problem, explain, write_problem
from app.web.reception import Reception
from app.web.security import NO_STORE, page_headers


@dataclass(frozen=True, slots=True)
class Refusals:
    reception: Reception

    async def answer(self, request: Request, error: Exception) -> Response:
        """Raises the error again when it is a defect, which is the boundary's to log."""
        problem = explain(error)
        if problem is None:
            raise error
        return self._tell(request, problem)

    async def answer_defect(self, request: Request) -> Response:
        return self._tell(request, Problem(status=500))

    def _tell(self, request: Request, problem: Problem) -> Response:
        if request.method == "POST":
            tally.REFUSED.add(problem.name)
        path, headers = request.scope["path"], {**NO_STORE}
        accept = request.headers.get("accept", "")
        if path.startswith(("/f/", "/admin")):
            as_page = not asks_for_json(accept)
        elif path.startswith("/api/"):
            as_page = False
        else:
            as_page = prefers_html(accept)
            headers["Vary"] = "Accept"
        tell = self._show_page if as_page else self._write
        response = tell(request, problem)
        response.headers.update(headers)
        return response

    def _write(self, request: Request, problem: Problem) -> Response:
        return write_problem(problem, language=self.reception.choose_language(request))

    def _show_page(self, request: Request, problem: Problem) -> Response:
        """In the form's look where the form is known, unless that look may be what is broken."""
        form = self.reception.find_form(request)
        content = self.reception.renderer.render_problem(
            language=self.reception.choose_language(request),
            status=problem.status,
            form=None if problem.status == 500 else form,
            framed=is_framed(request),
        )
        headers = {**problem.headers, **page_headers(form)}
        return Response(content, problem.status, headers, media_type="text/html")


def is_framed(request: Request) -> bool | None:
    """Whether the page is for a frame; None where the browser does not tell."""
    return {"iframe": True, None: None}.get(request.headers.get("sec-fetch-dest"), False)
