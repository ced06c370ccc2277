from api.errors import ERRORS


def test_the_codes_are_those_of_the_contract() -> None:
    """Clients compare these words and statuses; those of later routes are added, none is changed."""
    assert {error.code: error.status for error in ERRORS} == {
        "UNAVAILABLE": 503,
        "UNAUTHORIZED": 401,
        "INVALID_PERIOD": 400,
        "INVALID_RANGE": 400,
        "RANGE_TOO_LARGE": 400,
        "INVALID_PARAMETER": 400,
        "INVALID_TIMEZONE": 400,
        "NOT_FOUND": 404,
        "METHOD_NOT_ALLOWED": 405,
        "RATE_LIMITED": 429,
        "INTERNAL": 500,
    }


def test_the_headers_that_tell_a_client_what_to_do_next() -> None:
    headers = {error.code: dict(error.headers) for error in ERRORS if error.headers}
    assert headers == {"UNAVAILABLE": {"Retry-After": "5"}, "UNAUTHORIZED": {"WWW-Authenticate": "Bearer"}}
