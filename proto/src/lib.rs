//! The gRPC contract of steroidsd, package `steroids.v1`: messages, clients and servers, generated
//! at build time from `proto/steroids/v1/*.proto`. No behaviour lives here
//! but how a message becomes bytes.

pub mod codec;

/// Package `steroids.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    rustdoc::all,
    reason = "generated from the .proto files, where the documentation stands"
)]
pub mod v1 {
    tonic::include_proto!("steroids.v1");
}

/// The encoded `FileDescriptorSet` of the package, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
