//! Signatures by Standard Webhooks (<https://www.standardwebhooks.com>), so that whoever receives can
//! check them with a library that is there: HMAC-SHA256 over `ID.TIMESTAMP.BODY`, in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

use super::settings::Secret;

/// Of a secret that is written in base64, as that standard has them.
const PREFIX: &str = "whsec_";

impl Secret {
    /// Takes a secret as it is written: after `whsec_` the key in base64, otherwise the key itself.
    ///
    /// # Errors
    /// In one line, without the secret: it is empty, or no base64.
    pub fn parse(text: &str) -> Result<Secret, String> {
        let key = match text.strip_prefix(PREFIX) {
            Some(encoded) => STANDARD
                .decode(encoded)
                .map_err(|_| format!("what follows {PREFIX} is no base64"))?,
            None => text.as_bytes().to_vec(),
        };
        if key.is_empty() {
            return Err("must not be empty".to_owned());
        }
        let text = text.to_owned();
        Ok(Secret { text, key })
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.key);
        let mut signing = hmac::Context::with_key(&key);
        signing.update(format!("{id}.{timestamp}.").as_bytes());
        signing.update(body);
        format!("v1,{}", STANDARD.encode(signing.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_of_the_standards_own_example() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_base64_or_itself_and_never_shown() {
        assert_eq!(Secret::parse("plain").unwrap().key, b"plain");
        assert_eq!(Secret::parse("whsec_YWJj").unwrap().key, b"abc");
        for bad in ["", "whsec_", "whsec_%%"] {
            let error = Secret::parse(bad).unwrap_err();
            assert!(!error.contains("%%"), "{error}");
        }
        assert_eq!(format!("{:?}", Secret::parse("plain")), "Ok(Secret(..))");
    }
}
