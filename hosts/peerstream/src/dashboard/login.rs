//! Who may look at the dashboard, and who may end a broadcast.

use std::time::{Duration, Instant};

use peerstream::traits::Secret;
use serde::{Deserialize, Serialize};

use crate::allowance::Allowance;

/// Wrong passwords and tokens from one network at once, and per second after that.
pub const TRIES: (u32, f64) = (10, 0.1);
/// A login holds this long.
pub const SESSION: Duration = Duration::from_secs(7 * 24 * 3600);
/// What is shown as a password, token or cookie is no longer, in bytes.
pub const SHOWN_BYTES_MAX: usize = 256;

/// Digits of a token: 128 bits.
const TOKEN_DIGITS: usize = 32;
const DOMAIN: &str = "peerstream 2026 dashboard login";

/// What a visitor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Look at everything but what names paths and addresses.
    Guest,
    /// Everything.
    Owner,
}

/// Why somebody is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is neither the password nor a token.
    Wrong,
    /// The network has tried too often.
    TooOften,
}

/// Checks passwords, tokens and cookies. Nothing of a login is stored here: a cookie proves itself, also after a restart.
#[derive(Debug)]
pub struct Login {
    key: [u8; 32],
    owner: String,
    guest: String,
    has_password: bool,
    cookie: String,
    tries: Allowance,
}

impl Login {
    /// With a secret of the publisher: the same secret, password and number of links know the tokens and cookies of before a restart. The
    /// name tells its cookies from those of others.
    pub fn new(secret: &[u8; 32], name: &str, password: &Secret, links: u32) -> Self {
        let password = password.reveal();
        let material = [&secret[..], &links.to_le_bytes(), password.as_bytes()].concat();
        let key = blake3::derive_key(DOMAIN, &material);
        let token = |role: &str| blake3::keyed_hash(&key, role.as_bytes()).to_hex()[..TOKEN_DIGITS].to_owned();
        Self {
            owner: if password.is_empty() { token("owner") } else { password.to_owned() },
            guest: token("guest"),
            has_password: !password.is_empty(),
            cookie: format!("peerstream_{name}"),
            tries: Allowance::new(TRIES.0, TRIES.1),
            key,
        }
    }

    /// The token that lets the streamer in; none where there is a password instead.
    pub fn owner_token(&self) -> Option<&str> {
        (!self.has_password).then_some(self.owner.as_str())
    }

    /// The token of the read-only link.
    pub fn guest_token(&self) -> &str {
        &self.guest
    }

    /// Whose password or token this is. Wrong ones of one network are bounded, and so are passwords.
    pub fn enter(&self, shown: &str, network: &str, now: Instant) -> Result<Role, Refused> {
        // Tokens cannot be guessed: whoever has one gets in, also where others of the same network (behind a proxy: everybody) guess.
        if let Some(role) = self.role_of(shown).filter(|role| *role == Role::Guest || !self.has_password) {
            return Ok(role);
        }
        if !self.tries.take(network, now) {
            return Err(Refused::TooOften);
        }
        let role = self.role_of(shown).ok_or(Refused::Wrong)?;
        self.tries.give_back(network);
        Ok(role)
    }

    fn role_of(&self, shown: &str) -> Option<Role> {
        if shown.len() > SHOWN_BYTES_MAX {
            return None;
        }
        // The comparison of hashes takes the same time wherever they differ.
        let hash = |text: &str| blake3::keyed_hash(&self.key, text.as_bytes());
        let shown = hash(shown);
        let (owner, guest) = (shown == hash(&self.owner), shown == hash(&self.guest));
        if owner { Some(Role::Owner) } else { guest.then_some(Role::Guest) }
    }

    /// The cookie's name: cookies of one machine are shared by all its ports, and there may be several streams.
    pub fn cookie_name(&self) -> &str {
        &self.cookie
    }

    /// A cookie's value for somebody who was let in at this time since 1970.
    pub fn cookie(&self, role: Role, now: Duration) -> String {
        let expiry = now.saturating_add(SESSION).as_secs();
        let letter = match role {
            Role::Guest => 'g',
            Role::Owner => 'o',
        };
        format!("{letter}{expiry:x}.{}", self.seal(letter, expiry).to_hex())
    }

    /// Whose cookie this is, if it is ours and has not expired.
    pub fn role_of_cookie(&self, value: &str, now: Duration) -> Option<Role> {
        let (head, seal) = value.split_once('.').filter(|_| value.len() <= SHOWN_BYTES_MAX)?;
        let mut head = head.chars();
        let letter = head.next()?;
        let expiry = u64::from_str_radix(head.as_str(), 16).ok()?;
        let seal = blake3::Hash::from_hex(seal).ok()?;
        let role = match letter {
            'g' => Role::Guest,
            'o' => Role::Owner,
            _ => return None,
        };
        (self.seal(letter, expiry) == seal && now.as_secs() < expiry).then_some(role)
    }

    fn seal(&self, letter: char, expiry: u64) -> blake3::Hash {
        blake3::keyed_hash(&self.key, format!("cookie {letter} {expiry}").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Dashboard;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn login(secret: u8, options: &Dashboard) -> Login {
        Login::new(&[secret; 32], "07070707", &options.password, options.links)
    }

    fn with_password(password: &str) -> Dashboard {
        Dashboard { password: Secret::new(password), ..Dashboard::default() }
    }

    #[test]
    fn without_a_password_there_is_a_token_that_a_restart_does_not_change() {
        let login_before = login(1, &Dashboard::default());
        let token = login_before.owner_token().unwrap();
        assert_eq!(token.len(), TOKEN_DIGITS);
        let after = login(1, &Dashboard::default());
        assert_eq!(after.enter(token, "a", Instant::now()), Ok(Role::Owner));
        assert_eq!(after.enter(after.guest_token(), "a", Instant::now()), Ok(Role::Guest));
        assert_eq!(login(2, &Dashboard::default()).enter(token, "a", Instant::now()), Err(Refused::Wrong));
    }

    #[test]
    fn with_a_password_there_is_no_other_token_for_the_streamer() {
        let login = login(1, &with_password("correct horse"));
        assert_eq!(login.owner_token(), None);
        assert_eq!(login.enter("correct horse", "a", Instant::now()), Ok(Role::Owner));
        for wrong in ["", "correct horse ", "Correct horse", &"x".repeat(10_000)] {
            assert_eq!(login.enter(wrong, "a", Instant::now()), Err(Refused::Wrong), "{wrong}");
        }
    }

    #[test]
    fn a_network_that_guesses_is_not_heard_for_a_while_and_others_are() {
        let (login, now) = (login(1, &with_password("correct horse")), Instant::now());
        (0..TRIES.0).for_each(|_| assert_eq!(login.enter("wrong", "a", now), Err(Refused::Wrong)));
        assert_eq!(login.enter("correct horse", "a", now), Err(Refused::TooOften));
        assert_eq!(login.enter("correct horse", "b", now), Ok(Role::Owner));
        assert_eq!(login.enter("correct horse", "a", now + Duration::from_secs(11)), Ok(Role::Owner));
    }

    #[test]
    fn right_ones_are_not_counted() {
        let (login, now) = (login(1, &with_password("correct horse")), Instant::now());
        (0..100).for_each(|_| assert_eq!(login.enter("correct horse", "a", now), Ok(Role::Owner)));
    }

    #[test]
    fn a_cookie_is_of_one_role_and_expires() {
        let login = login(1, &Dashboard::default());
        for role in [Role::Guest, Role::Owner] {
            let cookie = login.cookie(role, NOW);
            assert_eq!(login.role_of_cookie(&cookie, NOW + SESSION / 2), Some(role));
            assert_eq!(login.role_of_cookie(&cookie, NOW + SESSION), None);
        }
        let raised = login.cookie(Role::Guest, NOW).replacen('g', "o", 1);
        for cookie in ["", ".", "o.", "o1.00", &raised, &"f".repeat(1_000), "ö1.00"] {
            assert_eq!(login.role_of_cookie(cookie, NOW), None, "{cookie}");
        }
    }

    #[test]
    fn another_password_or_number_of_links_makes_all_that_was_given_out_worthless() {
        let before = login(1, &with_password("correct horse"));
        let (cookie, link) = (before.cookie(Role::Owner, NOW), before.guest_token().to_owned());
        for options in [with_password("battery staple"), Dashboard { links: 2, ..with_password("correct horse") }] {
            let after = login(1, &options);
            assert_eq!(after.role_of_cookie(&cookie, NOW), None);
            assert_eq!(after.enter(&link, "a", Instant::now()), Err(Refused::Wrong));
        }
    }
}
