"""The explanation as the page's script shows it: sentences in the reader's language, strings as marked spans."""

from typing import Any

from openplatform.workbench import compare, mistakes, wording
from openplatform.workbench.asked import Asked
from openplatform.workbench.compare import Difference
from openplatform.workbench.explain import BAD, OK, Check, Explanation
from openplatform.workbench.mistakes import BOM, Parts


def present(asked: Asked, found: Explanation) -> dict[str, Any]:
    """Nothing in it is markup: whoever shows it must show it as text."""
    title, detail = wording.VERDICTS[_verdict(found)]
    return {
        "verdict": {"name": _verdict(found), "title": str(title), "detail": str(detail)},
        "checks": [_check(check) for check in found.checks],
        "parameters": [{"name": name, "value": value} for name, value in asked.parameters.items()],
        "message": None if found.message is None else compare.shown(found.message),
        "differences": list(_differences(asked, found)),
    }


def _verdict(found: Explanation) -> str:
    signature = found.state_of("signature")
    if signature == OK:
        return "refused" if any(check.state == BAD for check in found.checks) else "good"
    return "wrong" if signature == BAD else "unknown"


def _check(check: Check) -> dict[str, str]:
    why = str(wording.WHY[check.why] % check.values) if check.why else check.said
    return {"name": check.name, "title": str(wording.CHECKS[check.name]), "state": check.state, "why": why}


def _differences(asked: Asked, found: Explanation) -> list[dict[str, Any]]:
    """Of the integrator's own string, and of the one that the signature fits, when it fits one."""
    shown = []
    if found.message is not None and found.parts is not None:
        if found.signed is not None:
            cause = str(wording.MISTAKES[found.mistake])
            shown.append(_difference(found.message, found.signed, title=str(wording.SIGNED_INSTEAD), cause=cause))
        if asked.own is not None:
            cause = _cause(found.message, asked.own, found.parts)
            shown.append(_difference(found.message, asked.own, title=str(wording.YOURS), cause=cause))
    elif asked.own is not None:
        shown.append({"title": str(wording.YOURS), "where": str(wording.NO_STRING), "cause": "", "sides": []})
    return shown


def _difference(ours: bytes, theirs: bytes, *, title: str, cause: str) -> dict[str, Any]:
    difference = compare.first_difference(ours, theirs)
    if difference is None:
        return {"title": title, "where": str(wording.NO_DIFFERENCE), "cause": "", "sides": []}
    name = wording.LINES[min(difference.line, len(wording.LINES)) - 1]
    where = wording.DIFFERENCE % {"offset": difference.offset, "line": difference.line, "name": name}
    sides = [_side(side, raw, difference) for side, raw in (("ours", ours), ("theirs", theirs))]
    return {"title": title, "where": str(where), "cause": cause, "sides": sides}


def _side(name: str, raw: bytes, difference: Difference) -> dict[str, Any]:
    return {
        "name": name, "label": str(wording.LABELS[name]), "bytes": len(raw),
        "hex": compare.byte_at(raw, difference.offset), "lines": compare.around(raw, difference.offset),
    }  # fmt: skip


def _cause(ours: bytes, theirs: bytes, parts: Parts) -> str:
    """A whole string that people sign by mistake if it is one, else what the differing byte suggests."""
    difference = compare.first_difference(ours, theirs)
    if difference is None:
        return ""
    name = mistakes.name_of(theirs, parts) or _guess(difference)
    return str(wording.MISTAKES[name])


def _guess(difference: Difference) -> str:
    ours, theirs, offset = difference.ours, difference.theirs, difference.offset
    if theirs.startswith(BOM):
        return "string_with_bom"
    if theirs[offset : offset + 1] == b"\r":
        return "crlf"
    if offset == len(theirs):
        return "ends_early"
    if offset == len(ours):
        return "goes_on"
    if b"%" in (ours[offset : offset + 1], theirs[offset : offset + 1]):
        return "query_escaped"
    return "other_value"
