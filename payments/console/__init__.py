"""The operators' console for money: lists, pages and the timeline of an order.

payments/admin.py registers its pages.
"""
