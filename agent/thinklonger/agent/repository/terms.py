"""Terms: what an identifier, a path or a sentence is cut into, the same way for the index and for a query."""


def split_terms(text: str) -> list[str]:
    """The lower-cased terms of a text, in order, repeated as often as they occur.

    Words are cut at every character that is not a letter, a digit or `_`. A word of several parts (`getHTTPServer2`,
    `max_retries`) gives each part and then the whole word (`get http server 2 gethttpserver2`); Chinese, Japanese and
    Korean runs give their overlapping pairs of characters. Single characters and very long words give nothing.
    """
    raise NotImplementedError
