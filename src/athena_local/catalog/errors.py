"""Glue's errors, by the names its wire protocol gives them (`code` is the `__type` of the answer)."""


class CatalogError(Exception):
    code = "InternalServiceException"


class EntityNotFoundError(CatalogError):
    code = "EntityNotFoundException"


class AlreadyExistsError(CatalogError):
    code = "AlreadyExistsException"


class ConcurrentModificationError(CatalogError):
    """UpdateTable with a VersionId that is not the current one: the writer lost the race."""

    code = "ConcurrentModificationException"


class InvalidInputError(CatalogError):
    code = "InvalidInputException"


class LimitExceededError(CatalogError):
    code = "ResourceNumberLimitExceededException"


class ConditionCheckFailureError(CatalogError):
    """A resource policy was to be replaced under a condition that does not hold."""

    code = "ConditionCheckFailureException"
