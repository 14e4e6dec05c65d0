"""Error answers: HTTP status, code and message as the platform words them."""

from typing import Any

# What a fault rule may answer with, by name. An empty code is an answer without a body.
PRESETS: dict[str, tuple[int, str, str]] = {
    "SYSTEM_ERROR": (500, "SYSTEM_ERROR", "系统繁忙，请稍后重试"),
    "BANK_ERROR": (500, "BANK_ERROR", "银行系统异常，请稍后重试"),
    "SERVICE_UNAVAILABLE": (503, "SERVICE_UNAVAILABLE", "服务暂不可用"),
    "FREQUENCY_LIMITED": (429, "FREQUENCY_LIMITED", "频率超限，请降低请求频率"),
    "RULE_LIMIT": (403, "RULE_LIMIT", "业务规则限制"),
    "TRADE_ERROR": (403, "TRADE_ERROR", "交易错误"),
    "NO_AUTH": (403, "NO_AUTH", "商户无此产品权限"),
    "NOT_ENOUGH": (403, "NOT_ENOUGH", "基本账户余额不足，请充值后重新发起"),
    "ACCOUNT_ERROR": (403, "ACCOUNT_ERROR", "账号异常"),
    "USER_ACCOUNT_ABNORMAL": (403, "USER_ACCOUNT_ABNORMAL", "用户账户异常"),
    "OUT_TRADE_NO_USED": (403, "OUT_TRADE_NO_USED", "商户订单号重复"),
    "ORDER_CLOSED": (400, "ORDER_CLOSED", "订单已关闭"),
    "ORDER_PAID": (400, "ORDER_PAID", "该订单已支付"),
    "APPID_MCHID_NOT_MATCH": (400, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配，请检查后再试"),
    "ORDER_NOT_EXIST": (404, "ORDER_NOT_EXIST", "订单不存在"),
    "RESOURCE_NOT_EXISTS": (404, "RESOURCE_NOT_EXISTS", "退款单不存在"),
    "PARAM_ERROR": (400, "PARAM_ERROR", "参数错误"),
    "INVALID_REQUEST": (400, "INVALID_REQUEST", "无效请求"),
    "USERPAYING": (202, "USERPAYING", "需要用户输入支付密码"),
    "AUTH_CODE_INVALID": (400, "AUTH_CODE_INVALID", "付款码错误，请扫描用户最新的付款码"),
    "AUTH_CODE_EXPIRE": (400, "AUTH_CODE_EXPIRE", "付款码已过期，请用户刷新后再试"),
    "ORDER_REVERSED": (400, "ORDER_REVERSED", "订单已撤销"),
    "NO_STATEMENT_EXIST": (400, "NO_STATEMENT_EXIST", "账单文件不存在"),
    "STATEMENT_CREATING": (400, "STATEMENT_CREATING", "账单生成中，请稍后再试"),
    "MCH_NOT_EXISTS": (400, "MCH_NOT_EXISTS", "商户号不存在"),
    "OPENID_MISMATCH": (500, "OPENID_MISMATCH", "openid和appid不匹配"),
    "INVALID_TRANSACTIONID": (500, "INVALID_TRANSACTIONID", "无效的微信支付订单号"),
    "SIGN_ERROR": (401, "SIGN_ERROR", "签名错误"),
    "NO_CONTENT": (204, "", ""),
}


class Refused(Exception):
    """The platform answers with an error. `detail` is the optional object of the error body."""

    def __init__(self, status: int, code: str, message: str, *, detail: dict[str, Any] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.detail = status, code, message, detail
        self.canonical = b""  # what should have been signed, when that is what was wrong

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"code": self.code, "message": self.message}
        return body if self.detail is None else body | {"detail": self.detail}


def preset(name: str, *, message: str = "") -> Refused:
    """The error of that name, with its usual message unless another is given. Raises KeyError for an unknown name."""
    status, code, usual = PRESETS[name]
    return Refused(status, code, message or usual)


def sign_error(message: str, *, detail: dict[str, Any] | None = None) -> Refused:
    return Refused(401, "SIGN_ERROR", message, detail=detail)


def param_error(message: str, *, pointer: str = "", value: Any = None, location: str = "body") -> Refused:
    """A field is wrong; `pointer` names it from the root of the body (`/amount/total`)."""
    detail = {"location": location, "field": pointer, "value": value, "issue": message} if pointer else None
    return Refused(400, "PARAM_ERROR", message, detail=detail)


def invalid_request(message: str) -> Refused:
    return Refused(400, "INVALID_REQUEST", message)
