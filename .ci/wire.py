"""A wire between a machine and itself that can lose and delay packets, for .ci/acknowledgements.

    wire.py INTERFACE PORT

INTERFACE is a tun device; PORT is the server's. A packet comes back with its two addresses swapped, which leaves all
checksums right: who connects to the other address of the network meets its own machine there, over this wire. "Up" is
what goes to PORT. Each line of input is a command, and is answered by "ok" when it has taken effect:

    up on|off, down on|off      whether packets of this direction get through
    delay MILLISECONDS          how long each of them takes from now on
"""

import fcntl
import os
import select
import struct
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
TCP = 6

interface, port = sys.argv[1].encode(), int(sys.argv[2])
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", interface, IFF_TUN | IFF_NO_PI))
passes = {"up": True, "down": True}
delay = 0.0
# In the order of sending: when each is due, and its bytes.
flying = []


def take(packet):
    header = (packet[0] & 0x0F) * 4
    if packet[0] >> 4 != 4 or packet[9] != TCP:
        return
    destination_port = int.from_bytes(packet[header + 2 : header + 4], "big")
    if passes["up" if destination_port == port else "down"]:
        swapped = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
        flying.append((time.monotonic() + delay, swapped))


print("ok", flush=True)
while True:
    timeout = max(0.0, flying[0][0] - time.monotonic()) if flying else None
    ready, _, _ = select.select([tun, sys.stdin], [], [], timeout)
    if tun in ready:
        take(os.read(tun, 65536))
    if sys.stdin in ready:
        words = sys.stdin.readline().split()
        if not words:
            sys.exit(0)
        if words[0] == "delay":
            delay = int(words[1]) / 1000
        else:
            passes[words[0]] = words[1] == "on"
        print("ok", flush=True)
    while flying and flying[0][0] <= time.monotonic():
        os.write(tun, flying.pop(0)[1])
