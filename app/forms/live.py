"""The forms in force: replaced whole when the file changes for the better, kept when it does not."""

from app.forms.model import Form, Forms
from app.lead import Account, Lead


class LiveForms:
    """What everybody asks for the current forms, so that a reload reaches them all at once."""

    def __init__(self, forms: Forms) -> None:
        self.current = forms

    def find(self, name: str) -> Form | None:
        return self.current.forms.get(name)

    def locate(self, lead: Lead) -> Account | None:
        """Where a lead goes by now; None when its form is no more."""
        form = self.find(lead.form)
        return None if form is None else self.current.destination(form, lead.receiver).account
