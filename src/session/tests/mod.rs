//! The promises of this room that need more than one of its files.

mod delivery;
mod fragmenting;
mod fragments;
mod frames;
mod proof;
mod reader;
mod stream;
mod upgrade;
mod wire;

#[cfg(feature = "deflate")]
mod deflate {
    mod fragments;
    mod negotiation;
    mod peer;
    mod reading;
    mod window;
    mod writing;
}
