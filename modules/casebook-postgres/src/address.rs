//! Where the database is, and whether the way there is encrypted.

use std::net::IpAddr;
use std::time::Duration;

use peerstream_sdk::traits::{PluginError, Secret};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A server that does not take the connection is given up after this time.
const CONNECT: Duration = Duration::from_secs(5);
/// What was sent and nobody has acknowledged after this time is lost, and so is the connection.
const UNANSWERED: Duration = Duration::from_secs(15);

/// Reads an address such as `postgres://user:password@host/database?sslmode=require`.
///
/// # Errors
/// It is none. It is not shown: it has a password in it.
pub fn config(url: &Secret) -> Result<Config, PluginError> {
    let mut config: Config = url.reveal().parse().map_err(|_| {
        PluginError::invalid(
            "the database's address cannot be read, expected one such as postgres://user:password@host/database",
        )
    })?;
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err(PluginError::invalid("the database's address names no host"));
    }
    config.application_name("peerstream").connect_timeout(CONNECT).tcp_user_timeout(UNANSWERED);
    if config.get_ssl_mode() == SslMode::Prefer {
        // Half a promise is none: who can stand in the way can say that there is no TLS.
        config.ssl_mode(if is_on_this_machine(&config) { SslMode::Disable } else { SslMode::Require });
    }
    Ok(config)
}

fn is_on_this_machine(config: &Config) -> bool {
    let named = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|it: IpAddr| it.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    });
    named && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

/// TLS that trusts whom the system trusts.
///
/// # Errors
/// There is no TLS to be had.
pub fn tls() -> Result<MakeRustlsConnect, PluginError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = rustls::crypto::ring::default_provider().into();
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| PluginError::invalid(error.to_string()))?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        config(&Secret::new(url.to_owned())).unwrap().get_ssl_mode()
    }

    #[test]
    fn a_database_elsewhere_is_spoken_to_through_tls_unless_the_address_says_otherwise() {
        for (url, expected) in [
            ("postgres://u:p@db.example.org/cases", SslMode::Require),
            ("postgres://u:p@db.example.org/cases?sslmode=disable", SslMode::Disable),
            ("postgres://u:p@127.0.0.1,db.example.org/cases", SslMode::Require),
            ("postgres://u:p@localhost/cases", SslMode::Disable),
            ("postgres://u:p@localhost/cases?hostaddr=192.0.2.1", SslMode::Require),
            ("postgres://u:p@[::1]/cases", SslMode::Disable),
            ("host=/run/postgresql user=u dbname=cases", SslMode::Disable),
            ("postgres://u:p@localhost/cases?sslmode=require", SslMode::Require),
        ] {
            assert_eq!(mode(url), expected, "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for url in [
            "",
            "hunter2",
            "postgres://u:hunter2@host/db?hunter2=1",
            "postgres://u:hunter2@host:port/db",
            "user=hunter2",
        ] {
            let error = config(&Secret::new(url.to_owned())).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
