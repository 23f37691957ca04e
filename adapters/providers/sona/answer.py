"""Reads SONA's answer to a request for credit.

Documentation: https://www.sona-systems.com/researcher/server-side-completion-url-responses/. A success has an empty
`Errors` element too, so neither the word "error" nor the HTTP status says anything: only a `Result` with the credit
status G is a success.
"""

from __future__ import annotations

from enum import Enum
from xml.etree import ElementTree

#: An answer is a few hundred bytes.
MAX_XML_BYTES = 64 * 1024


class CreditAnswer(Enum):
    """Answers of SONA (`client-side-completion-url-responses` lists them with their texts)."""

    GRANTED = "granted"
    #: Credit or participation was recorded earlier.
    ALREADY_RECEIVED = "already received"
    #: A researcher's test: all is set up correctly.
    NOT_A_PARTICIPANT = "not a participant"
    #: The id or token of the study is wrong: nobody can get credit until it is set right.
    WRONG_STUDY = "wrong experiment_id or credit_token"
    CODE_MISSING = "survey_code missing"
    CODE_UNKNOWN = "survey_code unknown"
    #: Marked as a no-show, and no sign-up is open.
    NOT_ELIGIBLE = "not eligible"
    OTHER = "another error"


#: The answers after which nothing will change by itself, and the researcher has to act for all participants at once.
SET_UP_ANSWERS = frozenset({CreditAnswer.WRONG_STUDY, CreditAnswer.CODE_MISSING})

#: Parts of the documented texts, in the order in which they are looked for. The texts of the server's call are not
#: documented and may be words such as NOT_ELIGIBLE, so they are compared in lower case, with underscores as spaces.
_WORDS = (
    ("already", CreditAnswer.ALREADY_RECEIVED),
    ("not a participant", CreditAnswer.NOT_A_PARTICIPANT),
    ("not eligible", CreditAnswer.NOT_ELIGIBLE),
    ("experiment id", CreditAnswer.WRONG_STUDY),
    ("credit token", CreditAnswer.WRONG_STUDY),
    ("survey code", CreditAnswer.CODE_UNKNOWN),
)


def read_credit_answer(body: bytes, survey_code: str) -> CreditAnswer:
    """Return the meaning of an answer.

    Args:
        body: the answer's body, whatever its HTTP status.
        survey_code: the code that was sent; it may be blank.

    Raises:
        ValueError: it is not SONA's XML, for instance a page that says that the site is being maintained.
    """
    # A document type could define entities that grow without bound; SONA's answer has none.
    if len(body) > MAX_XML_BYTES or b"<!" in body:
        raise ValueError("the answer is not SONA's")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise ValueError("the answer is not XML") from error
    if _name(root) != "WebstudyCreditResponse":
        raise ValueError("the answer is not SONA's")
    result, errors = _find(root, "Result"), _find(root, "Errors")
    status = None if result is None else _find(result, "credit_status")
    if status is not None and (status.text or "").strip() == "G":
        return CreditAnswer.GRANTED
    texts = [] if errors is None else [text.strip() for text in errors.itertext() if text.strip()]
    if not texts:
        raise ValueError("the answer has neither a result nor an error")
    answer = _meaning(" ".join(texts))
    # One text can stand for both, and we know which it is.
    return CreditAnswer.CODE_MISSING if answer is CreditAnswer.CODE_UNKNOWN and not survey_code else answer


def _meaning(text: str) -> CreditAnswer:
    lowered = text.casefold().replace("_", " ")
    return next((answer for words, answer in _WORDS if words in lowered), CreditAnswer.OTHER)


def _find(root: ElementTree.Element, name: str) -> ElementTree.Element | None:
    """Return the first element of this name, in any namespace."""
    return next((element for element in root.iter() if _name(element) == name), None)


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
