"""Who is kept out, and who is never kept out by accident: values in one form, the lists compiled in each process, and
blocking by itself. The rows are in openplatform.models.blocks and are the truth.
"""
