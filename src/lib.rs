//! A WebSocket client that stays connected.
