"""URLs that must not be called, in all the forms in which an address can be written down."""

import ipaddress
import itertools

# One or more of every network that is not the public internet.
CLOSED_V4 = """
    127.0.0.1 127.255.255.254 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255 192.168.0.1 192.168.255.255
    100.64.0.1 100.127.255.255 169.254.169.254 169.254.170.2 169.254.0.1 0.0.0.0 0.1.2.3 192.0.0.170 192.0.0.192
    192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1
    255.255.255.255 100.100.100.200 168.63.129.16
""".split()

CLOSED_V6 = """
    :: ::1 0:0:0:0:0:0:0:1 0000:0000:0000:0000:0000:0000:0000:0001 ::2 ::ffff:ffff fe80::1 fe80::a9fe:a9fe febf::1
    fc00::1 fd00::1 fd00:ec2::254 fdff:ffff::1 fec0::1 feff::1 ff00::1 ff02::1 ff0e::1 2001:db8::1 2001:db8:ffff::1
    2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:1ff:ffff::1 100::1 100::ffff
    100:0:0:1::1 3fff::1 3fff:fff:ffff::1 5f00::1 64:ff9b::1 64:ff9b:1::1 2002::1
""".split()

LOCAL_NAMES = """
    localhost LOCALHOST LocalHost localhost. localhost.. a.localhost a.b.localhost app.localhost. printer.local LOCAL
    printer.local. api.internal api.corp.INTERNAL metadata.google.internal metadata.google.internal. Metadata.Google.Internal
    nas.home.arpa home.arpa router.home.arpa. intranet web db redis rabbitmq kubernetes metadata localdomain
    example.com. hooks.example.com. loc%61lhost %6c%6f%63%61%6c%68%6f%73%74 loc%C2%ADalhost
    ｌｏｃａｌｈｏｓｔ ⓛⓞⓒⓐⓛⓗⓞⓢⓣ localhoﬆ 𝐥𝐨𝐜𝐚𝐥𝐡𝐨𝐬𝐭 app。localhost printer．local api｡internal
""".split()

NOT_TO_BE_PARSED = """
    http:// https:// http://: http://:80 http://@ http://[ http://[] http://[::1 http://::1/ http://[::1]extra/
    http://[::127.0.0.1.5]/ http://[1::2::3]/ http://[:::1]/ http://[::ffff:127.0.0.256]/ http://[12345::]/
    http://[fe80::1%25eth0]/ http://[fe80::1%eth0]/ http://[fe80::1%251]/ http://[::1%25lo]/ http://[v1.x]/
    http://256.256.256.256/ http://127.0.0.1.1.1/ http://127.0.0.256/ http://4294967296/ http://0x100000000/
    http://0400.0.0.1/ http://09.1.1.1/ http://1.2.3.08/ http://a.b.1/ http://127..1/ http://.127.0.0.1/
    http://exa<mple.com/ http://exa^mple.com/ http://exa|mple.com/ http://exa%mple.com/ http://exa%00mple.com/
    http://127.0.0.1%00.example.com/ http://127.0.0.1%20.example.com/ http://localhost%0d%0a.example.com/
    http://example.com:65536/ http://example.com:99999/ http://example.com:-1/ http://example.com:abc/
    http://example.com:80:80/ http://xn--/ http://xn--a/ http://%ff/ http://[www.example.com]/
    example.com //example.com/ /hook hook ?a=1 127.0.0.1:80 localhost:80 :80 http https: not-a-url ../hook
""".split()

SCHEMES = """
    ftp://example.com/ ftps://example.com/ sftp://example.com/ file:///etc/passwd file://localhost/etc/passwd
    gopher://127.0.0.1:6379/_INFO dict://127.0.0.1:11211/stats ldap://127.0.0.1/ ldaps://127.0.0.1/ tftp://127.0.0.1/
    ws://example.com/ wss://example.com/ amqp://127.0.0.1/ postgres://127.0.0.1/ redis://127.0.0.1:6379/ smb://h/s
    javascript:alert(1) data:text/plain,x mailto:a@example.com blob:https://example.com/x unix:/var/run/docker.sock
    http+unix://%2Fvar%2Frun%2Fdocker.sock/x jar:http://127.0.0.1!/ view-source:http://127.0.0.1/ about:blank urn:x:y
    HTTPX://example.com/ hxxp://example.com/ httpss://example.com/
""".split()

CLOSED_PORTS = [0, 1, 7, 9, 19, 21, 22, 23, 25, 53, 69, 79, 81, 110, 111, 119, 123, 135, 139, 143, 179, 389, 444, 445,
                465, 512, 513, 514, 543, 587, 631, 636, 873, 902, 989, 993, 995, 1023]  # fmt: skip

FULL_WIDTH = str.maketrans("0123456789.", "０１２３４５６７８９．")
IN_CIRCLES = str.maketrans("123456789", "①②③④⑤⑥⑦⑧⑨")


def forms_of(address):
    """An IPv4 address in every way that a URL can have it."""
    number = int(ipaddress.IPv4Address(address))
    a, b, c, d = (int(part) for part in address.split("."))
    high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
    yield address
    yield f"{address}."
    yield str(number)
    yield f"0x{number:x}"
    yield f"0X{number:X}"
    yield f"0{number:o}"
    yield f"{a}.{number & 0xFFFFFF}"
    yield f"{a}.{b}.{number & 0xFFFF}"
    yield f"0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"
    yield f"0{a:o}.0{b:o}.0{c:o}.0{d:o}"
    yield f"000{a:o}.000{b:o}.000{c:o}.000{d:o}"
    yield f"0x{a:x}.0{b:o}.{c}.{d}"
    yield f"0x{a:x}.{number & 0xFFFFFF}"
    yield "".join(f"%{ord(character):02x}" for character in address)
    yield address.translate(FULL_WIDTH)
    yield address.translate(IN_CIRCLES)
    yield from (address.replace(".", dot) for dot in "。．｡")
    yield f"[::ffff:{address}]"
    yield f"[::ffff:{high}:{low}]"
    yield f"[0:0:0:0:0:FFFF:{high}:{low}]"
    yield f"[::{address}]"
    yield f"[::ffff:0:{address}]"
    yield f"[64:ff9b::{address}]"
    yield f"[64:ff9b:1::{high}:{low}]"
    yield f"[2002:{high}:{low}::1]"
    # Teredo has the client's address with its bits turned over.
    yield f"[2001:0:4136:e378:8000:63bf:{(number >> 16) ^ 0xFFFF:x}:{(number & 0xFFFF) ^ 0xFFFF:x}]"
    yield f"[fe80::5efe:{high}:{low}]"


def written_around(host):
    """A URL of the host that looks like something else, or is spelled as browsers forgive."""
    yield f"http:{host}/"
    yield f"http:/{host}/"
    yield f"http:///{host}/"
    yield f"http:\\\\{host}\\"
    yield f"HtTp://{host}/"
    yield f"  http://{host}/  "
    yield f"ht\ttp://{host[:2]}\n{host[2:]}/"
    yield f"http://{host}#@example.com/"
    yield f"http://{host}?@example.com/"
    yield f"http://{host}\\@example.com/"
    yield f"http://example.com@{host}/"
    yield f"http://example.com:80@{host}/"
    yield f"http://example.com%2f@{host}/"
    yield f"http://{host}@example.com/"
    yield f"http://{host}:80@example.com/"


def hostile_urls(port):
    """All of them, with the port wherever one can be given: somebody listens there."""
    hosts = itertools.chain.from_iterable(forms_of(address) for address in CLOSED_V4)
    hosts = itertools.chain(hosts, (f"[{address}]" for address in CLOSED_V6), LOCAL_NAMES)
    urls = [f"http://{host}:{port}/hook" for host in hosts]
    urls += [f"https://{address}/hook" for address in CLOSED_V4]
    for host in (f"127.0.0.1:{port}", f"[::1]:{port}", f"localhost:{port}", f"169.254.169.254:{port}"):
        urls += written_around(host)
    urls += [f"http://example.com:{number}/" for number in CLOSED_PORTS]
    urls += ["http://user@example.com/", "http://user:secret@example.com/", "http://:secret@example.com/"]
    urls += NOT_TO_BE_PARSED + SCHEMES
    urls += [f"http://127.0.0.1{character}.example.com/" for character in "<>^|[]"]
    return list(dict.fromkeys(urls))
