"""WeChat Pay's own addresses, for apps whose programs were written for WeChat Pay: docs/wechatpay-face.md.

A thin door over the same operations as the native API: other names, fen instead of yuan, the same money.
"""
