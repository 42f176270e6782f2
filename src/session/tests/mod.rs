//! The promises of this room that need more than one of its files.
