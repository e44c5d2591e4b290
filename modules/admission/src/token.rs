//! Who shows a token may join.
//!
//! A token is a JSON Web Token (RFC 7519) with the algorithm `HS256` and these claims:
//!
//! - `exp`: when it expires, seconds since 1970; needed.
//! - `nbf`: from when it holds; optional.
//! - `stream`: the publisher's key of the one stream it is for, 64 hexadecimal digits; optional.
//!
//! Others are passed over. A token is not bound to an address and not used up: who has it can pass it on until it expires, so make it
//! short-lived, a minute for example; who is in stays in.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::admission::{AdmissionPolicy, JoinRequest, Task, Verdict};
use sha2::Sha256;

use crate::config::TokenConfig;

#[derive(Deserialize)]
struct Algorithm {
    alg: String,
    /// Extensions that must be understood: none are.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// When it expires, seconds since 1970.
    pub exp: f64,
    /// From when it holds, seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<f64>,
    /// The publisher's key of the one stream it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
}

/// Makes a token.
pub fn sign(secret: &Secret, claims: &Claims) -> String {
    let claims = serde_json::to_vec(claims).expect("claims are plain");
    let signed = format!("{}.{}", BASE64.encode(br#"{"alg":"HS256","typ":"JWT"}"#), BASE64.encode(claims));
    let seal = BASE64.encode(mac(secret, signed.as_bytes()).finalize().into_bytes());
    format!("{signed}.{seal}")
}

/// What a token says; nothing when it is not ours.
fn read(secret: &Secret, token: &str) -> Option<Claims> {
    let (signed, seal) = token.rsplit_once('.')?;
    let (algorithm, claims) = signed.split_once('.')?;
    // Takes the same time wherever the two differ; nothing is read before.
    mac(secret, signed.as_bytes()).verify_slice(&BASE64.decode(seal).ok()?).ok()?;
    let algorithm: Algorithm = serde_json::from_slice(&BASE64.decode(algorithm).ok()?).ok()?;
    let claims = BASE64.decode(claims).ok()?;
    (algorithm.alg == "HS256" && algorithm.crit.is_none()).then(|| serde_json::from_slice(&claims).ok())?
}

fn mac(secret: &Secret, bytes: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).expect("a key of any length");
    mac.update(bytes);
    mac
}

/// Lets in who shows a token.
#[derive(Clone, Debug)]
pub struct Token(TokenConfig);

impl Token {
    fn judge(&self, request: &JoinRequest, token: &str) -> Verdict {
        let Some(claims) = read(&self.0.secret, token) else {
            return Verdict::deny("the token is not of this stream's publisher");
        };
        let (now, leeway) = (request.now_us as f64 / 1e6, self.0.leeway_s as f64);
        if now >= claims.exp + leeway {
            return Verdict::deny("the token has expired; load the page again");
        }
        if claims.nbf.is_some_and(|from| now + leeway < from) {
            return Verdict::deny("the token does not hold yet");
        }
        if claims.stream.is_some_and(|stream| !stream.eq_ignore_ascii_case(&request.stream)) {
            return Verdict::deny("the token is for another stream");
        }
        Verdict::allow(Duration::from_secs(self.0.stay_s))
    }
}

impl Plugin for Token {
    const NAME: &'static str = "token";
    const SUMMARY: &'static str = "who shows a signed token (JWT, HS256) may join";
    const STABILITY: Stability = Stability::Beta;
    type Config = TokenConfig;

    fn build(config: TokenConfig, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        if config.secret.is_empty() {
            return Err(PluginError::invalid("no secret is given"));
        }
        Ok(Self(config))
    }
}

impl Lifecycle for Token {}

#[async_trait]
impl AdmissionPolicy for Token {
    async fn admit(&self, request: &JoinRequest) -> Result<Verdict, PluginError> {
        Ok(match &request.proof {
            Some(token) => self.judge(request, token),
            None => Verdict::Challenge { task: Task::Token },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_that_are_not_known_are_passed_over() {
        // Other claims, and another order in the head.
        let secret = Secret::new("0123456789abcdef0123456789abcdef");
        let head = BASE64.encode(br#"{"typ":"JWT","alg":"HS256"}"#);
        let claims = BASE64.encode(br#"{"sub":"me","exp":1800000000,"iat":1}"#);
        let signed = format!("{head}.{claims}");
        let token = format!("{signed}.{}", BASE64.encode(mac(&secret, signed.as_bytes()).finalize().into_bytes()));
        assert_eq!(read(&secret, &token).unwrap(), Claims { exp: 1.8e9, nbf: None, stream: None });
    }

    #[test]
    fn the_seal_is_the_standard_one() {
        // RFC 7515, appendix A.1.
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64.decode(key).unwrap()).unwrap();
        mac.update(b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ");
        let seal = BASE64.encode(mac.finalize().into_bytes());
        assert_eq!(seal, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }
}
