//! From the config to a desk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use peerstream::key::Publisher;
use peerstream::protocol::crypto::PublicKey;
use peerstream::takedown::Setup;
use peerstream::traits::Secret;
use peerstream::traits::casebook::BoxedCasebook;
use peerstream::traits::mail::SharedCourier;

use super::options::Takedown;
use crate::bundle::{Smtp, Sqlite};
use crate::comparison::Comparing;
use crate::paths;

/// The file with the cases, in their folder.
const CASES: &str = "cases.sqlite";

/// What it takes to have a desk for a stream.
pub fn setup(options: &Takedown, publisher: &Publisher) -> Result<Setup> {
    let folder = folder(options, publisher.public())?;
    create(&folder)?;
    let courier = match options.smtp.reveal() {
        "" => None,
        _ => Some(Arc::new(Smtp::new(&options.smtp, &options.mail_from)?) as SharedCourier),
    };
    Ok(Setup {
        casebook: casebook(&options.database, &folder)?,
        folder,
        operator: publisher.operator_key(),
        rules: options.rules(),
        courier,
        compare: Some(Arc::new(Comparing::new(options.ffmpeg.clone()).context("where this program is")?)),
    })
}

/// Cases in a database, or in a folder if none is named.
pub(super) fn casebook(database: &Secret, folder: &Path) -> Result<BoxedCasebook> {
    match database.reveal() {
        "" => Ok(Box::new(Sqlite::open(&folder.join(CASES))?)),
        _ => in_postgres(database),
    }
}

#[cfg(feature = "postgres")]
fn in_postgres(database: &Secret) -> Result<BoxedCasebook> {
    Ok(Box::new(crate::bundle::Postgres::open(database)?))
}

/// The config has refused it before.
#[cfg(not(feature = "postgres"))]
fn in_postgres(_: &Secret) -> Result<BoxedCasebook> {
    anyhow::bail!("this host was built without PostgreSQL")
}

/// Where cases of a stream are.
fn folder(options: &Takedown, stream: PublicKey) -> Result<PathBuf> {
    match &options.folder {
        Some(folder) => Ok(folder.clone()),
        None => Ok(paths::data_folder()?.join("takedown").join(stream.to_string())),
    }
}

/// For its owner alone: the files name who complains.
fn create(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).with_context(|| format!("{} cannot be made", folder.display()))
}
