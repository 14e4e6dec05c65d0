"""A phone-sized browser that watches what the page does, with WeChat's bridge emulated by the public documentation."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, expect

WECHAT = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/120.0 Mobile Safari/537.36 MicroMessenger/8.0.50"
# `sheet` holds what the sheet was opened with; `leave(outcome)` is the payer leaving it.
BRIDGE = """
window.sheet = [];
const bridge = { invoke(name, parameters, then) {
  window.sheet.push({ name, parameters });
  document.documentElement.dataset.sheets = window.sheet.length;
  window.leave = (outcome) => then({ err_msg: `get_brand_wcpay_request:${outcome}` });
} };
const arrive = () => {
  window.WeixinJSBridge = bridge;
  document.dispatchEvent(new Event("WeixinJSBridgeReady"));
};
%(after_ms)s ? setTimeout(arrive, %(after_ms)s) : arrive();
"""
POLICY_WATCH = """
document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective}`));
"""
EXPECTED_NOISE = ("Failed to load resource",)  # an answer with an error status; tests look at the page for those


class Phone:
    """Opens pages and collects `complaints`: script errors, policy violations, requests to other hosts."""

    def __init__(self, new_context: Callable[..., BrowserContext], *, base_url: str) -> None:
        self._new_context = new_context
        self.base_url = base_url
        self.complaints: list[str] = []
        self.hosts_allowed = [base_url]

    def open(
        self, path: str, *, language: str = "zh-CN", wechat: bool = False, bridge_after_ms: int | None = None,
        agent: str = "",
    ) -> Page:  # fmt: skip
        """`path` in a new browser; `bridge_after_ms` is when WeChat's bridge comes, None for never."""
        named = {"user_agent": WECHAT if wechat else agent} if wechat or agent else {}
        context = self._new_context(
            locale=language, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, **named
        )
        context.add_init_script(POLICY_WATCH)
        if bridge_after_ms is not None:
            context.add_init_script(BRIDGE % {"after_ms": bridge_after_ms})
        page = context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._requested)
        page.goto(f"{self.base_url}{path}")
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(EXPECTED_NOISE):
            self.complaints.append(message.text)

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((*self.hosts_allowed, "data:")):
            self.complaints.append(f"request to {request.url}")


def leave_sheet(page: Page, outcome: str) -> None:
    """The payer leaves WeChat's payment sheet."""
    page.evaluate("outcome => window.leave(outcome)", outcome)


def expect_look(page: Page, look: str, *, timeout_ms: int = 5_000) -> None:
    expect(page.locator("#card")).to_have_attribute("data-look", look, timeout=timeout_ms)


def expect_sheets(page: Page, count: int) -> None:
    """The payment sheet has been opened `count` times since the page was loaded."""
    expect(page.locator("html")).to_have_attribute("data-sheets", str(count))
