"""One error vocabulary: every exception is a Status and every Status an exception."""

from api import errors, resources


def test_a_missing_object_is_named_with_its_group() -> None:
    error = errors.not_found(resources.DEPLOYMENTS, "web")
    assert error.status()["message"] == 'deployments.apps "web" not found'
    assert error.status()["code"] == 404
    assert error.status()["details"] == {"name": "web", "group": "apps", "kind": "deployments"}


def test_every_bad_field_is_named_at_once() -> None:
    error = errors.invalid(
        resources.PODS,
        "x",
        [
            errors.FieldError("spec.containers", "Required value"),
            errors.FieldError("metadata.name", "Invalid value", "X", "must be lower case"),
        ],
    )
    status = error.status()
    assert status["code"] == 422
    assert status["message"] == (
        'Pod "x" is invalid: [spec.containers: Required value, metadata.name: Invalid value: "X": must be lower case]'
    )
    assert [c["field"] for c in status["details"]["causes"]] == ["spec.containers", "metadata.name"]
    assert [c["reason"] for c in status["details"]["causes"]] == ["FieldValueRequired", "FieldValueInvalid"]


def test_a_received_status_becomes_the_exception_of_its_reason() -> None:
    raised = errors.ApiError.from_status(errors.conflict(resources.PODS, "x").status())
    assert isinstance(raised, errors.Conflict)
    assert isinstance(errors.ApiError.from_status({"message": "busy"}, 429), errors.TooManyRequests)
    assert isinstance(errors.ApiError.from_status({"reason": "Unheard", "code": 410}), errors.Expired)


def test_the_time_to_wait_is_read_from_the_details() -> None:
    assert errors.too_many_requests("later", 7).retry_after == 7
    assert errors.BadRequest("no").retry_after is None
