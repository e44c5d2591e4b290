//! Parts become videos, whatever the site does.

mod common;

use common::stub::Stub;
use common::{Broadcast, config, meta, started, until, until_idle, until_trouble};
use peerstream_archive_peertube::{Config, Privacy};
use peerstream_sdk::prelude::*;
use peerstream_sdk::serde_json::json;
use peerstream_sdk::traits::archive::{ArchiveBackend as _, RestrictMode, Restriction};

/// All parts as the site has them, against what went in: six segments each.
fn check_parts(stub: &Stub, broadcast: &Broadcast, parts: usize) {
    let site = stub.site();
    let names: Vec<_> = site.videos.iter().map(|video| video.facts["name"].clone()).collect();
    assert_eq!(site.videos.len(), parts, "nothing lost and nothing doubled: {names:?}");
    for part in 1..=parts {
        let first = (part as u64 - 1) * 6;
        assert!(site.video(part).unwrap().bytes == broadcast.file(first..first + 6), "part {part}");
    }
    assert_eq!(site.playlists.len(), 1);
    assert_eq!(site.order(0), (1..=parts).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_come_in_order_with_their_playlist_and_say_what_they_are_of() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    let archive = started(Config { channel: "side".into(), ..config(&stub, folder.path()) }).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..12).await;
    until("the first part is there while the second is written", &stub, |site| site.videos.len() == 1).await;
    broadcast.put(&archive, 12..18).await;
    broadcast.end(&archive).await;
    until_idle(&archive, &stub).await;
    check_parts(&stub, &broadcast, 3);
    let facts = stub.site().video(2).unwrap().facts.clone();
    assert_eq!(
        (&facts["name"], &facts["channelId"], &facts["privacy"]),
        (&json!("Friday night, part 2"), &json!(8), &json!(1))
    );
    let said = facts["description"].as_str().unwrap();
    assert!(said.starts_with("00:01:00 to 00:02:00 of a live broadcast that began 2023-11-14 22:13 UTC."), "{said}");
    let mark = facts["support"].as_str().unwrap();
    assert!(mark.starts_with(&format!("peerstream {}/3 segments 6-11 headers blake3:", meta(3).stream)), "{mark}");
    assert_eq!(stub.site().playlists[0].fields["displayName"], "Friday night");
    assert_eq!(archive.waits(), (0, true), "what is there takes no room here");
    assert_eq!(archive.health(), Health::Ok);
    archive.stop(std::time::Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_within_a_chunk_costs_that_chunk() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    stub.site().cut = Some(30_000);
    let archive = started(config(&stub, folder.path())).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..6).await;
    broadcast.end(&archive).await;
    until_idle(&archive, &stub).await;
    check_parts(&stub, &broadcast, 1);
    assert_eq!(stub.site().count("POST /videos/upload-resumable"), 1, "it was resumed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_got_lost_makes_no_second_video() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    stub.site().lose_answer = true;
    let archive = started(config(&stub, folder.path())).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..12).await;
    broadcast.end(&archive).await;
    until_idle(&archive, &stub).await;
    check_parts(&stub, &broadcast, 2);
    let log = stub.site().log.clone();
    assert!(log.iter().any(|line| line == "PUT /videos/upload-resumable 404"), "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hole_that_the_site_takes_is_not_taken_by_us() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    stub.site().lie = 1_000;
    let archive = started(config(&stub, folder.path())).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..6).await;
    broadcast.end(&archive).await;
    until_idle(&archive, &stub).await;
    check_parts(&stub, &broadcast, 1);
    assert_eq!(stub.site().count("DELETE /videos/upload-resumable 204"), 1, "the file with the hole is thrown away");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_the_site_has_forgotten_begins_anew() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    let archive = started(config(&stub, folder.path())).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    stub.site().cut = Some(1);
    broadcast.put(&archive, 0..6).await;
    broadcast.end(&archive).await;
    until("a chunk broke off", &stub, |site| site.cut.is_none()).await;
    stub.site().forget();
    until_idle(&archive, &stub).await;
    check_parts(&stub, &broadcast, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_refusals_in_plain_text_passes_and_nothing_is_lost() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    stub.site().storm = 2;
    let archive = started(config(&stub, folder.path())).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..12).await;
    broadcast.end(&archive).await;
    let began = std::time::Instant::now();
    let said = until_trouble(&archive, "429").await;
    assert!(said.contains("Too many requests, please try again later."), "{said}");
    until_idle(&archive, &stub).await;
    assert!(began.elapsed().as_millis() > 900, "it was left alone for the second that it asked for");
    check_parts(&stub, &broadcast, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_expire_are_renewed_and_survive_a_restart() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    let archive = started(config(&stub, folder.path())).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..6).await;
    broadcast.put(&archive, 6..7).await;
    until("a part is listed", &stub, |site| site.playlists.iter().any(|list| list.videos.len() == 1)).await;
    stub.site().expire();
    broadcast.put(&archive, 7..13).await;
    until("another part is listed", &stub, |site| site.playlists[0].videos.len() == 2).await;
    archive.stop(std::time::Duration::from_secs(5)).await.unwrap();
    let archive = started(config(&stub, folder.path())).await;
    let again = Broadcast::open(&archive, 3).await;
    again.put(&archive, 13..18).await;
    again.end(&archive).await;
    until_idle(&archive, &stub).await;
    check_parts(&stub, &broadcast, 3);
    let counts = |site: &common::stub::Site| (site.logins, site.refreshes);
    assert_eq!(counts(&stub.site()), (1, 1));
    let stored = std::fs::read_to_string(folder.path().join("tokens.json")).unwrap();
    assert!(stored.contains("access-") && !stored.contains("geheim"), "tokens, and no password");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_that_is_used_up_is_told_and_the_parts_wait_until_there_is_more() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    stub.site().quota_bytes = 500_000;
    let archive = started(config(&stub, folder.path())).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..18).await;
    broadcast.end(&archive).await;
    let said = until_trouble(&archive, "quota").await;
    assert!(said.contains("1 parts wait"), "{said}");
    assert_eq!(stub.site().videos.len(), 2, "the third one is refused before anything of it is sent");
    stub.site().quota_bytes = 0;
    until_idle(&archive, &stub).await;
    check_parts(&stub, &broadcast, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_says_what_it_is_and_the_parts_wait() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    stub.site().password = "another".into();
    let archive = started(config(&stub, folder.path())).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..6).await;
    broadcast.end(&archive).await;
    let said = until_trouble(&archive, "wrong name or password").await;
    assert!(said.contains("club at ") && !said.contains("geheim"), "{said}");
    stub.site().password = "geheim".into();
    stub.site().otp = Some("123456".into());
    until_trouble(&archive, "second factor").await;
    archive.stop(std::time::Duration::from_secs(5)).await.unwrap();
    let archive = started(Config { otp: Secret::new("123456"), ..config(&stub, folder.path()) }).await;
    archive.probe().await.unwrap();
    until_idle(&archive, &stub).await;
    check_parts(&stub, &broadcast, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_the_site_cannot_read_is_kept_and_the_next_ones_go_on() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    stub.site().unreadable = true;
    let archive = started(config(&stub, folder.path())).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..7).await;
    let said = until_trouble(&archive, "does not take 1 parts").await;
    assert!(said.contains("kept in the spool"), "{said}");
    stub.site().unreadable = false;
    broadcast.put(&archive, 7..12).await;
    broadcast.end(&archive).await;
    until_idle(&archive, &stub).await;
    assert_eq!((stub.site().videos.len(), archive.waits().0), (1, 1));
    let kept = folder.path().join(&broadcast.id.0).join("0001.mp4");
    assert!(std::fs::read(kept).unwrap() == broadcast.file(0..6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_takes_small_bodies_only_gets_small_ones() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    stub.site().body_max = 100_000;
    let archive = started(Config { chunk_bytes: 1024 * 1024, ..config(&stub, folder.path()) }).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..6).await;
    broadcast.end(&archive).await;
    until_idle(&archive, &stub).await;
    check_parts(&stub, &broadcast, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_away_holds_nobody_up_and_the_spool_has_a_bound() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    stub.site().down = true;
    let archive = started(Config { spool_bytes_max: 1024 * 1024, ..config(&stub, folder.path()) }).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..26).await;
    let error = archive.put(&broadcast.id, &broadcast.segment(26)).await.unwrap_err();
    assert!(error.class == ErrorClass::Denied && error.to_string().contains("1048576 bytes"), "{error}");
    until_trouble(&archive, "cannot be reached").await;
    stub.site().down = false;
    until("there is room", &stub, |site| site.videos.len() == 4).await;
    let error = archive.put(&broadcast.id, &broadcast.delta(27)).await.unwrap_err();
    assert!(error.to_string().contains("next key frame"), "{error}");
    broadcast.put(&archive, 28..30).await;
    broadcast.end(&archive).await;
    until_idle(&archive, &stub).await;
    let site = stub.site();
    assert_eq!(site.order(0), [1, 2, 3, 4, 5]);
    let last = site.video(5).unwrap();
    assert!(last.bytes == broadcast.file([24, 25, 28, 29]));
    assert!(last.facts["description"].as_str().unwrap().contains("Missing: segments 26-27."));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_hidden_is_blocked_or_private_and_comes_back() {
    for moderator in [true, false] {
        let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
        stub.site().moderator = moderator;
        let archive = started(config(&stub, folder.path())).await;
        let broadcast = Broadcast::open(&archive, 3).await;
        broadcast.put(&archive, 0..12).await;
        broadcast.end(&archive).await;
        until_idle(&archive, &stub).await;
        let seen = || {
            let site = stub.site();
            [1, 2].map(|part| {
                let video = site.video(part).unwrap();
                !video.blocked && video.facts["privacy"] == 1
            })
        };
        let range = |mode| Restriction { first: Seq(7), end: Seq(9), mode };
        archive.restrict(&broadcast.id, &range(RestrictMode::Hide)).await.unwrap();
        assert_eq!(seen(), [true, false], "moderator: {moderator}");
        archive.restrict(&broadcast.id, &range(RestrictMode::Show)).await.unwrap();
        assert_eq!(seen(), [true, true]);
        archive.restrict(&broadcast.id, &range(RestrictMode::Erase)).await.unwrap();
        assert!(stub.site().video(2).is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_is_hidden_before_it_is_uploaded_waits_and_then_takes_its_place() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    stub.site().down = true;
    let archive = started(config(&stub, folder.path())).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..18).await;
    broadcast.end(&archive).await;
    let range = |mode| Restriction { first: Seq(6), end: Seq(7), mode };
    archive.restrict(&broadcast.id, &range(RestrictMode::Hide)).await.unwrap();
    stub.site().down = false;
    until("the others are there", &stub, |site| site.playlists.iter().any(|list| list.videos.len() == 2)).await;
    assert_eq!(stub.site().order(0), [1, 3]);
    archive.restrict(&broadcast.id, &range(RestrictMode::Show)).await.unwrap();
    until_idle(&archive, &stub).await;
    check_parts(&stub, &broadcast, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn videos_are_unlisted_until_all_of_the_broadcast_is_there() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    let archive = started(Config { unlisted_until_end: true, ..config(&stub, folder.path()) }).await;
    let broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..7).await;
    until("a part is listed", &stub, |site| site.playlists.iter().any(|list| list.videos.len() == 1)).await;
    assert_eq!(stub.site().video(1).unwrap().facts["privacy"], 2);
    assert_eq!(stub.site().playlists[0].fields["privacy"], "2");
    broadcast.put(&archive, 7..12).await;
    broadcast.end(&archive).await;
    until_idle(&archive, &stub).await;
    let site = stub.site();
    assert!([1, 2].iter().all(|&part| site.video(part).unwrap().facts["privacy"] == 1));
    assert_eq!(site.playlists[0].fields["privacy"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_broadcast_is_one_video_with_titles_as_chapters() {
    let (stub, folder) = (Stub::start(), tempfile::tempdir().unwrap());
    let config = Config { whole: true, privacy: Privacy::Internal, ..config(&stub, folder.path()) };
    let archive = started(config).await;
    let mut broadcast = Broadcast::open(&archive, 3).await;
    broadcast.put(&archive, 0..8).await;
    broadcast.title(&archive, "Miles Davis - So What").await;
    broadcast.put(&archive, 8..20).await;
    assert_eq!(stub.site().videos.len(), 0);
    broadcast.end(&archive).await;
    until_idle(&archive, &stub).await;
    let site = stub.site();
    let video = &site.videos[0];
    assert!(site.videos.len() == 1 && video.bytes == broadcast.file(0..20));
    assert_eq!((&video.facts["name"], &video.facts["privacy"]), (&json!("Friday night"), &json!(4)));
    let chapter = |timecode: u64, title: &str| json!({ "timecode": timecode, "title": title });
    assert_eq!(
        video.chapters,
        json!([chapter(0, "Start"), chapter(60, "Part 2"), chapter(80, "Miles Davis - So What")])
    );
}
