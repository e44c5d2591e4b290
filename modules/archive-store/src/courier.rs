//! Takes what waits in the spool to the backend, for as long as that takes, and does the chores there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::RecordingId;
use tracing::{info, warn};

use crate::backend::{Backend, Fetched, data_path, index_path, on_disk};
use crate::chores::Chores;
use crate::index::Record;
use crate::restrictions::Restrictions;
use crate::store::Inner;
use crate::{block, document, retention};

/// The pause after a failure; doubles each time.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// Retention is looked after so often.
const REVIEW: Duration = Duration::from_secs(60);

/// Works until it is aborted.
pub(crate) async fn run(inner: Arc<Inner>) {
    let mut pause = PAUSE;
    let mut adopted = false;
    let mut review_at = tokio::time::Instant::now();
    loop {
        let mut result = if adopted { Ok(()) } else { adopt(&inner).await };
        adopted |= result.is_ok();
        if result.is_ok() && review_at <= tokio::time::Instant::now() {
            review_at += REVIEW;
            result = review(&inner).await;
        }
        if result.is_ok() {
            result = deliver(&inner).await;
        }
        match result {
            Ok(()) => {
                if inner.set_trouble(None).is_some() {
                    info!("the backend of the archive takes objects again");
                }
                pause = PAUSE;
                let _ = tokio::time::timeout_at(review_at, inner.parcels.notified()).await;
            }
            Err(error) => {
                let waits = inner.spool.used();
                if inner.set_trouble(Some(error.to_string())).is_none() {
                    warn!(%error, waits, "the backend of the archive takes no objects; they wait in the spool");
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

async fn review(inner: &Arc<Inner>) -> Result<(), PluginError> {
    let it = inner.clone();
    let concerned = on_disk(move || retention::review(&it)).await?;
    concerned.into_iter().for_each(|id| inner.call_courier(&id));
    Ok(())
}

/// Takes in recordings of which only the objects are there: the spool was lost, or was another machine's.
async fn adopt(inner: &Arc<Inner>) -> Result<(), PluginError> {
    for id in inner.backend.recordings().await? {
        let Ok(folder) = inner.spool.of(&id) else { continue };
        if folder.join("meta.json").exists() {
            continue;
        }
        if let Some(fetched) = inner.backend.fetch(&id).await? {
            let Fetched { meta, summary, restrictions, records } = fetched;
            on_disk(move || {
                std::fs::create_dir_all(folder.join("inits"))?;
                document::write_bytes(&folder.join("index"), &records)?;
                document::write(&folder.join("manifest.json"), &summary)?;
                document::write(&folder.join("restrictions.json"), &restrictions)?;
                // The last one: with it the recording is there.
                Ok(document::write(&folder.join("meta.json"), &meta)?)
            })
            .await?;
            info!(recording = id.0, "a recording of the backend is taken in");
        }
    }
    Ok(())
}

/// Takes all that waits to the backend.
async fn deliver(inner: &Arc<Inner>) -> Result<(), PluginError> {
    while let Some(id) = inner.next_parcel() {
        let result = deliver_one(inner, &id).await;
        if result.is_err() {
            inner.call_courier(&id);
        }
        inner.delivered();
        result?;
    }
    Ok(())
}

async fn deliver_one(inner: &Arc<Inner>, id: &RecordingId) -> Result<(), PluginError> {
    let folder = inner.spool.of(id)?;
    if !folder.exists() {
        return Ok(());
    }
    let chores = Chores::read(&folder)?;
    if chores.gone {
        return remove(inner, id, &folder).await;
    }
    // Inits before the blocks that name them.
    for below in [folder.join("inits"), folder.clone()] {
        if below.exists() {
            documents(&inner.backend, id, &folder, &below).await?;
        }
    }
    for first in block::list(&folder, block::CLOSED)? {
        ship(inner, id, &folder, first).await?;
    }
    do_chores(inner, id, &folder, chores).await
}

async fn documents(backend: &Backend, id: &RecordingId, folder: &Path, below: &Path) -> Result<(), PluginError> {
    for path in document::unsent(below)? {
        document::sending(&path)?;
        if let Some(bytes) = document::read_bytes(&path)? {
            let name = path.strip_prefix(folder).ok().and_then(Path::to_str);
            let name =
                name.ok_or_else(|| PluginError::new(ErrorClass::Internal, "a document outside of its folder"))?;
            backend.put(&format!("{}/{name}", id.0), bytes.into()).await?;
        }
        document::sent(&path)?;
    }
    Ok(())
}

/// One block becomes two objects, and its file goes. The same again after a crash in between gives the same objects.
async fn ship(inner: &Arc<Inner>, id: &RecordingId, folder: &Path, first: u64) -> Result<(), PluginError> {
    // Nobody writes zeros over a block while it is on its way.
    let _way = inner.way.lock().await;
    let path = block::path(folder, first, block::CLOSED);
    let it = path.clone();
    let restrictions: Restrictions = document::read(&folder.join("restrictions.json"))?.unwrap_or_default();
    let (data, records) = on_disk(move || {
        let mut records = BytesMut::new();
        let (end, len) = block::scan(
            &it,
            |seq| restrictions.has_erased(seq),
            |at, entry| {
                records.extend_from_slice(&Record::of(entry, first, at).encode());
                Ok(())
            },
        )?;
        if end < len {
            warn!(block = %it.display(), bytes = len - end, "a block in the spool is damaged; what is behind it is kept as it is");
        }
        Ok((Bytes::from(std::fs::read(&it)?), records.freeze()))
    })
    .await?;
    let len = data.len() as u64;
    inner.backend.put(&data_path(id, first), data).await?;
    inner.backend.put(&index_path(id, first), records).await?;
    on_disk(move || Ok(std::fs::remove_file(path)?)).await?;
    inner.spool.give_back(len);
    Ok(())
}

async fn do_chores(inner: &Arc<Inner>, id: &RecordingId, folder: &Path, mut chores: Chores) -> Result<(), PluginError> {
    if chores.is_empty() {
        return Ok(());
    }
    let restrictions: Restrictions = document::read(&folder.join("restrictions.json"))?.unwrap_or_default();
    for first in std::mem::take(&mut chores.erase) {
        let _way = inner.way.lock().await;
        inner.backend.erase(id, first, &restrictions).await?;
        inner.note(folder, |chores| chores.erase.retain(|it| *it != first))?;
    }
    for first in chores.delete {
        // The index goes last: what it does not name is not there.
        inner.backend.delete(&data_path(id, first)).await?;
        inner.backend.delete(&index_path(id, first)).await?;
        inner.note(folder, |chores| chores.delete.retain(|it| *it != first))?;
    }
    Ok(())
}

/// All of a recording goes, the local word on it last.
async fn remove(inner: &Arc<Inner>, id: &RecordingId, folder: &Path) -> Result<(), PluginError> {
    inner.backend.delete_all(id).await?;
    let folder = folder.to_owned();
    on_disk(move || Ok(std::fs::remove_dir_all(folder)?)).await
}
