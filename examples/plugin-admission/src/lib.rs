//! An admission policy: whoever knows the password may join.

use std::time::Duration;

use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::admission::{AdmissionPolicy, JoinRequest, Task, Verdict};

/// The options.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The password; without one nobody may join.
    pub password: Secret,
    /// Seconds for which nobody is asked again.
    pub ttl_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { password: Secret::default(), ttl_s: 3_600 }
    }
}

impl PluginConfig for Config {}

/// The policy.
pub struct Mine {
    config: Config,
}

impl Plugin for Mine {
    const NAME: &'static str = "password";
    const SUMMARY: &'static str = "whoever knows the password may join";
    type Config = Config;

    fn build(config: Config, _: &BuildContext<'_>) -> Result<Self, PluginError> {
        Ok(Self { config })
    }
}

impl Lifecycle for Mine {}

#[async_trait]
impl AdmissionPolicy for Mine {
    async fn admit(&self, request: &JoinRequest) -> Result<Verdict, PluginError> {
        let Some(proof) = &request.proof else { return Ok(Verdict::Challenge { task: Task::Token }) };
        let password = self.config.password.reveal();
        Ok(if !password.is_empty() && is_same(proof, password) {
            Verdict::allow(Duration::from_secs(self.config.ttl_s))
        } else {
            Verdict::deny("this is not the password")
        })
    }
}

/// Takes as long whatever differs, so that nobody can feel their way.
fn is_same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

peerstream_sdk::export_plugin! { admission: Mine }
