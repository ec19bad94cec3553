"""What most people would write first: FastAPI, the same fields, nothing kept."""

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, EmailStr, Field


class Tag(BaseModel):
    name: str
    value: str


class Marketing(BaseModel):
    referrer: str | None = None
    utmTags: list[Tag] = []  # noqa: N815


class Submission(BaseModel):
    model_config = ConfigDict(extra="forbid")

    firstName: str = Field(max_length=100)  # noqa: N815
    lastName: str = Field(max_length=100)  # noqa: N815
    email: EmailStr | None = None
    phone: str | None = Field(default=None, max_length=40)
    message: str | None = Field(default=None, max_length=5000)
    streetAddress: str | None = None  # noqa: N815
    zipCode: str | None = None  # noqa: N815
    city: str | None = None
    companyName: str | None = None  # noqa: N815
    pageUrl: str | None = None  # noqa: N815
    language: str | None = None
    marketing: Marketing | None = None


app = FastAPI()


@app.post("/lead", status_code=202)
async def accept(submission: Submission) -> dict[str, str]:
    return {"status": "accepted" if submission.email else "refused"}
