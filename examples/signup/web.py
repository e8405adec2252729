"""The web application: it takes sign-ups, and leaves the mail to a worker."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from examples.signup.jobs import welcome_email


class SignUp(msgspec.Struct):
    name: str
    email: str


async def sign_up(request: Request) -> JSONResponse:
    try:
        person = msgspec.json.decode(await request.body(), type=SignUp)
    except (msgspec.DecodeError, msgspec.ValidationError) as wrong:
        return JSONResponse({"error": str(wrong)}, status_code=422)
    # Answered when the store has the job; the mail itself may take as long as it likes.
    job = await welcome_email.aenqueue(person.name, person.email)
    return JSONResponse({"job": job.id, "duplicate": job.duplicate}, status_code=202)


web = Starlette(routes=[Route("/signups", sign_up, methods=["POST"])])
