//! A hook that posts over TLS, to a server whose certificate the system is told to trust, and to one
//! whose it is not.

use std::fs;

use base64::Engine as _;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use steroids_tests::receiver::Closed;
use steroids_tests::{Daemon, Home};

/// Of `localhost`, signed by itself, for a hundred years.
const CERTIFICATE: &str = "\
MIIBkzCCATigAwIBAgIUXdNnWJWp9HaXrwulIgJD99ITKyAwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNjA4NTgxN1oYDzIxMjYxMTAy
MDg1ODE3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATVChWWvMTPWjCRI/9T9eqtiCp0BzPWiXkTFapqZOj0fF7ty2pW6Q9E
lXabnPB3mX9vk0r4f/R4wl/lBRr8Q4XEo2YwZDAdBgNVHQ4EFgQUkjclN01DpJko
2l0kyztbCmLMP8wwHwYDVR0jBBgwFoAUkjclN01DpJko2l0kyztbCmLMP8wwFAYD
VR0RBA0wC4IJbG9jYWxob3N0MAwGA1UdEwEB/wQCMAAwCgYIKoZIzj0EAwIDSQAw
RgIhAJvhaQInZLDwvZy0RmjLbkVnLKyWV9kvO5a/lkt5EQDqAiEAxEvdSdSZMnMd
ydWMXq7T9EFF8WLhooJffTc2oSdBTdg=";

/// Its key; whoever has it can only pretend to be this test.
const KEY: &str = "\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdoIh7//OnZDkjcZMjHoVNvFo7A14hk+Ok6Kk5uYaLgWhRANC\
AATVChWWvMTPWjCRI/9T9eqtiCp0BzPWiXkTFapqZOj0fF7ty2pW6Q9ElXabnPB3mX9vk0r4f/R4wl/lBRr8Q4XE";

fn decoded(text: &str) -> Vec<u8> {
    let text: String = text.split_ascii_whitespace().collect();
    let base64 = base64::engine::general_purpose::STANDARD;
    base64.decode(text).unwrap()
}

fn server_config() -> ServerConfig {
    let chain = vec![CertificateDer::from(decoded(CERTIFICATE))];
    let key = PrivatePkcs8KeyDer::from(decoded(KEY)).into();
    let config = ServerConfig::builder().with_no_client_auth();
    config.with_single_cert(chain, key).unwrap()
}

#[tokio::test]
async fn a_certificate_is_checked_against_those_of_the_system() {
    let server = Closed::with_tls(server_config());
    let hook = format!(
        "[[hooks]]\nname = \"tls\"\non = [\"any\"]\nurl = \"{}\"\nretries = 0",
        server.url("/hook")
    );
    let home = Home::with_config(&hook);
    let mut server = server.open();
    let trusted = home.path("trusted.pem");
    let pem = format!("-----BEGIN CERTIFICATE-----\n{CERTIFICATE}\n-----END CERTIFICATE-----\n");
    fs::write(&trusted, pem).unwrap();
    let trusting = format!("SSL_CERT_FILE={}", trusted.display());
    let mut daemon = Daemon::start_through(&home, &["env", &trusting]).await;
    let ctl = daemon.ctl(&home.path("home"));
    ctl.run(["hooks", "test", "tls"]).await.ok();
    assert_eq!(server.next().await.line, "POST /hook HTTP/1.1");
    daemon.term().await;
    // With none to trust in, as with another's, nothing is sent.
    let empty = home.path("empty.pem");
    fs::write(&empty, "").unwrap();
    let nobody = [
        format!("SSL_CERT_FILE={}", empty.display()),
        format!("SSL_CERT_DIR={}", home.path("tmp").display()),
    ];
    let _daemon = Daemon::start_through(&home, &["env", &nobody[0], &nobody[1]]).await;
    let refused = ctl.run(["hooks", "test", "tls"]).await.exits(4);
    assert!(refused.stdout.contains("certificate"), "{refused:?}");
    assert!(server.ready().is_none());
}
