def only_open_api(endpoints):
    return [e for e in endpoints if e[0].startswith("/openapi/v1")]
