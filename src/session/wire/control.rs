//! What a control frame carries, kept where it waits without memory of its own.

use crate::session::frame::CONTROL_PAYLOAD_MAX;

/// The payload of a control frame.
pub(super) struct Control {
    bytes: [u8; CONTROL_PAYLOAD_MAX],
    len: usize,
}

impl Control {
    pub(super) fn new(parts: [&[u8]; 2]) -> Control {
        let mut control = Control { bytes: [0; CONTROL_PAYLOAD_MAX], len: 0 };
        for byte in parts.into_iter().flatten().take(CONTROL_PAYLOAD_MAX) {
            control.bytes[control.len] = *byte;
            control.len += 1;
        }
        control
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}
