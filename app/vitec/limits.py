"""How much Vitec's fields hold, and how text is made to fit (its pages UpdatePerson and UpdateCompany)."""

PERSON_NAME = 30
COMPANY_NAME = 100
CORPORATE_NUMBER = 20
PHONE = 17
EMAIL = 100
STREET = 68
ZIP_CODE = 15
CITY = 25
ID = 40


def utf16_length(text: str) -> int:
    """Length in UTF-16 units: .NET counts these, and no other count is ever larger for what it allows."""
    return len(text) + sum(character > "\uffff" for character in text)


def cut(text: str, limit: int) -> str:
    """At most `limit` UTF-16 units of the text; a character is kept whole or not at all."""
    length = 0
    for index, character in enumerate(text):
        length += 2 if character > "\uffff" else 1
        if length > limit:
            return text[:index].rstrip()
    return text
