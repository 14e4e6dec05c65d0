"""Error answers of the gateway: code, msg, sub_code and sub_msg as Alipay words them."""

from collections.abc import Mapping
from typing import Any

MESSAGES: Mapping[str, str] = {
    "10003": "order success pay inprocess",
    "20000": "Service Currently Unavailable",
    "20001": "Insufficient Token Permissions",
    "40001": "Missing Required Arguments",
    "40002": "Invalid Arguments",
    "40003": "Insufficient Conditions",
    "40004": "Business Failed",
    "40005": "Call Limited",
    "40006": "Insufficient Permissions",
}
# What a fault rule may answer with, by sub_code: (code, sub_msg).
PRESETS: dict[str, tuple[str, str]] = {
    "isp.unknow-error": ("20000", "系统繁忙"),
    "aop.unknow-error": ("20000", "业务系统异常"),
    "aop.invalid-auth-token": ("20001", "无效的访问令牌"),
    "isv.missing-method": ("40001", "缺少方法名参数"),
    "isv.missing-app-id": ("40001", "缺少AppID参数"),
    "isv.missing-signature": ("40001", "缺少签名参数"),
    "isv.missing-signature-type": ("40001", "缺少签名类型参数"),
    "isv.missing-timestamp": ("40001", "缺少时间戳参数"),
    "isv.missing-version": ("40001", "缺少版本参数"),
    "isv.missing-app-cert-sn": ("40001", "缺少应用公钥证书SN"),
    "isv.missing-root-cert-sn": ("40001", "缺少支付宝根证书SN"),
    "isv.invalid-parameter": ("40002", "参数无效"),
    "isv.invalid-method": ("40002", "不存在的方法名"),
    "isv.invalid-format": ("40002", "无效的数据格式"),
    "isv.invalid-charset": ("40002", "无效的字符集参数"),
    "isv.invalid-app-id": ("40002", "无效的AppID参数"),
    "isv.invalid-signature-type": ("40002", "无效的签名类型"),
    "isv.invalid-signature": ("40002", "验签出错"),
    "isv.invalid-timestamp": ("40002", "无效的时间戳参数"),
    "isv.invalid-encrypt-type": ("40002", "无效的加密类型"),
    "isv.decryption-error-unknown": ("40002", "解密出错"),
    "isv.invalid-app-cert-sn": ("40002", "应用公钥证书SN无效"),
    "isv.invalid-root-cert-sn": ("40002", "支付宝根证书SN无效"),
    "isv.invalid-alipay-cert-sn": ("40002", "支付宝公钥证书SN无效"),
    "isv.code-invalid": ("40002", "授权码code无效"),
    "isv.refresh-token-invalid": ("40002", "刷新令牌refresh_token无效"),
    "isv.grant-type-invalid": ("40002", "授权类型grant_type无效"),
    "isv.app-call-limited": ("40005", "应用调用次数超限"),
    "isv.insufficient-isv-permissions": ("40006", "ISV权限不足"),
    "ACQ.SYSTEM_ERROR": ("40004", "系统错误"),
    "ACQ.INVALID_PARAMETER": ("40004", "参数无效"),
    "ACQ.ACCESS_FORBIDDEN": ("40004", "无权限使用接口"),
    "ACQ.PARTNER_ERROR": ("40004", "应用APP_ID填写错误"),
    "ACQ.TRADE_NOT_EXIST": ("40004", "交易不存在"),
    "ACQ.TRADE_HAS_SUCCESS": ("40004", "交易已被支付"),
    "ACQ.TRADE_HAS_CLOSE": ("40004", "交易已经关闭"),
    "ACQ.TRADE_HAS_FINISHED": ("40004", "交易已完结"),
    "ACQ.CONTEXT_INCONSISTENT": ("40004", "交易信息被篡改"),
    "ACQ.TRADE_BUYER_NOT_MATCH": ("40004", "交易买家不匹配"),
    "ACQ.BUYER_SELLER_EQUAL": ("40004", "买卖家不能相同"),
    "ACQ.TOTAL_FEE_EXCEED": ("40004", "订单总金额不在允许范围内"),
    "ACQ.EXIST_FORBIDDEN_WORD": ("40004", "订单信息中包含违禁词"),
    "ACQ.PAYMENT_AUTH_CODE_INVALID": ("40004", "支付授权码无效"),
    "ACQ.BUYER_BALANCE_NOT_ENOUGH": ("40004", "买家余额不足"),
    "ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH": ("40004", "用户银行卡余额不足"),
    "ACQ.PAYMENT_FAIL": ("40004", "支付失败"),
    "ACQ.PULL_MOBILE_CASHIER_FAIL": ("40004", "唤起移动收银台失败"),
    "ACQ.REASON_TRADE_STATUS_INVALID": ("40004", "交易状态异常"),
    "ACQ.TRADE_STATUS_ERROR": ("40004", "交易状态不合法"),
    "ACQ.REASON_TRADE_REFUND_FEE_ERR": ("40004", "退款金额无效"),
    "ACQ.REFUND_AMT_NOT_EQUAL_TOTAL": ("40004", "退款金额超限"),
    "ACQ.DISCORDANT_REPEAT_REQUEST": ("40004", "请求信息不一致"),
    "ACQ.SELLER_BALANCE_NOT_ENOUGH": ("40004", "卖家余额不足"),
    "ACQ.TRADE_NOT_ALLOW_REFUND": ("40004", "当前交易不允许退款"),
    "ACQ.TRADE_CANCEL_TIME_OUT": ("40004", "撤销超时"),
    "ACQ.CANCEL_NOT_ALLOWED": ("40004", "撤销不被允许"),
    "isp.bill_not_exist": ("40004", "账单不存在"),
    "isv.invaild_arguments": ("40004", "入参不合法"),
    "isp.unknow_error": ("40004", "未知错误"),
}
# The names that rules for all channels use, in Alipay's words.
SAME_AS: Mapping[str, str] = {
    "SYSTEM_ERROR": "isp.unknow-error",
    "SERVICE_UNAVAILABLE": "aop.unknow-error",
    "BANK_ERROR": "ACQ.SYSTEM_ERROR",
    "FREQUENCY_LIMITED": "isv.app-call-limited",
    "RULE_LIMIT": "ACQ.PAYMENT_FAIL",
    "NOT_ENOUGH": "ACQ.SELLER_BALANCE_NOT_ENOUGH",
    "NO_AUTH": "isv.insufficient-isv-permissions",
    "TRADE_ERROR": "ACQ.TRADE_STATUS_ERROR",
    "ACCOUNT_ERROR": "ACQ.TRADE_NOT_ALLOW_REFUND",
    "USER_ACCOUNT_ABNORMAL": "ACQ.TRADE_NOT_ALLOW_REFUND",
    "OUT_TRADE_NO_USED": "ACQ.CONTEXT_INCONSISTENT",
    "ORDER_CLOSED": "ACQ.TRADE_HAS_CLOSE",
    "ORDER_PAID": "ACQ.TRADE_HAS_SUCCESS",
    "ORDER_NOT_EXIST": "ACQ.TRADE_NOT_EXIST",
    "ORDER_REVERSED": "ACQ.TRADE_HAS_CLOSE",
    "RESOURCE_NOT_EXISTS": "ACQ.TRADE_NOT_EXIST",
    "APPID_MCHID_NOT_MATCH": "ACQ.PARTNER_ERROR",
    "MCH_NOT_EXISTS": "ACQ.PARTNER_ERROR",
    "PARAM_ERROR": "ACQ.INVALID_PARAMETER",
    "INVALID_REQUEST": "ACQ.INVALID_PARAMETER",
    "SIGN_ERROR": "isv.invalid-signature",
    "AUTH_CODE_INVALID": "ACQ.PAYMENT_AUTH_CODE_INVALID",
    "AUTH_CODE_EXPIRE": "ACQ.PAYMENT_AUTH_CODE_INVALID",
    "OPENID_MISMATCH": "ACQ.TRADE_BUYER_NOT_MATCH",
    "INVALID_TRANSACTIONID": "ACQ.TRADE_NOT_EXIST",
    "NO_STATEMENT_EXIST": "isp.bill_not_exist",
    # A bill that is not ready yet cannot be told from one that never will be.
    "STATEMENT_CREATING": "isp.bill_not_exist",
}


class Refused(Exception):
    """The gateway answers with an error. `more` are members beside the usual four."""

    def __init__(self, code: str, sub_code: str, sub_msg: str, *, more: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"{code} {sub_code}: {sub_msg}")
        self.code, self.sub_code, self.sub_msg, self.more = code, sub_code, sub_msg, dict(more or {})
        self.canonical = b""  # what should have been signed, when that is what was wrong

    @property
    def body(self) -> dict[str, Any]:
        named = {"code": self.code, "msg": MESSAGES[self.code]}
        wrong = {"sub_code": self.sub_code, "sub_msg": self.sub_msg} if self.sub_code else {}
        return named | self.more | wrong


def preset(name: str, *, message: str = "") -> Refused:
    """The error of that sub_code, or of that name common to all channels. Raises KeyError for an unknown name."""
    sub_code = SAME_AS.get(name, name)
    code, usual = PRESETS[sub_code]
    return Refused(code, sub_code, message or usual)


def invalid(message: str) -> Refused:
    """A member of biz_content is wrong."""
    return preset("ACQ.INVALID_PARAMETER", message=f"参数无效:{message}")
