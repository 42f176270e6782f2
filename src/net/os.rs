//! What the operating system knows and std, mio and socket2 do not tell: the boot clock, how much the peer has not
//! acknowledged, and memory that a fork wipes. The only `unsafe` outside `ffi`; it holds no state.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use mio::net::TcpStream;

/// Time since boot, sleep included; `None` where the system has no such clock.
///
/// Everything else runs on `Instant`, which stops while a machine sleeps. A jump between the two means
/// that the machine slept and that every link deserves a check at once. Without it (macOS, Windows) a
/// link that died in its sleep is found by the heartbeat.
pub(crate) fn boot_clock() -> Option<Duration> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid timespec that outlives the call, which writes nothing else.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
        let seconds = u64::try_from(time.tv_sec).ok()?;
        let nanos = u32::try_from(time.tv_nsec).ok()?;
        (result == 0).then(|| Duration::new(seconds, nanos))
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    None
}

/// Whether [`unacknowledged`] counts the end of our direction like a byte.
pub(crate) const COUNTS_FIN: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Bytes handed to the kernel that the peer's kernel has not acknowledged; `None` where it does not tell.
///
/// Elsewhere than on Linux, Android and Apple's systems what was written is known to be written, and no more.
pub(crate) fn unacknowledged(socket: &TcpStream) -> Option<u64> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use std::os::fd::AsRawFd;

        let mut bytes: libc::c_int = 0;
        // SAFETY: the borrowed socket keeps the descriptor open, and TIOCOUTQ (SIOCOUTQ) writes one int.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ as _, &mut bytes) };
        if result == 0 { u64::try_from(bytes).ok() } else { None }
    }
    #[cfg(target_vendor = "apple")]
    {
        use std::os::fd::AsRawFd;

        let mut bytes: libc::c_int = 0;
        let mut size = size_of::<libc::c_int>() as libc::socklen_t;
        let place = (&raw mut bytes).cast();
        // SAFETY: the borrowed socket keeps the descriptor open; `place` has the `size` bytes that SO_NWRITE may write.
        let result = unsafe {
            libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NWRITE, place, &mut size)
        };
        if result == 0 { u64::try_from(bytes).ok() } else { None }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    {
        let _ = socket;
        None
    }
}

/// A number, zero at first, that is zero again in the child of a fork; `None` where the system has no such memory
/// (other systems than Linux, and Linux before 4.14). It is never freed: ask once.
pub(crate) fn wiped_on_fork() -> Option<&'static AtomicU64> {
    #[cfg(target_os = "linux")]
    {
        const SIZE: usize = size_of::<AtomicU64>();
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping, wherever the system has room; it rounds the size up to a page.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, protection, kind, -1, 0) };
        if page == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the mapping is ours alone.
        if unsafe { libc::madvise(page, SIZE, libc::MADV_WIPEONFORK) } != 0 {
            // SAFETY: nobody else knows of it.
            unsafe { libc::munmap(page, SIZE) };
            return None;
        }
        // SAFETY: a page is aligned, writable, filled with zeros, and never unmapped from here on.
        Some(unsafe { &*page.cast::<AtomicU64>() })
    }
    #[cfg(not(target_os = "linux"))]
    None
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_goes_forward() {
        let before = boot_clock().unwrap();
        assert!(before > Duration::ZERO);
        assert!(boot_clock().unwrap() >= before);
    }
}
