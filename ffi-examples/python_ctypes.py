#!/usr/bin/env python3
"""Speaks through heartwire from Python, by ctypes and nothing else: sends a text, prints the answer, closes.

    python_ctypes.py LIBRARY URL TEXT
    python_ctypes.py target/release/libheartwire.so ws://127.0.0.1:9001/ hello

Shows: that a language that can call C functions can use the library: the handle is a struct by value, events are taken
with a timeout, everything is freed in one place. Leaves out: callbacks, which ctypes can do by CFUNCTYPE (keep the
function object alive until heartwire_destroy has returned), and a class around it.

Exit status: 0 if the answer came, 1 if not, 2 for wrong arguments.
"""

import ctypes
import sys
from ctypes import POINTER, byref, c_char_p, c_int32, c_size_t, c_uint16, c_uint64, c_void_p, string_at

OK = 0
EVENT_MESSAGE, EVENT_CONNECT_FAILED, EVENT_CLOSED_FOR_GOOD = 2, 4, 10


class Client(ctypes.Structure):
    _fields_ = [("id", c_uint64)]


def load(path):
    """Declares the functions used here: ctypes takes everything for an int otherwise, and cuts pointers."""
    library = ctypes.CDLL(path)
    for name, result, arguments in [
        ("heartwire_last_error", c_char_p, []),
        ("heartwire_create", c_int32, [c_char_p, c_void_p, POINTER(Client)]),
        ("heartwire_destroy", c_int32, [Client]),
        ("heartwire_connect", c_int32, [Client]),
        ("heartwire_send_text", c_int32, [Client, c_char_p, c_size_t, POINTER(c_uint64)]),
        ("heartwire_close", c_int32, [Client, c_uint16, c_char_p]),
        ("heartwire_events_fd", c_int32, [Client, POINTER(ctypes.c_int)]),
        ("heartwire_next_event", c_int32, [Client, c_int32, POINTER(c_void_p)]),
        ("heartwire_event_free", None, [c_void_p]),
        ("heartwire_event_kind", c_int32, [c_void_p]),
        ("heartwire_event_data", c_void_p, [c_void_p, POINTER(c_size_t)]),
        ("heartwire_event_text", c_char_p, [c_void_p]),
    ]:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def speak(library, client, text):
    """Returns the answer, or None if the client has ended without one."""

    def check(status):
        if status != OK:
            raise RuntimeError(library.heartwire_last_error().decode())

    fd = ctypes.c_int()
    # Says that events are taken; a program with a selectors loop would register the descriptor, too.
    check(library.heartwire_events_fd(client, byref(fd)))
    check(library.heartwire_connect(client))
    data = text.encode()
    check(library.heartwire_send_text(client, data, len(data), None))
    answer = None
    while True:
        event = c_void_p()
        check(library.heartwire_next_event(client, 10_000, byref(event)))
        try:
            kind = library.heartwire_event_kind(event)
            if kind == EVENT_MESSAGE:
                length = c_size_t()
                answer = string_at(library.heartwire_event_data(event, byref(length)), length.value).decode()
                check(library.heartwire_close(client, 1000, b"done"))
            elif kind in (EVENT_CONNECT_FAILED, EVENT_CLOSED_FOR_GOOD):
                print(library.heartwire_event_text(event).decode(), file=sys.stderr)
            if kind == EVENT_CLOSED_FOR_GOOD:
                return answer
        finally:
            library.heartwire_event_free(event)


def main():
    if len(sys.argv) != 4:
        print("usage: python_ctypes.py LIBRARY URL TEXT", file=sys.stderr)
        return 2
    library = load(sys.argv[1])
    client = Client()
    answer = None
    try:
        if library.heartwire_create(sys.argv[2].encode(), None, byref(client)) != OK:
            raise RuntimeError(library.heartwire_last_error().decode())
        answer = speak(library, client, sys.argv[3])
    except RuntimeError as error:
        print(error, file=sys.stderr)
    finally:
        library.heartwire_destroy(client)
    if answer is None:
        return 1
    print(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
