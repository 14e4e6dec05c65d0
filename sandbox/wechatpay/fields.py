"""Strict checking of a JSON body against a description of its fields.

Unknown names, wrong types (`"total":"1"`, `1.0`, `true`), lengths, ranges and patterns are refused, with the platform's
own messages where they are known. Lengths count characters.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.wechatpay.errors import Refused, invalid_request, param_error

BODY_BYTES_MAX = 65_536
_BASIC_PLANE_LAST = "\uffff"


@dataclass(frozen=True, kw_only=True)
class Text:
    label: str
    max_length: int
    min_length: int = 1
    required: bool = False
    pattern: str = ""
    choices: tuple[str, ...] = ()
    rule: Callable[[str], str] | None = None  # returns what is wrong, or ""


@dataclass(frozen=True, kw_only=True)
class Whole:
    label: str
    minimum: int = 0
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Flag:
    label: str
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Group:
    label: str
    members: Mapping[str, "Field"]
    required: bool = False
    bytes_max: int = 0


@dataclass(frozen=True, kw_only=True)
class Many:
    label: str
    item: "Field"
    required: bool = False


Field = Text | Whole | Flag | Group | Many


def read_object(body: bytes) -> dict[str, Any]:
    """Parse a body that must be one JSON object without double names. Raises Refused."""
    if len(body) > BODY_BYTES_MAX:
        raise invalid_request("请求体过大")
    try:
        parsed = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise param_error("请求体不是合法的JSON格式，请检查") from error
    if not isinstance(parsed, dict):
        raise param_error("请求体不是JSON对象，请检查")
    return parsed


def check(body: Mapping[str, Any], members: Mapping[str, Field], *, path: str = "") -> None:
    """Check every member of an object at JSON pointer `path`. Raises Refused (PARAM_ERROR)."""
    for name, value in body.items():
        if name not in members:
            raise _wrong(f"{path}/{name}", value, "请求中含有未在API文档中定义的参数")
    for name, member in members.items():
        if name in body:
            _check_one(body[name], member, path=f"{path}/{name}")
        elif member.required:
            raise missing(f"/body{path}/{name}", label=member.label, pointer=f"{path}/{name}")


def missing(source: str, *, label: str, pointer: str = "", location: str = "body") -> Refused:
    message = f"输入源“{source}”映射到字段“{label}”必填性规则校验失败，此字段为必填项"
    return param_error(message, pointer=pointer or source, value="", location=location)


def _check_one(value: Any, member: Field, *, path: str) -> None:
    match member:
        case Text():
            _check_text(value, member, path=path)
        case Whole():
            _check_whole(value, member, path=path)
        case Flag():
            if type(value) is not bool:
                raise _wrong_type(path, value, member.label, "布尔值")
        case Group():
            _check_group(value, member, path=path)
        case Many():
            if not isinstance(value, list):
                raise _wrong_type(path, value, member.label, "数组")
            for index, item in enumerate(value):
                _check_one(item, member.item, path=f"{path}/{index}")


def _check_whole(value: Any, member: Whole, *, path: str) -> None:
    if type(value) is not int:
        raise _wrong_type(path, value, member.label, "数值")
    if value < member.minimum:
        source = f"输入源“/body{path}”映射到数值字段“{member.label}”规则校验失败"
        raise _wrong(path, value, f"{source}，值低于最小值 {member.minimum}")


def _check_group(value: Any, member: Group, *, path: str) -> None:
    if not isinstance(value, dict):
        raise _wrong_type(path, value, member.label, "对象")
    if member.bytes_max and len(json.dumps(value, ensure_ascii=False).encode()) > member.bytes_max:
        raise _wrong(path, "", f"字段“{member.label}”长度超过 {member.bytes_max} 字节")
    check(value, member.members, path=path)


def _check_text(value: Any, member: Text, *, path: str) -> None:
    if not isinstance(value, str):
        raise _wrong_type(path, value, member.label, "字符串")
    source = f"输入源“/body{path}”映射到值字段“{member.label}”字符串规则校验失败"
    if len(value) > member.max_length:
        raise _wrong(path, value, f"{source}，字符数 {len(value)}，大于最大值 {member.max_length}")
    if len(value) < member.min_length:
        raise _wrong(path, value, f"{source}，字符数 {len(value)}，小于最小值 {member.min_length}")
    if any(character > _BASIC_PLANE_LAST for character in value):
        raise _wrong(path, value, f"{source}，含有不支持的字符（超过3字节的UTF-8字符）")
    if (member.pattern and not re.fullmatch(member.pattern, value)) or (member.choices and value not in member.choices):
        raise _wrong(path, value, f"{source}，字符串不符合格式要求")
    if member.rule and (issue := member.rule(value)):
        raise _wrong(path, value, f"{source}，{issue}")


def _wrong_type(path: str, value: Any, label: str, expected: str) -> Refused:
    return _wrong(path, value, f"无法将输入源“/body{path}”映射到字段“{label}”中，此字段期望值为{expected}")


def _wrong(path: str, value: Any, message: str) -> Refused:
    return param_error(message, pointer=path, value=value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
