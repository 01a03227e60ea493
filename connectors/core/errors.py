"""What can go wrong, in words an admin can act on. No message here may hold a secret."""

from __future__ import annotations


class PortalError(Exception):
    """Base of every error whose text is written for the person at the screen or the shell."""


class Refused(PortalError):
    """A flow declines to do what was asked, and says why; nothing was changed."""


class ConfigFileError(PortalError):
    """A connector file, or a place where such files should be, cannot be read.

    `line` and `column` count from 1 and are None when the fault has no place in the text.
    """

    def __init__(self, path: str, message: str, *, line: int | None = None, column: int | None = None) -> None:
        self.path, self.message, self.line, self.column = path, message, line, column
        place = path if line is None else f"{path}:{line}" if column is None else f"{path}:{line}:{column}"
        super().__init__(f"{place}: {message}")


class ApiError(PortalError):
    """Base44 did not do what was asked.

    `permanent` says that trying the same call again cannot help (4xx other than 408, 413 and 429).
    `status` is the HTTP status, None when no answer came; `code` is Base44's own error code;
    `retry_after` is in seconds; `request_id` is what Base44's support asks for.
    """

    def __init__(
        self,
        message: str,
        *,
        permanent: bool,
        status: int | None = None,
        code: str = "",
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        super().__init__(message)
        self.permanent, self.status, self.code = permanent, status, code
        self.retry_after, self.request_id = retry_after, request_id


class CredentialError(ApiError):
    """Base44 does not accept the workspace's credential (401), or there is none: a person must renew it."""

    def __init__(self, message: str, *, status: int | None = None, request_id: str = "") -> None:
        super().__init__(message, permanent=True, status=status, request_id=request_id)
