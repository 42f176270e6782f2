//! Descriptors that C programs hand over: checked first, then owned.

use std::ffi::c_int;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

use socket2::{SockRef, Type};

use crate::net::socket::Socket;

/// Whether this is a connected stream socket; else why not.
pub(super) fn check(fd: c_int) -> Result<(), String> {
    if fd < 0 {
        return Err(format!("the descriptor {fd} is none"));
    }
    // SAFETY: not -1, and used for questions to the system only, which answers EBADF for one that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let socket = SockRef::from(&borrowed);
    match socket.r#type() {
        Err(error) => Err(format!("the descriptor {fd} is no socket: {error}")),
        Ok(Type::STREAM) => match socket.peer_addr() {
            Err(error) => Err(format!("the socket {fd} is not connected: {error}")),
            Ok(_) => Ok(()),
        },
        Ok(_) => Err(format!("the socket {fd} is no stream socket")),
    }
}

/// Takes the descriptor over.
///
/// # Safety
///
/// It was [`check`]ed, and nobody else owns it.
pub(super) unsafe fn take(fd: c_int) -> Socket {
    // SAFETY: open, as the check has found, and nobody else's, as the caller promised.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    Socket::adopt(owned)
}
