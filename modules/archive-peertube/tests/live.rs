//! Live on the site too. Skipped without ffmpeg, unless `CI` or `PEERSTREAM_REQUIRE_TOOLS=1` asks for it.

mod common;
#[path = "../../ingest-rtmp/tests/common/mod.rs"]
mod server;

use std::time::Duration;

use common::stub::Stub;
use common::{Broadcast, config, meta, real_media, started, until, until_trouble};
use peerstream_archive_peertube::{Config, PeerTube};
use peerstream_sdk::prelude::*;
use peerstream_sdk::traits::archive::{ArchiveBackend as _, Item, Manifest};
use server::{KEY, Server, has_tools, play};

/// A broadcast of four seconds as it happens.
async fn broadcast(archive: &PeerTube, epoch: u64) {
    let id = archive.open(&meta(epoch)).await.unwrap();
    let items = real_media(epoch, 4, 30, 30);
    let (began, mut start_us) = (tokio::time::Instant::now(), None);
    for item in &items {
        if let Item::Segment(segment) = item {
            let start_us = *start_us.get_or_insert(segment.header.core.pts_us);
            let at = Duration::from_micros(segment.header.core.pts_us - start_us);
            tokio::time::sleep_until(began + at).await;
        }
        archive.put(&id, item).await.unwrap();
    }
    let manifest = Manifest { first: Seq(100), end: Seq(200), gaps: Vec::new(), ended: true, resumed: vec![] };
    archive.finalize(&id, &manifest).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_video_is_made_once_and_every_broadcast_goes_there() {
    if !has_tools() {
        return;
    }
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    let server = Server::start(server::config()).await;
    stub.site().rtmp = Some((format!("rtmp://{}/live", server.at), KEY.into()));
    let archive = started(Config { live: true, replay: true, ..config(&stub, folder.path()) }).await;
    for epoch in [3, 4] {
        // It is made ready while the first seconds go by: a first broadcast is not waited for.
        let id = archive.open(&meta(epoch)).await.unwrap();
        until("the live video is ready", &stub, |site| site.count("GET /videos/live/") >= (epoch - 2) as usize).await;
        until("it has its name", &stub, |site| epoch == 3 || site.count("PUT /videos/live-") == 1).await;
        drop(id);
        broadcast(&archive, epoch).await;
        server.until("it was on air", |server| server.billing.borrow().publications == epoch - 2).await;
        server.until_off_air().await;
    }
    let pictures = play(&server.played())[&0].len();
    assert!((180..=240).contains(&pictures), "{pictures} pictures of eight seconds");
    {
        let site = stub.site();
        assert_eq!(site.videos.len(), 1, "one live video, and no part is uploaded");
        let facts = &site.videos[0].facts;
        assert_eq!((&facts["permanentLive"], &facts["saveReplay"]), (&"true".into(), &"true".into()));
        assert_eq!(facts["name"], "Friday night");
    }
    assert_eq!(archive.waits(), (0, true));
    archive.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_without_live_videos_says_so_and_gets_its_parts() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    stub.site().no_live = true;
    let archive = started(Config { live: true, ..config(&stub, folder.path()) }).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..6).await;
    broadcast.end(&archive).await;
    until_trouble(&archive, "not live there: making a live video: 403 live_not_enabled").await;
    until("the part is there", &stub, |site| site.videos.len() == 1).await;
    archive.stop(Duration::from_secs(5)).await.unwrap();
}
