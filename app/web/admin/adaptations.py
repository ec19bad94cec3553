"""What was dropped, cut or moved on the way in and on the way out, each in a sentence."""

from app.web.admin.wording import Gettext


def describe_note(code: str, detail: str, gettext: Gettext) -> str:
    """A note of a newer version is shown as it is."""
    sentence = _on_the_way_in(gettext).get(code) or _on_the_way_out(gettext).get(code) or code
    return f"{sentence} ({detail})" if detail else sentence


def _on_the_way_in(gettext: Gettext) -> dict[str, str]:
    return {
        "page_token_missing": gettext("The page's token was missing"),
        "language_dropped": gettext("The language was none of the form's"),
        "receiver_dropped": gettext("The receiver asked for was no text"),
        "receiver_unknown": gettext("The receiver asked for is not one that the form has"),
        "personnummer_masked": gettext("A personal identity number was masked"),
        "phone_unreadable": gettext("The phone number was none: it stands in the message"),
        "hidden_field_cut": gettext("A hidden field was too long and was cut"),
        "email_typo_likely": gettext("The e-mail address looks mistyped; probably meant"),
        "marketing_dropped": gettext("The campaign data were unreadable"),
        "marketing_keys_dropped": gettext("Unknown campaign data were dropped"),
        "page_url_dropped": gettext("The page's address was no web address"),
        "referrer_dropped": gettext("The referrer was no web address"),
        "utm_tags_dropped": gettext("Campaign tags were unusable and dropped"),
        "parameters_dropped": gettext("Campaign parameters were unusable and dropped"),
        "notice_time_dropped": gettext("The time at which the notice was shown could not be right"),
        "fields_ignored": gettext("Fields that the form does not have were ignored"),
    }


def _on_the_way_out(gettext: Gettext) -> dict[str, str]:
    return {
        "name_cut": gettext("The name was too long for Vitec: the whole of it stands in the message"),
        "company_name_cut": gettext("The company's name was too long: the whole of it stands in the message"),
        "corporate_number_in_message": gettext("The company number was too long and went into the message"),
        "address_cut": gettext("The address was too long: the whole of it stands in the message"),
        "email_in_message": gettext("The e-mail address was too long and went into the message"),
        "phone_in_message": gettext("The phone number did not fit and went into the message"),
    }
