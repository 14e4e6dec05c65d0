"""Addresses that we call on a merchant's word."""

import pytest

from openplatform import notify_urls


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/notify",
        "https://shop.example:8443/a/b.php",
        "https://a-b.shop.example/",
        "https://1.1.1.1/n",
        "https://shop.example/a%20b",
        "https://[2606:4700:4700::1111]/n",
    ],
)
def test_a_public_https_address_is_accepted(url):
    notify_urls.validate(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "//shop.example/n",
        "http://shop.example/n",
        "ftp://shop.example/n",
        "file:///etc/passwd",
        "https://shop.example",
        "https://Shop.example/n",
        "HTTPS://shop.example/n",
        "https://shop.example:443/n#x",
        "https://shop.example/n?a=1",
        "https://shop.example/n#a",
        "https://user@shop.example/n",
        "https://u:p@shop.example/",
        "https://shop.example:80/n",
        "https://shop.example:22/n",
        "https://shop.example:6379/n",
        "https://shop.example:0443/n",
        "https://shop.example:99999/n",
        "https://shop.example:/n",
        "https://127.0.0.1/n",
        "https://10.0.0.1/n",
        "https://169.254.169.254/n",
        "https://100.100.100.200/n",
        "https://0.0.0.0/n",
        "https://2130706433/n",
        "https://0x7f.1/n",
        "https://127.1/n",
        "https://0177.0.0.1/n",
        "https://[::1]/n",
        "https://[::ffff:127.0.0.1]/n",
        "https://[fe80::1]/n",
        "https://[fec0::1]/n",
        "https://[64:ff9b:1::a00:1]/n",
        "https://[64:ff9b::a00:1]/n",
        "https://[::10.0.0.1]/n",
        "https://[::ffff:0:10.0.0.1]/n",
        "https://[2002:a00:1::]/n",
        "https://[3fff::1]/n",
        "https://224.0.0.1/n",
        "https://localhost/n",
        "https://intranet/n",
        "https://shop.example./n",
        "https://shop_1.example/n",
        "https://shop.example\\@127.0.0.1/n",
        "http://127.0.0.1\\@shop.example/",
        "https://shop.example/ n",
        "https://shop.example/\nn",
        "https://shop.example/a/../b",
        "https://shop.example/%7en",
        "https://商店.example/n",
        "https://shop.example/商",
        "https://shop.example/" + "a" * 300,
        "https://-a.example/n",
        "javascript:alert(1)",
    ],
)
def test_every_other_address_is_refused(url):
    with pytest.raises(notify_urls.NotifyUrlRefused):
        notify_urls.validate(url)


def test_http_and_private_hosts_pass_only_where_settings_say_so(settings):
    local = "http://127.0.0.1:8002/notify"
    for allowed, hosts, passes in (
        (False, [], False),
        (True, [], False),
        (False, ["127.0.0.1:8002"], False),
        (True, ["127.0.0.1:8002"], True),
        (True, ["127.0.0.1:8003"], False),
    ):
        settings.NOTIFICATION_ALLOW_HTTP, settings.NOTIFICATION_PRIVATE_HOSTS = allowed, hosts
        if passes:
            notify_urls.validate(local)
        else:
            with pytest.raises(notify_urls.NotifyUrlRefused):
                notify_urls.validate(local)
    settings.NOTIFICATION_PRIVATE_HOSTS = ["10.0.0.1:9443"]
    notify_urls.validate("https://10.0.0.1:9443/n")
