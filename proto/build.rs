//! Compiles the contract in pure Rust, so that nobody needs `protoc`.

use std::path::Path;

const FILES: [&str; 6] = [
    "steroids/v1/types.proto",
    "steroids/v1/usage.proto",
    "steroids/v1/measures.proto",
    "steroids/v1/invocations.proto",
    "steroids/v1/projects.proto",
    "steroids/v1/daemon.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["."])?;
    let out = std::env::var("OUT_DIR")?;
    let encoded = prost::Message::encode_to_vec(&descriptors);
    std::fs::write(Path::new(&out).join("descriptors.bin"), encoded)?;
    // Lines travel as shared bytes: a batch is cut out of the log without a copy per line.
    tonic_prost_build::configure()
        .bytes(".steroids.v1.Event.line")
        .bytes(".steroids.v1.Piece.lines")
        .bytes(".steroids.v1.TimelineResponse.entries")
        .codec_path("crate::codec::SizedCodec")
        .compile_fds(descriptors)?;
    Ok(())
}
