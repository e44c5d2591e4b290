//! Who we are at the site: tokens, kept on the disk, and renewed by one at a time.
//!
//! PeerTube makes both tokens anew when one is renewed, and the old ones are worth nothing from that moment. So there is one place
//! that renews, and what it got is on the disk before it is used.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use peerstream_sdk::prelude::*;
use ureq::http::Method;

use crate::config::Config;
use crate::failure::Failure;
use crate::files;
use crate::http::{Answer, Body, Call, Http};

/// What the disk holds.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    access: String,
    refresh: String,
    /// Whose they are: site and account.
    of: String,
}

/// What the site calls this kind of program.
#[derive(Clone, Deserialize)]
struct Client {
    client_id: String,
    client_secret: String,
}

/// The site's answer to a login.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    refresh_token: String,
}

/// Gives tokens.
pub(crate) struct Login {
    http: Http,
    user: String,
    password: Secret,
    otp: Secret,
    of: String,
    /// Where tokens are stored; none to store none.
    file: Option<PathBuf>,
    held: Mutex<Option<Tokens>>,
}

/// Never the tokens.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("of", &self.of).finish_non_exhaustive()
    }
}

impl Login {
    /// Reads what is on the disk, if it is for this account.
    pub(crate) fn new(config: &Config, http: Http, file: Option<PathBuf>) -> Self {
        let of = format!("{} at {}", config.user, config.base());
        let stored = file.as_ref().and_then(|file| files::read::<Tokens>(file).ok().flatten());
        let stored = stored.filter(|tokens| tokens.of == of);
        Self {
            http,
            user: config.user.clone(),
            password: config.password.clone(),
            otp: config.otp.clone(),
            of,
            file,
            held: Mutex::new(stored),
        }
    }

    /// A token to be shown; logs in when there is none.
    pub(crate) fn token(&self) -> Result<String, Failure> {
        let mut held = self.held();
        match &*held {
            Some(tokens) => Ok(tokens.access.clone()),
            None => self.log_in(&mut held),
        }
    }

    /// Another token than this one, which the site does not take any more. Whoever comes second gets what the first one got.
    pub(crate) fn renewed(&self, used: &str) -> Result<String, Failure> {
        let mut held = self.held();
        match held.clone() {
            Some(tokens) if tokens.access != used => Ok(tokens.access),
            Some(tokens) => match self.refresh(&tokens, &mut held) {
                // The token for that has expired, or another program has used it: the password is left.
                Err(Failure::Unfit { .. } | Failure::Refused { .. }) => self.log_in(&mut held),
                result => result,
            },
            None => self.log_in(&mut held),
        }
    }

    fn refresh(&self, tokens: &Tokens, held: &mut Option<Tokens>) -> Result<String, Failure> {
        let client = self.client()?;
        let fields = vec![
            ("client_id", client.client_id),
            ("client_secret", client.client_secret),
            ("grant_type", "refresh_token".into()),
            ("refresh_token", tokens.refresh.clone()),
        ];
        let answer = self.http.send(&Call::new(Method::POST, "/users/token").with(Body::Form(fields)), None)?;
        if !answer.is_good() {
            return Err(answer.failure("renewing the token"));
        }
        self.keep(&answer, held)
    }

    fn log_in(&self, held: &mut Option<Tokens>) -> Result<String, Failure> {
        let client = self.client()?;
        let fields = vec![
            ("client_id", client.client_id),
            ("client_secret", client.client_secret),
            ("grant_type", "password".into()),
            ("response_type", "code".into()),
            ("username", self.user.clone()),
            ("password", self.password.reveal().to_owned()),
        ];
        let mut call = Call::new(Method::POST, "/users/token").with(Body::Form(fields));
        if !self.otp.is_empty() {
            call = call.header("x-peertube-otp", self.otp.reveal());
        }
        let answer = self.http.send(&call, None)?;
        if answer.is_good() { self.keep(&answer, held) } else { Err(self.not_logged_in(&answer)) }
    }

    fn not_logged_in(&self, answer: &Answer) -> Failure {
        let who = &self.of;
        match (answer.status, answer.code().as_str()) {
            (400, "invalid_grant") => Failure::refused(format!("{who}: wrong name or password")),
            (400, "invalid_client") => {
                Failure::refused(format!("{who}: the site does not know its own client; is `url` right?"))
            }
            (401, "missing_two_factor") => {
                Failure::refused(format!("{who} needs a second factor: give its code of the moment as `otp` once"))
            }
            (400 | 401, "invalid_two_factor") => Failure::refused(format!("{who}: the code in `otp` does not hold")),
            _ => answer.failure(&format!("logging in as {who}")),
        }
    }

    fn client(&self) -> Result<Client, Failure> {
        let answer = self.http.send(&Call::new(Method::GET, "/oauth-clients/local"), None)?;
        if answer.is_good() { answer.json() } else { Err(answer.failure("asking for the site's client")) }
    }

    /// On the disk before anybody uses it.
    fn keep(&self, answer: &Answer, held: &mut Option<Tokens>) -> Result<String, Failure> {
        let Granted { access_token, refresh_token } = answer.json()?;
        let tokens = Tokens { access: access_token.clone(), refresh: refresh_token, of: self.of.clone() };
        // Without the disk they are good until the host ends, and then the password is.
        if let Some(file) = &self.file
            && let Err(error) = files::write(file, &tokens)
        {
            tracing::warn!(file = %file.display(), %error, "the tokens cannot be stored");
        }
        *held = Some(tokens);
        Ok(access_token)
    }

    fn held(&self) -> MutexGuard<'_, Option<Tokens>> {
        self.held.lock().expect("no holder panics")
    }
}

#[cfg(test)]
#[path = "../tests/common/stub.rs"]
#[allow(dead_code, missing_docs)]
mod stub;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn two_that_renew_at_the_same_time_renew_once() {
        let (stub, folder) = (stub::Stub::start(), tempfile::tempdir().unwrap());
        let config = Config {
            url: stub.url.clone(),
            user: "club".into(),
            password: Secret::new("geheim"),
            folder: folder.path().to_owned(),
            ..Config::default()
        };
        let file = folder.path().join("tokens.json");
        let login = || Login::new(&config, Http::new(&config, Arc::default()), Some(file.clone()));
        let shared = login();
        let old = shared.token().unwrap();
        let together = std::sync::Barrier::new(8);
        let renewed = std::thread::scope(|scope| {
            let racer = || {
                together.wait();
                shared.renewed(&old).unwrap()
            };
            let racers: Vec<_> = (0..8).map(|_| scope.spawn(racer)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect::<std::collections::BTreeSet<_>>()
        });
        let counts = |site: &stub::Site| (site.refreshes, site.logins);
        assert_eq!((renewed.len(), counts(&stub.site())), (1, (1, 1)));
        assert_eq!(login().token().unwrap(), renewed.into_iter().next().unwrap(), "it is on the disk");
        assert!(!format!("{shared:?}").contains("access-"));
    }
}
