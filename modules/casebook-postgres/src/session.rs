//! The connection: made when it is needed, with the lock that keeps other hosts out, and bounded in time.

use std::time::Duration;

use peerstream_sdk::traits::{ErrorClass, PluginError, Secret};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Client, Config, Error, NoTls, Socket};

use crate::{address, schema};

/// What is asked must be answered within this time.
pub const WAIT: Duration = Duration::from_secs(10);
/// Rewriting tables may take as long as this.
pub const WAIT_LONG: Duration = Duration::from_secs(600);
/// Another host that is about to end, or an earlier connection of this one, is waited for so long.
const BUSY: Duration = Duration::from_secs(2);
const BUSY_LOOK: Duration = Duration::from_millis(50);

/// What a session promises and asks for: that what it has said it keeps is on the disk, and that the server lets go of a host that is gone
/// within half a minute.
const SETTINGS: &str = "
set synchronous_commit = on;
set lock_timeout = '5s';
set idle_in_transaction_session_timeout = '15s';
set tcp_keepalives_idle = 10;
set tcp_keepalives_interval = 5;
set tcp_keepalives_count = 3;
set client_min_messages = warning;
";

/// Held for as long as the connection lasts; one for each schema. The first half says whose lock it is.
const LOCK: &str = "select pg_try_advisory_lock((1886614627::bigint << 32) | oid::bigint) from pg_namespace where nspname = current_schema()";

/// A connection that is there, or will be.
pub struct Session {
    config: Config,
    client: Option<Client>,
    /// None only while it is dropped.
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.config.get_dbname().unwrap_or_default())
    }
}

impl Session {
    /// To a database. Opens nothing yet.
    pub fn new(url: &Secret) -> Result<Self, PluginError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("casebook").enable_all().build()?;
        Ok(Self { config: address::config(url)?, client: None, runtime: Some(runtime) })
    }

    /// Has something done in the database by this time, connected and with the lock. Must not be called where waiting is forbidden.
    pub fn run<T>(
        &mut self,
        wait: Duration,
        act: impl AsyncFnOnce(&mut Client) -> Result<T, Error>,
    ) -> Result<T, PluginError> {
        let runtime = self.runtime.as_ref().expect("it is not dropped");
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => runtime.block_on(connected(&self.config))?,
        };
        let client = self.client.insert(client);
        match runtime.block_on(async { timeout(wait, act(client)).await }) {
            Ok(done) => done.map_err(from),
            Err(_) => {
                // What was begun is undone by the server when it misses the connection.
                self.client = None;
                Err(late(wait))
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The task that owns the connection ends with it; where this is dropped nobody may wait.
        self.client = None;
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn late(wait: Duration) -> PluginError {
    PluginError::new(ErrorClass::Timeout, format!("the database does not answer within {} s", wait.as_secs()))
}

async fn connected(config: &Config) -> Result<Client, PluginError> {
    let ready = async {
        let mut client = match config.get_ssl_mode() {
            SslMode::Disable => connect(config, NoTls).await?,
            _ => connect(config, address::tls()?).await?,
        };
        client.batch_execute(SETTINGS).await.map_err(from)?;
        lock(&client).await?;
        migrate(&mut client).await?;
        Ok(client)
    };
    timeout(WAIT, ready).await.unwrap_or_else(|_| Err(late(WAIT)))
}

async fn connect<T>(config: &Config, tls: T) -> Result<Client, PluginError>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, connection) = config.connect(tls).await.map_err(from)?;
    // How it ends is told to whoever asks next.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

async fn lock(client: &Client) -> Result<(), PluginError> {
    let held = async {
        loop {
            let rows = client.query(LOCK, &[]).await.map_err(from)?;
            let Some(row) = rows.first() else {
                return Err(PluginError::invalid("the database has no schema for the cases; see `search_path`"));
            };
            if row.get(0) {
                return Ok(());
            }
            sleep(BUSY_LOOK).await;
        }
    };
    timeout(BUSY, held).await.unwrap_or_else(|_| Err(PluginError::unavailable("another host has the cases open")))
}

async fn migrate(client: &mut Client) -> Result<(), PluginError> {
    let begun = client.transaction().await.map_err(from)?;
    begun.batch_execute(schema::CASEBOOK).await.map_err(from)?;
    let version: i32 = begun.query_one("select version from casebook", &[]).await.map_err(from)?.get(0);
    let newest = schema::STEPS.len() as i32;
    if version > newest {
        let message = format!(
            "the cases have the version {version}, expected at most {newest}; a later peerstream has written them"
        );
        return Err(PluginError::invalid(message));
    }
    for step in schema::STEPS.iter().skip(version.max(0) as usize) {
        begun.batch_execute(step).await.map_err(from)?;
    }
    begun.execute("update casebook set version = $1 where version <> $1", &[&newest]).await.map_err(from)?;
    begun.commit().await.map_err(from)
}

/// What the database says, without what was asked.
pub fn from(error: Error) -> PluginError {
    let Some(said) = error.as_db_error() else {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        return PluginError::unavailable(format!("the database cannot be reached: {error}{cause}"));
    };
    let class = match *said.code() {
        SqlState::QUERY_CANCELED | SqlState::LOCK_NOT_AVAILABLE | SqlState::READ_ONLY_SQL_TRANSACTION => {
            ErrorClass::Unavailable
        }
        SqlState::INSUFFICIENT_PRIVILEGE => ErrorClass::Denied,
        // Connections, transactions that were rolled back, resources, operators, the system; logins and names of databases.
        ref code => match &code.code()[..2] {
            "08" | "40" | "53" | "57" | "58" => ErrorClass::Unavailable,
            "28" => ErrorClass::Denied,
            "3D" => ErrorClass::NotFound,
            "23" => ErrorClass::Conflict,
            _ => ErrorClass::Internal,
        },
    };
    PluginError::new(class, format!("the database says: {}", said.message()))
}
