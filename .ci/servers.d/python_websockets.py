"""The server of `.ci/servers` on Python's websockets; `npm_ws.js` does the same on npm's ws.

    python_websockets.py PORT TLS_PORT CERTIFICATE_AND_KEY FOLDER

What it does is chosen by the path:

    /echo                    sends each message back
    /fragments?size=N        sends each message back in fragments of N bytes, with an empty one and a ping among them
    /pings                   pings before, between and after messages, waits for each pong, and says how many came
    /close?code=N&reason=R   closes so when a message has come; without a code with an empty Close frame
    /close?abrupt=end        ends the connection without a Close frame; abrupt=reset with a TCP reset
    /subprotocol             takes v2.heartwire or v1.heartwire, and refuses who offers neither
    /numbers?run=NAME        writes the number that each message begins with to FOLDER/NAME; sends back every 100th, and
                             those that are followed by "tell"
    /end?run=NAME            writes how the client closed to FOLDER/NAME
    /seen?run=NAME           answers each message with what FOLDER/NAME has
    /restart?how=kill        kills itself when a message has come; how=close closes all connections with 1012 and ends
"""

import asyncio
import os
import signal
import socket
import ssl
import struct
import sys
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, NegotiationError
from websockets.protocol import State

BIGGEST = 32 << 20
PATIENCE = 10
SUBPROTOCOLS = ["v2.heartwire", "v1.heartwire"]

FOLDER = sys.argv[4]
restarting = asyncio.Event()


def file_of(query):
    if not query["run"].replace("-", "").isalnum():
        raise ValueError("bad name of a run")
    return os.path.join(FOLDER, query["run"])


async def echo(connection, query):
    async for message in connection:
        await connection.send(message)


async def fragments(connection, query):
    size = int(query["size"])

    async def pieces(data):
        yield data[:size]
        yield b""
        await connection.ping()
        for start in range(size, len(data), size):
            yield data[start : start + size]

    async for message in connection:
        text = isinstance(message, str)
        await connection.send(pieces(message.encode() if text else message), text=text)


async def pings(connection, query):
    async def ping(payload):
        # websockets takes a pong for the answer to the earlier pings as well; so there is never more than one.
        pong = await connection.ping(payload)
        await asyncio.wait_for(pong, PATIENCE)

    await ping(b"first of all")
    async for message in connection:
        payloads = [b"", b"\0", bytes(range(125))]
        for number, payload in enumerate(payloads):
            await connection.send(f"before ping {number}")
            await ping(payload)
        await connection.send(f"{1 + len(payloads)} pongs")


async def close(connection, query):
    await connection.recv()
    if "abrupt" in query:
        if query["abrupt"] == "reset":
            linger = struct.pack("ii", 1, 0)
            connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        connection.transport.abort()
    elif "code" in query:
        await connection.close(int(query["code"]), query.get("reason", ""))
    else:
        # `close` cannot send an empty Close frame.
        async with connection.send_context():
            connection.protocol.send_close()


async def numbers(connection, query):
    # Written without a buffer: what was seen is there after a kill.
    with open(file_of(query), "ab", buffering=0) as log:
        async for message in connection:
            number, word, _ = message.split(" ", 2)
            log.write(number.encode() + b"\n")
            # While it closes, a send would wait for the end, and the client's Close behind what is left would stay unread.
            if (word == "tell" or int(number) % 100 == 0) and connection.state is State.OPEN:
                await connection.send(number)


async def end(connection, query):
    await connection.wait_closed()
    with open(file_of(query), "w") as log:
        log.write(f"{connection.close_code} {connection.close_reason}")


async def seen(connection, query):
    async for _ in connection:
        try:
            with open(file_of(query)) as log:
                await connection.send(log.read())
        except FileNotFoundError:
            await connection.send("")


async def restart(connection, query):
    await connection.recv()
    if query["how"] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    restarting.set()
    await connection.wait_closed()


PATHS = {
    "/echo": echo,
    "/fragments": fragments,
    "/pings": pings,
    "/close": close,
    "/subprotocol": echo,
    "/numbers": numbers,
    "/end": end,
    "/seen": seen,
    "/restart": restart,
}


async def handle(connection):
    url = urlsplit(connection.request.path)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    try:
        await PATHS[url.path](connection, query)
    except ConnectionClosed:
        pass


def refuse_unknown_paths(connection, request):
    if urlsplit(request.path).path not in PATHS:
        return connection.respond(404, "no such path\n")
    return None


def choose_subprotocol(connection, offered):
    if urlsplit(connection.request.path).path != "/subprotocol":
        return None
    for name in SUBPROTOCOLS:
        if name in offered:
            return name
    raise NegotiationError("none of the subprotocols is known")


async def main():
    port, tls_port, certificate = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    settings = {
        "process_request": refuse_unknown_paths,
        "select_subprotocol": choose_subprotocol,
        "max_size": BIGGEST,
        "compression": "deflate",  # for clients that offer it; its windows have 12 bits, unless less is asked for
    }
    servers = [
        await serve(handle, "127.0.0.1", port, **settings),
        await serve(handle, "127.0.0.1", tls_port, ssl=tls, **settings),
    ]
    await restarting.wait()
    for server in servers:
        server.close(code=1012, reason="restart")
    for server in servers:
        await server.wait_closed()


asyncio.run(main())
