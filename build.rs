//! Writes the C header from `src/ffi` into `OUT_DIR`, where a test compares it with `include/heartwire.h`.
//!
//! The source tree is written to only on request: `HEARTWIRE_UPDATE_HEADER=1 cargo build`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "capi")]
    header::write();
}

#[cfg(feature = "capi")]
mod header {
    use std::env;
    use std::fs;
    use std::path::Path;

    /// The header's order. The files are read one by one: asking cargo for the crate's modules would need the network
    /// where not every platform's dependencies are at hand.
    const FILES: [&str; 34] = [
        "handles.rs",
        "stream_handles.rs",
        "status.rs",
        "numbers.rs",
        "options.rs",
        "options_request.rs",
        "options_limits.rs",
        "options_heartbeat.rs",
        "options_reconnect.rs",
        "options_outbox.rs",
        "options_delivery.rs",
        "options_proxy.rs",
        "options_tcp.rs",
        "options_stream.rs",
        "options_tls.rs",
        "options_urls.rs",
        "options_deflate.rs",
        "greeting.rs",
        "before_connect.rs",
        "client.rs",
        "send.rs",
        "streams.rs",
        "ask.rs",
        "event.rs",
        "event_parts.rs",
        "event_way.rs",
        "peer_certificate.rs",
        "events.rs",
        "callbacks.rs",
        "fragments.rs",
        "user_data.rs",
        "event_loop.rs",
        "logger.rs",
        "hooks.rs",
    ];

    pub(super) fn write() {
        println!("cargo:rerun-if-changed=src/ffi");
        println!("cargo:rerun-if-changed=cbindgen.toml");
        println!("cargo:rerun-if-changed=include/heartwire.h");
        println!("cargo:rerun-if-env-changed=HEARTWIRE_UPDATE_HEADER");
        let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        let root = Path::new(&root);
        let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("cbindgen.toml");
        config.after_includes = config.after_includes.map(|text| text.replace("@VERSION@", &version()));
        let mut builder = cbindgen::Builder::new().with_config(config);
        for file in FILES {
            builder = builder.with_src(root.join("src/ffi").join(file));
        }
        let mut text = Vec::new();
        builder.generate().expect("src/ffi in C").write(&mut text);
        let fresh = Path::new(&env::var("OUT_DIR").expect("cargo sets it")).join("heartwire.h");
        fs::write(&fresh, &text).expect("OUT_DIR can be written");
        if env::var_os("HEARTWIRE_UPDATE_HEADER").is_some_and(|asked| asked == "1") {
            let kept = root.join("include/heartwire.h");
            fs::create_dir_all(root.join("include")).expect("include/ can be made");
            // Untouched when it is right already: its time would have this script run again.
            if fs::read(&kept).ok().as_deref() != Some(&text[..]) {
                fs::write(&kept, &text).expect("include/heartwire.h can be written");
            }
        }
    }

    fn version() -> String {
        let part = |name: &str| env::var(format!("CARGO_PKG_VERSION_{name}")).expect("cargo sets it");
        format!(
            "#define HEARTWIRE_VERSION \"{}\"\n\
             #define HEARTWIRE_VERSION_MAJOR {}\n\
             #define HEARTWIRE_VERSION_MINOR {}\n\
             #define HEARTWIRE_VERSION_PATCH {}",
            env::var("CARGO_PKG_VERSION").expect("cargo sets it"),
            part("MAJOR"),
            part("MINOR"),
            part("PATCH"),
        )
    }
}
