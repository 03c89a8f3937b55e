"""The one exception that stands for a mistake of the user's, not of ours."""


class UserError(Exception):
    """Bad input: the message names the file, key or row, and says what to do about it.

    Scripts print it without a traceback.
    """
