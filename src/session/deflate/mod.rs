//! permessage-deflate (RFC 7692): what is agreed with the server, and the two ways through DEFLATE.
//!
//! `no_deflate.rs` stands here in builds without the feature. Both states are made when they are first needed, and
//! belong to one session: the next one agrees anew and begins with empty windows.

mod compress;
mod extension;
mod inflate;

pub(crate) use compress::Deflater;
pub(crate) use extension::Agreed;
pub(crate) use inflate::Inflater;

pub(crate) use crate::config::deflate::Deflate as Offer;

/// What a flush leaves at the end; it is not sent (section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// zlib takes no 8: its compressor looks back no further than its window less 262 bytes, and in one of 512 bytes that
/// is less than 256. To inflate, a larger window is always good enough.
fn window(bits: u8) -> u8 {
    bits.clamp(9, 15)
}

/// Whether there would be so much memory: zlib-rs panics where there is not.
fn is_affordable(bytes: usize) -> bool {
    let mut probe: Vec<u8> = Vec::new();
    let affordable = probe.try_reserve_exact(bytes).is_ok();
    // Or the compiler leaves out what nobody uses.
    std::hint::black_box(&probe);
    affordable
}
