"""The console's cells, for its templates."""

from django import template

from payments.console import cells

register = template.Library()

for _cell in (cells.moment, cells.number, cells.number_link, cells.status, cells.yuan):
    register.filter(_cell.__name__, _cell)
