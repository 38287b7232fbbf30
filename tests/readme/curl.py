#!/usr/bin/env python3
"""As much of curl as the README uses, for machines without it: -s, -H, -d and an address."""

import sys
import urllib.error
import urllib.request

headers, body, address = {}, None, None
arguments = iter(sys.argv[1:])
for argument in arguments:
    if argument == "-H":
        name, value = next(arguments).split(":", 1)
        headers[name] = value.strip()
    elif argument == "-d":
        body = next(arguments).encode()
    elif not argument.startswith("-"):
        address = argument
try:
    with urllib.request.urlopen(urllib.request.Request(address, body, headers)) as answer:
        sys.stdout.write(answer.read().decode())
except urllib.error.HTTPError as error:
    sys.stdout.write(error.read().decode())
    sys.exit(22)
