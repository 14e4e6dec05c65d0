"""gunicorn for the demo merchant: one process, a few threads."""

worker_class = "gthread"
workers = 1
threads = 8
graceful_timeout = 3
keepalive = 5
accesslog = None
loglevel = "warning"
control_socket_disable = True
