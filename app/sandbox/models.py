"""The bodies Vitec takes, with their limits: tests hold them against tests/vitec-openapi.yaml."""

from app.sandbox.shapes import Choice, Flag, Kind, Many, Moment, Number, Shape, Text

_PHONE = Text(17)
_FIELD_VALUE = Shape({"name": Text(), "value": Text()})

_CONTACT: dict[str, Kind] = {
    "customerId": Text(40),
    "contactId": Text(40),
    "categoryIds": Many(Text()),
    "address": Shape(
        {"streetAddress": Text(68), "zipCode": Text(15), "city": Text(25), "countryCode": Text(2)}
    ),
    "email": Shape({"emailAddress": Text(100), "emailAddress2": Text(100)}),
    "userId": Text(),
    "otherPhone": _PHONE,
    "wishAdvertising": Flag(),
    "note": Text(),
    "coordinate": Shape({"longitud": Number(), "latitud": Number()}),
    "task": Shape({"predefinedTaskId": Text(), "note": Text(), "estateId": Text(), "assignedTo": Text()}),
    "customField": _FIELD_VALUE,
    "leadScore": Number(whole=True),
}

PERSON = Shape(
    {
        **_CONTACT,
        "firstName": Text(30),
        "lastName": Text(30),
        "socialSecurityNumber": Text(20),
        "isForeignSocialSecurityNumber": Flag(),
        "telePhone": _PHONE,
        "workPhone": _PHONE,
        "cellPhone": _PHONE,
        "approval": Flag(),
        "approvalDate": Moment(),
        "gdprApprovalDate": Moment(),
        "obtainThrough": Choice(("Interest", "Phone", "Visit", "Agreement", "Other", "Email", "NotAsked")),
    },
    frozenset({"customerId"}),
)

COMPANY = Shape(
    {
        **_CONTACT,
        "companyName": Text(100),
        "corporateNumber": Text(20),
        "isForeignCorporateNumber": Flag(),
        "homePage": Text(60),
        "switchPhone": _PHONE,
    },
    frozenset({"customerId"}),
)

LEAD = Shape(
    {
        "assignedToId": Text(),
        "assignmentSourceId": Text(),
        "contactId": Text(40),
        "leadSourceId": Text(),
        "marketing": Shape({"referrer": Text(), "utmTags": Many(_FIELD_VALUE)}),
        "message": Text(),
        "officeId": Text(),
    },
    frozenset({"assignedToId", "contactId", "leadSourceId"}),
)

RELATIONS = ("contract", "viewing", "bidding", "sellerRelation", "buyerRelation")
"""Dated dealings that contacts can be searched by. No contact here has any."""

CRITERIA = Shape(
    {
        "customerId": Text(40),
        "contactId": Many(Text()),
        "userId": Text(),
        "categories": Many(Text()),
        "emailAddresses": Many(Text()),
        "customField": _FIELD_VALUE,
        "socialSecurityNumber": Text(),
        **{
            f"{name}Date{end}": Moment()
            for name in (*RELATIONS, "created", "changed")
            for end in ("From", "To")
        },
    }
)
