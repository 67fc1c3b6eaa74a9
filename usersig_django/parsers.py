"""Request -> the one flat JSON object it carries. Small, strict and bounded (SECURITY 3)."""

import json
from collections.abc import Mapping
from typing import IO, Any, Final, NoReturn

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, RawPostDataException
from rest_framework import exceptions as drf
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

MAX_BODY_BYTES: Final = 4096


class LengthRequired(drf.APIException):
    status_code = 411
    default_code = "length_required"


class PayloadTooLarge(drf.APIException):
    status_code = 413
    default_code = "payload_too_large"


class StrictJSONParser(BaseParser):
    """Names our media type to DRF and its schema generators; `read_body` is what the views call."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return _parse(stream.read(MAX_BODY_BYTES + 1))


def read_body(request: Request) -> dict[str, Any]:
    """The body's members; none for an empty body and for a form without fields, whatever their type."""
    http_request: HttpRequest = request._request
    length = http_request.META.get("CONTENT_LENGTH") or None
    if length is None and isinstance(http_request, WSGIRequest) and "HTTP_TRANSFER_ENCODING" in http_request.META:
        # WSGI servers end the body at Content-Length: without one it would be read as empty.
        raise LengthRequired
    if length is not None and length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise PayloadTooLarge
    try:
        body = http_request.body
    except RawPostDataException:
        # A middleware of the project's has read it as a form: so it is asked for its fields, not its bytes.
        body = b"form" if http_request.POST or http_request.FILES else b""
    if not body or _is_form_without_fields(http_request, body):
        return {}
    if http_request.content_type != StrictJSONParser.media_type:
        raise drf.UnsupportedMediaType(http_request.content_type or "")
    return _parse(body)


def _is_form_without_fields(request: HttpRequest, body: bytes) -> bool:
    """What `FormData()` and Django's test client send for nothing: the end of a multipart form alone."""
    boundary = (request.content_params or {}).get("boundary", "")
    return request.content_type == "multipart/form-data" and body.strip() == f"--{boundary}--".encode()


def _parse(body: bytes) -> dict[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise PayloadTooLarge
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise drf.ParseError from None
    if type(document) is not dict or any(isinstance(value, dict | list) for value in document.values()):
        raise drf.ParseError
    return document


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError


# Made once: json.loads would make one a request, for half the cost of parsing.
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_refuse_duplicates, parse_constant=_refuse)
