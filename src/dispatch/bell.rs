//! A descriptor that can be polled for "there is something to take". Knows no events.
//!
//! A pair of sockets with one byte in it, or none: std makes them close-on-exec and needs no `unsafe`, and the system
//! calls happen only when the queue turns from empty to not empty and back.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use socket2::SockRef;

pub(crate) struct Bell {
    /// The program polls this one.
    polled: UnixStream,
    other: UnixStream,
    rings: bool,
}

impl Bell {
    pub(crate) fn new() -> io::Result<Bell> {
        let (polled, other) = UnixStream::pair()?;
        // The program may have read the byte against the rules: that must not block us.
        polled.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        Ok(Bell { polled, other, rings: false })
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.polled.as_raw_fd()
    }

    pub(crate) fn set(&mut self, rings: bool) {
        if self.rings == rings {
            return;
        }
        let done = if rings {
            SockRef::from(&self.other).send_with_flags(b"!", NO_SIGNAL)
        } else {
            self.polled.read(&mut [0])
        };
        match done {
            Ok(_) => self.rings = rings,
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.rings = rings,
            // Tried again with the next change.
            Err(_) => {}
        }
    }
}

/// The program may have closed its end against the rules: no SIGPIPE for it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NO_SIGNAL: libc::c_int = libc::MSG_NOSIGNAL;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const NO_SIGNAL: libc::c_int = 0;

#[cfg(test)]
mod tests {
    use super::*;

    fn is_readable(bell: &Bell) -> bool {
        SockRef::from(&bell.polled).peek(&mut [std::mem::MaybeUninit::uninit()]).is_ok_and(|n| n == 1)
    }

    #[test]
    fn it_is_readable_exactly_while_it_rings() {
        let mut bell = Bell::new().unwrap();
        assert!(!is_readable(&bell));
        for _ in 0..3 {
            bell.set(true);
            bell.set(true);
            assert!(is_readable(&bell));
            bell.set(false);
            assert!(!is_readable(&bell));
        }
    }
}
